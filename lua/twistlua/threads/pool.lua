-- SPDX-License-Identifier: MIT
-- threads/pool.lua -- a pool of threads. Each thread that runs Lua has a Lua state of its own.

local core    = require("twistlua.core").workers
local defer   = require "twistlua.defer"
local errors  = require "twistlua.error"
local log     = require "twistlua.log"
local Object  = require("twistlua.class").Object
local options = require "twistlua.options"
local reactor = require "twistlua.reactor"

local open = {}   -- pool → true, for the reactor's shutdown

---Threads are started when there is work for them and end when they have had none for a while.
---@class twistlua.ThreadPool: twistlua.Object
---@field min integer threads that stay although they have nothing to do
---@field max integer threads at most; what is more waits
---@operator call(...): twistlua.ThreadPool
local ThreadPool = Object:extend("ThreadPool")

local OPTIONS = { name = "string", idle = "number" }

local function checkSizes(what, min, max)
  for _, size in ipairs { min, max } do
    if math.type(size) ~= "integer" then error(what .. ": a number of threads must be an integer", 3) end
  end
  if min < 0 or max < 1 or max > 10000 or min > max then
    error(("%s: expected 0 <= min <= max and 1 <= max <= 10000, got min %d, max %d"):format(what, min, max), 3)
  end
end

---@param min? integer default 0
---@param max? integer default 10
---@param given? { name?: string, idle?: number } what the system calls the threads, up to 15 bytes; seconds
---  until one that has nothing to do ends, default 30
function ThreadPool:init(min, max, given)
  given = options.check("ThreadPool", given, OPTIONS, 4)
  min, max = min or 0, max or math.max(10, min or 0)
  checkSizes("ThreadPool", min, max)
  self.min, self.max = min, max
  local pool, message = core.open(min, max, given.idle, given.name)
  if not pool then error("ThreadPool: " .. message, 3) end
  self._pool = pool
  open[self] = true
end

---@param min? integer default: as it is
---@param max? integer default: as it is
function ThreadPool:adjustPoolsize(min, max)
  max = max or self.max
  min = min or math.min(self.min, max)
  checkSizes("adjustPoolsize", min, max)
  if self:isOpen() then assert(self._pool:resize(min, max)) end
  self.min, self.max = min, max
end

---@return { threads: integer, idle: integer, queued: integer, working: integer } of the threads, those without
---  work; jobs that wait for a thread, jobs that have begun
function ThreadPool:statistics()
  local threads, idle, queued, working = self._pool:counts()
  return { threads = threads, idle = idle, queued = queued, working = working }
end

---@return boolean
function ThreadPool:isOpen()
  return self._pool:isOpen()
end

---Wait, without a bound, for the jobs that have begun, and end the threads. Those that wait fail with
---ThreadPoolStopped. The reactor's shutdown does this to every pool.
function ThreadPool:stop()
  open[self] = nil
  self._pool:stop()
end

local function failed(message, name, errno)
  if name == "ECLOSED" then return errors.ThreadPoolStopped() end
  return errors.ThreadPoolError(message, { errno = errno, code = name })
end

local function take(result, work, message, name, errno)
  if not work then result:errback(failed(message, name, errno)) end
  return work
end

---A Deferred for what `start`, a function or method of the core's pool, puts on its way. What it refuses is an error
---at `level`.
---@private
function ThreadPool:_submit(level, start, ...)
  local work
  local result = defer.Deferred(function() work:cancel() end)
  local outcome = table.pack(pcall(start, self._pool, result, ...))
  if not outcome[1] then error(outcome[2], level) end
  work = take(result, table.unpack(outcome, 2, 5))
  return result
end

---Call `f(...)` on a thread. What it returns is dropped, what it raises is logged.
---@param f function|string as for threads.deferToThread
---@param ... any
function ThreadPool:callInThread(f, ...)
  self:_callInThread(4, f, ...)
end

---@private
function ThreadPool:_callInThread(level, ...)
  self:_submit(level, self._pool.submit, ...):addErrback(log.err, "Unhandled error in a thread")
end

reactor:addSystemEventTrigger("during", "shutdown", function()
  for pool in pairs(open) do pool:stop() end
end)

return ThreadPool
