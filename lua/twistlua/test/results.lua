-- SPDX-License-Identifier: MIT
-- test/results.lua -- what a Deferred has come to, for tests that need no reactor.

local defer   = require "twistlua.defer"
local failure = require "twistlua.failure"

-- The outcome of a Deferred, which is left with nil; or raises when it has none yet.
local function take(deferred, what)
  if not defer.isDeferred(deferred) then
    error(("%s: expected a Deferred, got %s"):format(what, type(deferred)), 3)
  end
  local outcome
  deferred:addBoth(function(result) outcome = { result } end)
  if not outcome then error(what .. ": the Deferred has no result yet", 3) end
  return outcome[1]
end

local function namesOf(classes)
  local names = {}
  for index, class in ipairs(classes) do names[index] = tostring(class) end
  return table.concat(names, " or ")
end

local function checkClass(found, what, classes, level)
  if #classes > 0 and not found:check(table.unpack(classes)) then
    error(("%s: expected %s, got %s"):format(what, namesOf(classes), found:getTraceback()), level)
  end
end

---The value of a Deferred that has one now; an error otherwise.
---@param deferred twistlua.Deferred
---@return any
local function successResultOf(deferred)
  local result = take(deferred, "successResultOf")
  if failure.isFailure(result) then
    error("successResultOf: the Deferred has failed: " .. result:getTraceback(), 2)
  end
  return result
end

---The Failure of a Deferred that has failed by now, which is thereby handled; an error otherwise.
---@param deferred twistlua.Deferred
---@param ... table classes of which it must be one
---@return twistlua.Failure
local function failureResultOf(deferred, ...)
  local result = take(deferred, "failureResultOf")
  if not failure.isFailure(result) then
    error("failureResultOf: the Deferred has not failed but given " .. tostring(result), 2)
  end
  checkClass(result, "failureResultOf", { ... }, 3)
  return result
end

---An error if the Deferred has a result, or a failure, by now. A later one passes unchanged.
---@param deferred twistlua.Deferred
local function assertNoResult(deferred)
  local outcome
  deferred:addBoth(function(result)
    outcome = { result }
    return result
  end)
  if not outcome then return end
  deferred:addErrback(function() end)
  error("assertNoResult: the Deferred has a result: " .. tostring(outcome[1]), 2)
end

---A Deferred of the error value with which `deferred` fails. It fails itself if that is of no class given,
---or if there is a value.
---@param deferred twistlua.Deferred
---@param ... table classes
---@return twistlua.Deferred
local function assertFailure(deferred, ...)
  local classes = { ... }
  return deferred:addCallbacks(
    function(value)
      error(("assertFailure: expected %s, got the value %s"):format(namesOf(classes), tostring(value)), 0)
    end,
    function(found)
      checkClass(found, "assertFailure", classes, 0)
      return found.value
    end)
end

return {
  successResultOf = successResultOf, failureResultOf = failureResultOf,
  assertNoResult = assertNoResult, assertFailure = assertFailure,
}
