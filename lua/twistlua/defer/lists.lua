-- SPDX-License-Identifier: MIT
-- lists.lua -- waiting for several Deferreds at once: for all, for the first, or until one fails.

local core    = require("twistlua.core").deferred
local errors  = require "twistlua.defer.errors"
local options = require "twistlua.options"

local lists = {}

local GATHER_OPTIONS = { consumeErrors = "boolean" }
local LIST_OPTIONS   = {
  fireOnOneCallback = "boolean", fireOnOneErrback = "boolean", consumeErrors = "boolean",
}

local function checkList(what, list)
  if type(list) ~= "table" then
    error(("%s: expected a list of Deferreds, got %s"):format(what, type(list)), 3)
  end
  for i, member in ipairs(list) do
    if not core.isDeferred(member) then
      error(("%s: member %d is no Deferred but a %s"):format(what, i, type(member)), 3)
    end
  end
end

-- A canceller that raises must not keep the others from being asked.
local function cancelAll(list, except)
  for _, member in ipairs(list) do
    if member ~= except then
      local ok, failure = require("twistlua.failure").call(member.cancel, member)
      if not ok then require("twistlua.log").err(failure, "Error in a canceller") end
    end
  end
end

---Wait for all of `list`. The result is a list of `{true, value}` and `{false, failure}` in the order
---of `list`. Each member keeps its own result.
---@param list twistlua.Deferred[]
---@param settings? { fireOnOneCallback?: boolean, fireOnOneErrback?: boolean, consumeErrors?: boolean }
--- fireOnOneCallback: end with the first success, as `{value, index}`; fireOnOneErrback: fail with the
--- first failure, as a FirstError; consumeErrors: members that failed are left with nil
---@return twistlua.Deferred # cancelling it cancels all members
function lists.DeferredList(list, settings)
  checkList("DeferredList", list)
  settings = options.check("DeferredList", settings, LIST_OPTIONS)
  local count, finished, results = #list, 0, {}
  local all = core.new(function() cancelAll(list) end)

  local function finish(value, index, ok)
    results[index] = { ok, value }
    finished = finished + 1
    if not all.called then
      if ok and settings.fireOnOneCallback then
        all:callback({ value, index })
      elseif not ok and settings.fireOnOneErrback then
        all:errback(errors.FirstError(nil, { subFailure = value, index = index }))
      elseif finished == count then
        all:callback(results)
      end
    end
    if ok or not settings.consumeErrors then return value end
  end

  if count == 0 and not settings.fireOnOneCallback then all:callback(results) end
  for index, member in ipairs(list) do
    member:addCallbacks(finish, finish, { callbackArgs = { index, true }, errbackArgs = { index, false } })
  end
  return all
end

---Wait for all of `list`; the result is the list of their values. The first failure fails it, as a
---FirstError.
---@param list twistlua.Deferred[]
---@param settings? { consumeErrors?: boolean } members that failed are left with nil
---@return twistlua.Deferred
function lists.gatherResults(list, settings)
  checkList("gatherResults", list)
  settings = options.check("gatherResults", settings, GATHER_OPTIONS)
  local all = lists.DeferredList(list, { fireOnOneErrback = true, consumeErrors = settings.consumeErrors })
  return all:addCallback(function(results)
    local values = {}
    for index, result in ipairs(results) do values[index] = result[2] end
    return values
  end)
end

---Wait for the first of `list` that succeeds, and cancel the others. The result is `{index, value}`.
---If all fail, it fails with a FailureGroup, whose `failures` are in the order of `list`.
---@param list twistlua.Deferred[] not empty
---@return twistlua.Deferred # cancelling it cancels all members
function lists.race(list)
  checkList("race", list)
  local count, failed, failures, winner = #list, 0, {}, nil
  if count == 0 then error("race: expected at least one Deferred", 2) end
  local first = core.new(function() cancelAll(list) end)

  local function succeed(value, index)
    if winner then return end
    winner = list[index]
    cancelAll(list, winner)
    first:callback({ index, value })
  end

  local function fail(failure, index)
    failures[index] = failure
    failed = failed + 1
    if failed == count and not winner then
      first:errback(errors.FailureGroup(nil, { failures = failures }))
    end
  end

  for index, member in ipairs(list) do
    member:addCallbacks(succeed, fail, { callbackArgs = { index }, errbackArgs = { index } })
  end
  return first
end

return lists
