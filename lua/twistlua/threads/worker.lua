-- SPDX-License-Identifier: MIT
-- threads/worker.lua -- `require "twistlua.threads"` on a worker's thread: the way back to the reactor.
-- What is called over there is a function without upvalues, "module:function", or the name under which the
-- program has exported one. Arguments and results are copied.

local core = require("twistlua.core").workers

local threads = {}

---@return boolean false: this is not the thread that runs the reactor
function threads.isInIOThread() return false end

---Whether the pool waits for its threads to end, for work that takes long to look at now and then.
---@return boolean
function threads.isStopping() return core.isStopping() end

local function finish(ok, ...)
  if ok then return ... end
  error((...), type((...)) == "string" and 3 or 0)   -- a text is blamed on the caller's line
end

---Have `f(...)` called on the reactor's thread, and go on. What it raises is logged there. Raises
---ThreadPoolStopped once the reactor is shutting down.
---@param f function|string
---@param ... any
function threads.callFromThread(f, ...)
  finish(pcall(core.ask, false, f, ...))
end

local function answered(called, ok, value)
  if not called then return false, ok end
  if ok then return true, value end
  error(value, 0)
end

---Have `f(...)` called on the reactor's thread and wait for what it returns, or for its Deferred. Raises what
---that raises or fails with, and ThreadPoolStopped when the reactor shuts down before there is an answer.
---@param f function|string
---@param ... any
---@return any result
function threads.blockingCallFromThread(f, ...)
  local result = finish(answered(pcall(core.ask, true, f, ...)))
  return result
end

local function onlyThere(name)
  return function()
    error(("threads.%s: only on the reactor's thread, this is a worker's"):format(name), 2)
  end
end

for _, name in ipairs { "deferToThread", "deferToThreadPool", "callMultipleInThread", "export", "ThreadPool" } do
  threads[name] = onlyThere(name)
end

return threads
