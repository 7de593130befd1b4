-- SPDX-License-Identifier: MIT
-- task/looping.lua -- calls a function again and again, on a grid of times that begins with `start`.
-- Invariant while running: either a call is scheduled (_call), or one runs or waits for its Deferred.

local Object = require("twistlua.class").Object
local defer  = require "twistlua.defer"

---@class twistlua.LoopingCall: twistlua.Object
---@field clock twistlua.Clock|nil in place of the reactor; set before `start`
---@field running boolean
---@field interval number|nil seconds, once started
---@operator call(...): twistlua.LoopingCall
local LoopingCall = Object:extend("LoopingCall")

---@param f fun(...): any may return a Deferred; the next call waits for it
---@param ... any
function LoopingCall:init(f, ...)
  if f == nil then error("LoopingCall: expected a function, got nil", 3) end
  self.clock = nil
  self.running = false
  self.interval = nil
  self._function = f
  self._arguments = table.pack(...)
  self._startTime = nil
  self._call = nil          -- the delayed call of the next run
  self._finished = nil      -- the Deferred of `start`
  self._lastTick = nil      -- of the last run, for withCount
  self._counts = false      -- the function takes the number of ticks since then
end

---Like `LoopingCall(f)`, but `f` gets how many ticks of the grid have passed since it was last called:
---1, unless it or others took too long.
---@param f fun(count: integer): any
---@return twistlua.LoopingCall
function LoopingCall.withCount(f)
  local loop = LoopingCall(f)
  loop._counts = true
  return loop
end

-- Sums of intervals miss the tick they mean by some rounding. So a tick is aimed at a nanosecond early, and
-- counts as reached from a microsecond before it, or from as much as a clock of this size can tell.
function LoopingCall:_tick(now)
  local slack = math.max(math.min(1e-6, self.interval / 1000), now * 2 ^ -50)
  return (now - self._startTime + slack) // self.interval
end

function LoopingCall:_schedule()
  local delay = 0
  if self.interval > 0 then
    local now = self.clock:seconds()
    local nextTick = self._startTime + (self:_tick(now) + 1) * self.interval
    delay = math.max(0, nextTick - now - math.min(1e-9, self.interval / 1e6))
  end
  self._call = self.clock:callLater(delay, self._run, self)
end

function LoopingCall:_finish(method, outcome)
  local finished = self._finished
  self.running, self._finished = false, nil
  finished[method](finished, outcome)
end

-- Ticks since the last run, or nil when this one comes before the next tick.
function LoopingCall:_countTicks()
  if self.interval == 0 then return 1 end
  local tick = self:_tick(self.clock:seconds())
  local count = math.tointeger(tick - self._lastTick)
  if count <= 0 then return nil end
  self._lastTick = tick
  return count
end

function LoopingCall:_callFunction()
  if not self._counts then
    return self._function(table.unpack(self._arguments, 1, self._arguments.n))
  end
  local count = self:_countTicks()
  if count then return self._function(count) end
end

function LoopingCall:_run()
  self._call = nil
  defer.maybeDeferred(self._callFunction, self)
    :addCallback(function()
      if self.running then self:_schedule() else self:_finish("callback", self) end
    end)
    :addErrback(function(failure)
      self:_finish("errback", failure)
    end)
end

---Begin: a first call now, or after one interval, then one at each tick. A tick that passes while a
---call or its Deferred is busy is left out.
---@param interval number seconds; 0 is once in each turn of the reactor
---@param now? boolean default true
---@return twistlua.Deferred loop fires with this object after `stop`; fails, ending the loop, when `f` does
function LoopingCall:start(interval, now)
  if self.running then error("start: the LoopingCall is already running", 2) end
  if type(interval) ~= "number" or not (interval >= 0 and interval < math.huge) then
    error("start: the interval must be a number of seconds, 0 or more, got " .. tostring(interval), 2)
  end
  self.clock = self.clock or require "twistlua.reactor"
  self.running = true
  self.interval = interval
  self._startTime = self.clock:seconds()
  self._finished = defer.Deferred()
  local finished = self._finished
  if now == false then
    self._lastTick = 0
    self:_schedule()
  else
    self._lastTick = -1
    self:_run()
  end
  return finished
end

---End. When a call is under way, the Deferred of `start` fires after it.
function LoopingCall:stop()
  if not self.running then error("stop: the LoopingCall is not running", 2) end
  self.running = false
  if self._call then
    self._call:cancel()
    self._call = nil
    self:_finish("callback", self)
  end
end

---Begin the grid anew: the next call comes one interval from now. No effect while a call is under way.
function LoopingCall:reset()
  if not self.running then error("reset: the LoopingCall is not running", 2) end
  if not self._call then return end
  self._call:cancel()
  self._startTime = self.clock:seconds()
  self._lastTick = 0
  self:_schedule()
end

return { LoopingCall = LoopingCall }
