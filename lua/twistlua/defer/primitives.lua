-- SPDX-License-Identifier: MIT
-- primitives.lua -- a lock, a semaphore and a queue whose waits are Deferreds, served in order.

local core    = require("twistlua.core").deferred
local errors  = require "twistlua.defer.errors"
local failure = require "twistlua.failure"
local Object  = require("twistlua.class").Object

local primitives = {}

-- Waiting Deferreds, the one that waits longest first. A cancelled one leaves.

local Waiting = Object:extend("Waiting")

function Waiting:add()
  local d = core.new(function(cancelled) self:remove(cancelled) end)
  self[#self + 1] = d
  return d
end

function Waiting:remove(d)
  for i = 1, #self do
    if self[i] == d then return table.remove(self, i) end
  end
end

-- Semaphore -----------------------------------------------------------------------------------

---Lets a number of holders in at a time.
---@class twistlua.DeferredSemaphore: twistlua.Object
---@field limit integer
---@field tokens integer how many may still come in
---@field waiting twistlua.Deferred[]
local Semaphore = Object:extend("DeferredSemaphore")
primitives.DeferredSemaphore = Semaphore

---@param limit integer at least 1
function Semaphore:init(limit)
  if math.type(limit) ~= "integer" or limit < 1 then
    error("DeferredSemaphore: the limit must be an integer of at least 1", 3)
  end
  self.limit, self.tokens, self.waiting = limit, limit, Waiting()
end

---@return twistlua.Deferred # fires with this object when the caller may go in; cancel it to stop waiting
function Semaphore:acquire()
  if self.tokens == 0 then return self.waiting:add() end
  self.tokens = self.tokens - 1
  return core.succeed(self)
end

---Go out, so that the one that has waited longest comes in. Raises NotAcquiredError if nobody is in.
function Semaphore:release()
  if self.tokens == self.limit then error(errors.NotAcquiredError(), 2) end
  if #self.waiting > 0 then
    table.remove(self.waiting, 1):callback(self)
  else
    self.tokens = self.tokens + 1
  end
end

---Call `f(...)` when it may go in, and go out when its Deferred has fired, or it has returned or raised.
---@param f function
---@return twistlua.Deferred # of its result
function Semaphore:run(f, ...)
  local arguments = table.pack(...)
  return self:acquire():addCallback(function()
    local ok, value = failure.call(f, table.unpack(arguments, 1, arguments.n))
    local result = core.isDeferred(value) and value or ok and core.succeed(value) or core.fail(value)
    return result:addBoth(function(outcome)
      self:release()
      return outcome
    end)
  end)
end

-- Lock ----------------------------------------------------------------------------------------

---Lets one holder in at a time.
---@class twistlua.DeferredLock: twistlua.DeferredSemaphore
---@field locked boolean
local Lock = Semaphore:extend("DeferredLock")
primitives.DeferredLock = Lock

function Lock:init()
  Semaphore.init(self, 1)
  self.locked = false
end

function Lock:acquire()
  self.locked = true
  return Semaphore.acquire(self)
end

function Lock:release()
  if not self.locked then error(errors.NotAcquiredError(), 2) end
  self.locked = #self.waiting > 0
  Semaphore.release(self)
end

-- Queue ---------------------------------------------------------------------------------------

---Hands objects from those who put to those who get, whoever comes first.
---@class twistlua.DeferredQueue: twistlua.Object
---@field size integer|nil how many objects may wait to be got
---@field backlog integer|nil how many gets may wait for an object
---@field waiting twistlua.Deferred[] gets that wait
---@field pending any[] objects that wait
local Queue = Object:extend("DeferredQueue")
primitives.DeferredQueue = Queue

---@param size? integer default: any number
---@param backlog? integer default: any number
function Queue:init(size, backlog)
  self.size, self.backlog = size, backlog
  self.waiting, self.pending = Waiting(), {}
  self._first, self._last = 1, 0   -- of pending, which may hold nil
end

---Give `object` to the get that has waited longest, or keep it. Raises QueueOverflow at `size`.
---@param object any
function Queue:put(object)
  if #self.waiting > 0 then
    table.remove(self.waiting, 1):callback(object)
    return
  end
  if self.size and self._last - self._first + 1 >= self.size then error(errors.QueueOverflow(), 2) end
  self._last = self._last + 1
  self.pending[self._last] = object
end

---Raises QueueUnderflow at `backlog`.
---@return twistlua.Deferred # of an object; cancelling it stops waiting and loses none
function Queue:get()
  if self._first <= self._last then
    local object = self.pending[self._first]
    self.pending[self._first] = nil
    self._first = self._first + 1
    return core.succeed(object)
  end
  if self.backlog and #self.waiting >= self.backlog then error(errors.QueueUnderflow(), 2) end
  return self.waiting:add()
end

return primitives
