-- SPDX-License-Identifier: MIT
-- reactor/events.lua -- an event of the system and its triggers in three phases.
-- A phase takes its triggers from the front as it runs, so that a trigger may add or remove others.

local class = require "twistlua.class"
local guard = require "twistlua.guard"

local PHASES = { before = true, during = true, after = true }

local Event   = class.Object:extend("Event")
local Trigger = class.Object:extend("Trigger")

function Trigger:init(event, phase, call)
  self.event, self.phase = event, phase
  self.call = call   -- { f, arguments }
end

function Event:init(reactor)
  self.reactor = reactor
  self.before, self.during, self.after = {}, {}, {}
end

function Event:add(phase, f, ...)
  local trigger = Trigger(self, phase, table.pack(f, ...))
  table.insert(self[phase], trigger)
  return trigger
end

---As `add`, ahead of those that are there.
function Event:addFirst(phase, f, ...)
  local trigger = Trigger(self, phase, table.pack(f, ...))
  table.insert(self[phase], 1, trigger)
  return trigger
end

---@return boolean found
function Event:discard(trigger)
  for index, candidate in ipairs(self[trigger.phase]) do
    if candidate == trigger then
      table.remove(self[trigger.phase], index)
      return true
    end
  end
  return false
end

---@return boolean there are triggers that wait for the event
function Event:isWaiting()
  return #self.before + #self.during + #self.after > 0
end

function Event:_run(phase, keep)
  local triggers = self[phase]
  while triggers[1] do
    local call = table.remove(triggers, 1).call
    local result = guard.run("Unhandled error in a system event trigger", call[1],
                                 table.unpack(call, 2, call.n))
    if keep and result ~= nil then keep(result) end
  end
end

local function isDeferred(value)
  return type(value) == "userdata" and require("twistlua.defer").isDeferred(value)
end

---Run the phases; the second one waits for the Deferreds that the first returned.
---@param between? fun(continue: function) see Reactor:fireSystemEvent
function Event:fire(between)
  local waiting = {}
  self:_run("before", function(result)
    if isDeferred(result) then waiting[#waiting + 1] = result end
  end)
  local function continue()
    self:_run("during")
    if between then
      between(function() self:_run("after") end)
    else
      self:_run("after")
    end
  end
  if #waiting == 0 then return continue() end
  -- In a turn of its own: what fired the last of them may be a protocol's callback.
  require("twistlua.defer").DeferredList(waiting):addBoth(function() self.reactor:_soon(continue) end)
end

local function isTrigger(value)
  return class.isA(value, Trigger)
end

return { Event = Event, PHASES = PHASES, isTrigger = isTrigger }
