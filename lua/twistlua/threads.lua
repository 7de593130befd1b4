-- SPDX-License-Identifier: MIT
-- threads.lua -- Lua on other threads, for what blocks or takes long, and the way back from there.
-- A thread has a Lua state of its own, with the standard libraries, the program's package.path, and the modules
-- of twistlua but the reactor. So what goes to it and comes back is copied: nil, booleans, numbers, strings and
-- tables of these, in which shared tables and cycles are kept; not functions, userdata or coroutines, and no
-- tables with a metatable, but the error objects of twistlua. What cannot be copied is an error of the call.
-- A channel (twistlua.channel) goes by reference, for values that are to follow meanwhile.
--
-- A function goes there by its code: it has no upvalues, so all that it needs are its arguments, the globals of
-- the thread and what it requires. Or it is named, "module:function", and the thread loads it itself.

local core = require("twistlua.core").workers

if core.isWorker() then return require "twistlua.threads.worker" end

local ThreadPool = require "twistlua.threads.pool"
local defer      = require "twistlua.defer"
local log        = require "twistlua.log"
local names      = require "twistlua.threads.names"
local reactor    = require "twistlua.reactor"

local exported = {}   -- name → function for blockingCallFromThread and callFromThread

---@class twistlua.threads
local threads = { ThreadPool = ThreadPool }

---@return boolean true: this is the thread that runs the reactor
function threads.isInIOThread() return true end

---Call `f(...)` on a thread of the reactor's pool. Cancelling takes the call back if it has not begun, and else
---drops its result. The failure of a call that raised has the error value, copied, or else its text, and the
---places on the thread. Twisted: threads.deferToThread.
---@param f function|string without upvalues, or "module:function"
---@param ... any copied
---@return twistlua.Deferred result the first that `f` returns, copied; fails with ThreadPoolStopped when the
---  reactor is shut down before the call has begun
function threads.deferToThread(f, ...)
  local pool = reactor:getThreadPool()
  return pool:_submit(2, pool._pool.submit, f, ...)
end

---As deferToThread, on another pool.
---@param _ twistlua.Reactor for Twisted's sake
---@param pool twistlua.ThreadPool
---@return twistlua.Deferred result
function threads.deferToThreadPool(_, pool, f, ...)
  if not (type(pool) == "table" and pool._submit) then
    error("deferToThreadPool: a ThreadPool expected, got " .. type(pool), 2)
  end
  return pool:_submit(2, pool._pool.submit, f, ...)
end

---Do several calls on one thread, one after the other, until one raises.
---@param calls table[] { f, arguments... } each
---@return twistlua.Deferred results a list of them, with their number as `n`
function threads.callMultipleInThread(calls)
  local pool = reactor:getThreadPool()
  return pool:_submit(2, pool._pool.submitMany, calls)
end

---Make `f` callable by name for threads: `threads.blockingCallFromThread(name, ...)`. It may have upvalues and
---return a Deferred.
---@param name string without a colon
---@param f function|nil nil takes it away
function threads.export(name, f)
  if type(name) ~= "string" or name:find(":", 1, true) then
    error("export: expected a name without a colon, got " .. tostring(name), 2)
  end
  if f ~= nil and type(f) ~= "function" then error("export: function expected, got " .. type(f), 2) end
  exported[name] = f
end

for _, name in ipairs { "blockingCallFromThread", "callFromThread" } do
  threads[name] = function()
    error(("threads.%s: only on a worker's thread, this is the reactor's"):format(name), 2)
  end
end

-- Calls that come from threads -----------------------------------------------------------------

local function find(f)
  if type(f) == "function" then return f end
  if exported[f] then return exported[f] end
  if names.isName(f) then return names.find(f) end
  error(("no function is exported as '%s'"):format(f), 0)
end

local function call(f, ...)
  return find(f)(...)
end

-- What a Deferred fails with is raised over there; its value if that can be copied, else its text.
local function answer(box, ok, value)
  local sent, message = box:answer(ok, value)
  if not sent then box:answer(false, ok and message or tostring(value)) end
end

core.serve(function(box, ...)
  local result = defer.maybeDeferred(call, ...)
  if not box then
    result:addErrback(log.err, "Unhandled error in a call from a thread")
    return
  end
  result:addCallbacks(function(value) answer(box, true, value) end,
    function(failure) answer(box, false, failure.value) end)
end)

return threads
