-- SPDX-License-Identifier: MIT
-- attempt_spec.lua -- core.deferred.attempt: calls that may await, and cost little when they do not.
local attempt = require("twistlua.core").deferred.attempt
local defer   = require "twistlua.defer"

describe("attempt", function()
  it("returns true when the function has returned", function()
    local got
    assert.is_true(attempt(function(...) got = { ... } end, 1, nil, 3))
    assert.same({ 1, nil, 3 }, got)
    assert.is_true(attempt(function() return 1, 2 end))
  end)

  it("returns a Deferred when the function waits, and goes on when that fires", function()
    local first, second, seen = defer.Deferred(), defer.Deferred(), {}
    local task = attempt(function()
      seen[1] = defer.await(first)
      seen[2] = defer.await(second)
      return "end"
    end)
    assert.is_true(attempt(function() seen.other = true end))
    first:callback("a")
    assert.same({ "a", other = true }, seen)
    second:callback("b")
    assert.same({ "a", "b", other = true }, seen)
    local result
    task:addCallback(function(value) result = value end)
    assert.equal("end", result)
  end)

  it("returns false and a Failure, with the frames, when the function raises", function()
    local function deep() error("broken") end
    for _ = 1, 3 do
      local ok, failure = attempt(function() deep() return 1 end)
      assert.is_false(ok)
      assert.truthy(failure:getErrorMessage():find("broken", 1, true))
      assert.truthy(failure:getTraceback():find("attempt_spec.lua", 1, true))
    end
    local ok, failure = attempt(function() error({ code = 7 }) end)
    assert.same({ false, 7 }, { ok, failure.value.code })
  end)

  it("closes the variables of a function that raises", function()
    local closed = false
    attempt(function()
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      error("broken")
    end)
    assert.is_true(closed)
  end)

  it("cancels what is awaited when its Deferred is cancelled", function()
    local cancelled, error_
    local task = attempt(function()
      local _, raised = pcall(defer.await, defer.Deferred(function() cancelled = true end))
      error_ = raised
    end)
    task:cancel()
    assert.is_true(cancelled)
    assert.equal("CancelledError", error_.__name)
  end)

  it("nests", function()
    local order, d = {}, defer.Deferred()
    local outer = attempt(function()
      local inner = attempt(function()
        order[#order + 1] = "inner"
        defer.await(d)
        order[#order + 1] = "inner again"
      end)
      assert.is_true(defer.isDeferred(inner))
      order[#order + 1] = "outer"
      defer.await(inner)
      order[#order + 1] = "outer again"
    end)
    assert.is_true(defer.isDeferred(outer))
    d:callback(nil)
    assert.same({ "inner", "outer", "inner again", "outer again" }, order)
  end)

  it("refuses coroutine.yield and what is no function", function()
    assert.has_error(function() attempt(coroutine.yield) end)
    assert.has_error(function() attempt(nil) end)
  end)
end)
