-- SPDX-License-Identifier: MIT
-- defer.lua -- Deferreds: results that come later, the coroutines that await them, and ways to
-- wait for several. The chain itself is in the core; this file completes and names it.

local core    = require("twistlua.core").deferred
local errors  = require "twistlua.defer.errors"
local failure = require "twistlua.failure"

---A result that comes later, or a failure.
---@class twistlua.Deferred
---@field called boolean whether it was fired
---@field paused boolean whether it is held up by `pause`
---@field result any what the last callback left; a Failure; or the Deferred that it waits for
local Deferred = core.methods

---@class twistlua.defer
local defer = {
  ---Make a Deferred. `canceller(d)` is asked to stop what would fire it.
  ---@type fun(canceller?: fun(d: twistlua.Deferred)): twistlua.Deferred
  Deferred = core.new,
  ---A Deferred that was fired with `value`.
  ---@type fun(value: any): twistlua.Deferred
  succeed = core.succeed,
  ---A Deferred that was fired with an error value or a Failure.
  ---@type fun(value: any): twistlua.Deferred
  fail = core.fail,
  ---@type fun(value: any): boolean
  isDeferred = core.isDeferred,
  ---Keep where Deferreds were made and fired, and report unhandled failures at the end of the turn.
  ---@type fun(on: boolean)
  setDebugging = core.setDebugging,
  ---@type fun(): boolean
  getDebugging = core.getDebugging,
  ---@async
  ---Wait in a coroutine for the result of `d`, which is left with nil. A failure is raised.
  ---@type fun(d: twistlua.Deferred): any
  await = core.await,
  ---Make of `f` a function that runs in a coroutine and returns a Deferred of what `f` returns.
  ---@type fun(f: function): fun(...): twistlua.Deferred
  inlineCallbacks = core.inlineCallbacks,
  ---Run `f(...)` in a coroutine now; returns the Deferred of what it returns.
  ---@type fun(f: function, ...): twistlua.Deferred
  run = core.run,
  ---The Deferred of a suspended coroutine, which is resumed with the arguments.
  ---@type fun(coroutine: thread, ...): twistlua.Deferred
  ensureDeferred = core.ensureDeferred,
  fromCoroutine = core.ensureDeferred,
  ---End the function of `inlineCallbacks` with `value`. `return value` does the same.
  ---@type fun(value: any)
  returnValue = core.returnValue,
}

-- await in a generator must suspend the coroutine that runs the generator as well, and not look to
-- it like a value. So coroutine.resume and coroutine.wrap are replaced by ones that know of await;
-- for everything else they are as Lua's own.
core.replaceResume(coroutine)

-- Methods ------------------------------------------------------------------------------------

---Cancel the Deferred unless it has a result in `seconds`; the failure is then a TimeoutError.
---Covers the callbacks that were added before.
---@param seconds number
---@param clock table a reactor or Clock
---@param onTimeoutCancel? fun(value: any, seconds: number): any makes the result of a timeout instead
---@return twistlua.Deferred self
function Deferred:addTimeout(seconds, clock, onTimeoutCancel)
  local timedOut = false
  local call = clock:callLater(seconds, function()
    timedOut = true
    self:cancel()
  end)
  local function convert(value)
    if not timedOut then return value end
    if onTimeoutCancel then return onTimeoutCancel(value, seconds) end
    if not failure.isFailure(value) then return value end
    value:trap(errors.CancelledError)
    error(errors.TimeoutError(("%s seconds, Deferred"):format(seconds)), 0)
  end
  local function stop(value)
    if call:active() then call:cancel() end
    return value
  end
  return self:addBoth(convert):addBoth(stop)
end

-- Calls --------------------------------------------------------------------------------------

---Call `f(...)`; a Deferred of its result or of the error that it raised.
---@param f function
---@return twistlua.Deferred
function defer.maybeDeferred(f, ...)
  local ok, value = failure.call(f, ...)
  if not ok then return core.fail(value) end
  if core.isDeferred(value) then return value end
  if type(value) == "thread" then return core.ensureDeferred(value) end
  return core.succeed(value)
end

---Call `f(...)`, which does not return a Deferred; a Deferred of its result or error.
---@param f function
---@return twistlua.Deferred
function defer.execute(f, ...)
  local ok, value = failure.call(f, ...)
  return ok and core.succeed(value) or core.fail(value)
end

---Log a failure, for the end of a chain.
---@param reason twistlua.Failure
function defer.logError(reason)
  require("twistlua.log").err(reason)
  return reason
end


for _, part in ipairs { "errors", "lists", "primitives", "filesystem_lock" } do
  for name, member in pairs(require("twistlua.defer." .. part)) do defer[name] = member end
end

return defer
