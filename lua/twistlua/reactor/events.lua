-- SPDX-License-Identifier: MIT
-- reactor/events.lua -- an event of the system and its triggers in three phases.
-- A phase takes its triggers from the front as it runs, so that a trigger may add or remove others.

local Object  = require("twistlua.class").Object
local guard = require "twistlua.guard"

local PHASES = { before = true, during = true, after = true }

local Event = Object:extend("Event")

function Event:init(reactor)
  self.reactor = reactor
  self.before, self.during, self.after = {}, {}, {}
end

function Event:add(phase, f, ...)
  if not PHASES[phase] then
    error(("addSystemEventTrigger: phase must be before, during or after, got %s"):format(tostring(phase)), 3)
  end
  if type(f) ~= "function" then
    error("addSystemEventTrigger: function expected, got " .. type(f), 3)
  end
  local trigger = { event = self, phase = phase, call = table.pack(f, ...) }
  table.insert(self[phase], trigger)
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

function Event:remove(trigger)
  if not self:discard(trigger) then
    error("removeSystemEventTrigger: the trigger has run or was removed", 3)
  end
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

return { Event = Event }
