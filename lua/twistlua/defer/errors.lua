-- SPDX-License-Identifier: MIT
-- errors.lua -- the classes of what can go wrong with Deferreds.

local errors = require "twistlua.error"

local defined = { TimeoutError = errors.TimeoutError }

---@param name string
---@param summary? string what every error of the class says
---@param fields? table<string, string> what it can be made with, by type
local function define(name, summary, fields)
  local class = errors.Error:extend(name)
  class.summary, class.options = summary, fields or class.options
  defined[name] = class
end

define("CancelledError")
define("AlreadyCalledError")
define("NoCurrentExceptionError")
define("NotACoroutineError")
define("CircularDeferredError", "A callback returned the Deferred that it was added to")
define("FirstError", "One of the Deferreds failed", { subFailure = "any", index = "integer" })
define("FailureGroup", "All of the Deferreds failed", { failures = "table" })
define("NotAcquiredError", "Released more often than acquired")
define("QueueOverflow", "The queue is full")
define("QueueUnderflow", "Too many already wait for the queue")
define("AlreadyTryingToLockError", "The lock is being waited for already")

return defined
