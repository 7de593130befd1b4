-- SPDX-License-Identifier: MIT
-- filesystem_lock.lua -- a lock between processes, waited for by asking again and again.

local core   = require "twistlua.core"
local errors = require "twistlua.defer.errors"
local base   = require "twistlua.error"
local Object = require("twistlua.class").Object

local INTERVAL = 1   -- seconds between two tries

local function failed(message, code, errno)
  return base.permission(code, message) or base.Error(message, { code = code, errno = errno })
end

local function cancelCall(call)
  if call and call:active() then call:cancel() end
end

---A lock that one process at a time holds: a symbolic link. A process that ends without giving it
---back loses it.
---@class twistlua.DeferredFilesystemLock: twistlua.Object
---@field name string the path of the lock
---@field locked boolean whether this object holds it
---@field clean boolean|nil whether the last holder gave it back
local FilesystemLock = Object:extend("DeferredFilesystemLock")

---@param name string a path in a folder that can be written to
---@param scheduler? table a Clock; default: the reactor
function FilesystemLock:init(name, scheduler)
  self.name, self.locked, self.clean = name, false, nil
  self._scheduler = scheduler
  self._waiting = nil   -- the Deferred of deferUntilLocked
end

---Try to take the lock.
---@return boolean locked
function FilesystemLock:lock()
  local taken, clean, code, errno = core.lockfile.take(self.name)
  if taken == nil then error(failed(clean, code, errno), 2) end
  if taken then self.locked, self.clean = true, clean end
  return taken
end

---Give the lock back. Raises NotAcquiredError if this object does not hold it.
function FilesystemLock:unlock()
  if not self.locked then error(errors.NotAcquiredError(), 2) end
  self.locked = false
  local ok, message, code, errno = core.lockfile.release(self.name)
  if not ok then error(failed(message, code, errno), 2) end
end

---Try to take the lock now and then each second.
---@param timeout? number seconds until it fails with TimeoutError; default: never
---@return twistlua.Deferred # fires with nil when the lock is held; cancelling it ends the trying
function FilesystemLock:deferUntilLocked(timeout)
  if self._waiting then return core.deferred.fail(errors.AlreadyTryingToLockError()) end
  local scheduler = self._scheduler or require "twistlua.reactor"
  local retry, limit

  local function stop()
    self._waiting = nil
    cancelCall(retry)
    cancelCall(limit)
  end

  local waiting = core.deferred.new(stop)
  self._waiting = waiting

  local function try()
    local ok, taken = require("twistlua.failure").call(self.lock, self)
    if ok and not taken then
      retry = scheduler:callLater(INTERVAL, try)
      return
    end
    stop()
    if ok then waiting:callback(nil) else waiting:errback(taken) end
  end

  try()
  if timeout and not waiting.called then
    limit = scheduler:callLater(timeout, function()
      stop()
      waiting:errback(errors.TimeoutError(
        ("the lock %s was not to be had in %s seconds"):format(self.name, timeout)))
    end)
  end
  return waiting
end

return { DeferredFilesystemLock = FilesystemLock }
