-- SPDX-License-Identifier: MIT
-- reactor/threads.lua -- the reactor's pool of threads.

local methods = {}

---The pool of deferToThread, file and the like: at most 10 threads, unless suggestThreadPoolSize said otherwise.
---@return twistlua.ThreadPool
function methods:getThreadPool()
  if not self._threadPool then
    require "twistlua.threads"   -- threads call back through it
    self._threadPool = require "twistlua.threads.pool"()
  end
  return self._threadPool
end

---Have that many threads at most.
---@param size integer 1 or more
function methods:suggestThreadPoolSize(size)
  if math.type(size) ~= "integer" or size < 1 then
    error("suggestThreadPoolSize: expected an integer, 1 or more, got " .. tostring(size), 2)
  end
  self:getThreadPool():adjustPoolsize(nil, size)
end

---Call `f(...)` on a thread of the pool. What it returns is dropped, what it raises is logged.
---@param f function|string see twistlua.threads
---@param ... any copied
function methods:callInThread(f, ...)
  self:getThreadPool():_callInThread(4, f, ...)
end

return methods
