-- SPDX-License-Identifier: MIT
-- task/clock.lua -- time under a test's control, with the timer methods of a reactor.
-- Invariant: the pending calls are sorted by time, and equal times by the order they were asked for.

local Object = require("twistlua.class").Object
local errors = require "twistlua.error"

local function checkDelay(what, delay)
  if type(delay) ~= "number" then
    error(("%s: expected seconds, got %s"):format(what, type(delay)), 3)
  elseif not (delay >= 0 and delay < math.huge) then
    error(("%s: %s seconds is not a time to wait"):format(what, delay), 3)
  end
end

---A call that is due later.
---@class twistlua.DelayedCall: twistlua.Object
local DelayedCall = Object:extend("DelayedCall")

function DelayedCall:init(clock, time, f, ...)
  self._clock = clock
  self._time = time
  self._function = f
  self._arguments = table.pack(...)
  self._state = "pending"    -- or "called", "cancelled"
end

function DelayedCall:__tostring()
  return ("DelayedCall (%s, at %s)"):format(self._state, self._time)
end

local function checkPending(call)
  if call._state == "called" then error(errors.AlreadyCalled(), 0) end
  if call._state == "cancelled" then error(errors.AlreadyCancelled(), 0) end
end

---Whether it is still to be called.
---@return boolean
function DelayedCall:active()
  return self._state == "pending"
end

---When it is due, on the scale of `seconds`.
---@return number
function DelayedCall:getTime()
  return self._time
end

---Never call it. Raises AlreadyCalled or AlreadyCancelled when that is too late.
function DelayedCall:cancel()
  checkPending(self)
  self._state = "cancelled"
  self._clock:_remove(self)
end

---Make it due so many seconds from now.
---@param seconds number
function DelayedCall:reset(seconds)
  checkDelay("reset", seconds)
  checkPending(self)
  self._clock:_move(self, self._clock:seconds() + seconds)
end

---Make it due so many seconds later than it was, or earlier when negative.
---@param seconds number
function DelayedCall:delay(seconds)
  checkDelay("delay", math.abs(seconds))
  checkPending(self)
  self._clock:_move(self, self._time + seconds)
end

---Stands where a reactor stood; time passes only in `advance`.
---@class twistlua.Clock: twistlua.Object
---@operator call(...): twistlua.Clock
local Clock = Object:extend("Clock")

function Clock:init()
  self._now = 0.0
  self._calls = {}
end

---@return number
function Clock:seconds()
  return self._now
end

function Clock:_insert(call)
  local calls = self._calls
  local place = #calls + 1
  while place > 1 and calls[place - 1]._time > call._time do place = place - 1 end
  table.insert(calls, place, call)
end

function Clock:_remove(call)
  for place, other in ipairs(self._calls) do
    if other == call then
      table.remove(self._calls, place)
      return
    end
  end
end

function Clock:_move(call, time)
  self:_remove(call)
  call._time = time
  self:_insert(call)
end

---Call `f(...)` when `delay` seconds have passed.
---@param delay number
---@param f function
---@param ... any
---@return twistlua.DelayedCall
function Clock:callLater(delay, f, ...)
  checkDelay("callLater", delay)
  if f == nil then error("callLater: expected a function, got nil", 2) end
  local call = DelayedCall(self, self._now + delay, f, ...)
  self:_insert(call)
  return call
end

---@return twistlua.DelayedCall[] pending calls, the next one first
function Clock:getDelayedCalls()
  return { table.unpack(self._calls) }
end

---Let time pass, and make the calls that are then due, each of which sees the final time. A call may add,
---cancel and move others; what comes to be due by that is made in the same advance.
---@param seconds number
function Clock:advance(seconds)
  checkDelay("advance", seconds)
  self._now = self._now + seconds
  while self._calls[1] and self._calls[1]._time <= self._now do
    local call = table.remove(self._calls, 1)
    call._state = "called"
    call._function(table.unpack(call._arguments, 1, call._arguments.n))
  end
end

---Advance several times.
---@param timings number[] seconds of each step
function Clock:pump(timings)
  for _, seconds in ipairs(timings) do self:advance(seconds) end
end

return { Clock = Clock }
