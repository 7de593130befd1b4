-- SPDX-License-Identifier: MIT
-- reactor/signals.lua -- signals as events: any number of functions for one signal.
-- Methods of the reactor, which reactor.lua loads with their first call. The process's handling of a signal is
-- taken while it has a function.

local core   = require "twistlua.core"
local Object = require("twistlua.class").Object
local guard  = require "twistlua.guard"

local signals = {}

---One function that waits for a signal.
---@class twistlua.SignalHandle: twistlua.Object
---@field name string such as "SIGHUP"
local Handle = Object:extend("SignalHandle")

function Handle:init(reactor, name, call)
  self.name = name
  self._reactor, self._call = reactor, call
end

function Handle:__tostring()
  return ("<function for %s%s>"):format(self.name, self._reactor and "" or " (cancelled)")
end

-- name → { signal = what the core took, handles = those that wait, in the order of asking }
local taken = {}

local function deliver(name)
  local waiting = table.move(taken[name].handles, 1, #taken[name].handles, 1, {})
  for _, handle in ipairs(waiting) do
    if handle._reactor then   -- not cancelled by one before it
      local call = handle._call
      guard.run("Unhandled error in a function for " .. name, call[1], table.unpack(call, 2, call.n))
    end
  end
end

local function refuse(name, message)
  error(("onSignal: cannot take %s: %s"):format(name, message), 4)
end

-- The reactor's own stop gives way.
local function take(reactor, name)
  local own = reactor._signals[name]
  if own then own:drop() end
  local signal, _, code = core.signal.take(name, function() deliver(name) end)
  if not signal then
    refuse(name, code == "EBUSY" and "this process handles it already" or "it cannot be caught")
  end
  taken[name] = { signal = signal, handles = {} }
  reactor._signals[name] = nil
end

local function remove(list, item)
  for index, candidate in ipairs(list) do
    if candidate == item then return table.remove(list, index) end
  end
end

---Wait no more. The last function for a signal gives it back: to the reactor where that stops by it, else to the
---system's default. Nothing for one that was cancelled.
function Handle:cancel()
  local reactor, entry = self._reactor, taken[self.name]
  if not reactor then return end
  self._reactor = nil
  reactor._signalHandles[self] = nil
  remove(entry.handles, self)
  if #entry.handles > 0 then return end
  entry.signal:drop()
  taken[self.name] = nil
  reactor:_takeSignal(self.name)
end

---Call `f(...)` each time that the process gets a signal, in a turn of the reactor, after the functions that
---asked before. Signals that come faster than turns may count as one. The signal is taken at once, and given back
---when the last function for it is cancelled or `run()` has ended by `stop()`; a function for SIGINT or SIGTERM
---stands in place of the reactor's stop. It keeps no program running by itself. Raises for a name that is
---unknown, cannot be caught, or is taken by another part of the process.
---@param name string "SIGHUP", "SIGUSR1", ...
---@param f function
---@return twistlua.SignalHandle handle with `cancel()`
function signals:onSignal(name, f, ...)
  if type(name) ~= "string" then error("onSignal: name must be a string, got " .. type(name), 2) end
  if type(f) ~= "function" then error("onSignal: function expected, got " .. type(f), 2) end
  if not pcall(core.signal.isDefault, name) then
    error(("onSignal: unknown signal '%s' (a name such as 'SIGHUP')"):format(name), 2)
  end
  if not taken[name] then take(self, name) end
  local handle = Handle(self, name, table.pack(f, ...))
  table.insert(taken[name].handles, handle)
  self._signalHandles = self._signalHandles or {}
  self._signalHandles[handle] = true
  return handle
end

-- Nobody will turn the reactor any more: what is not given back would be swallowed.
function signals:_cancelSignals()
  for handle in pairs(self._signalHandles) do handle:cancel() end
end

return signals
