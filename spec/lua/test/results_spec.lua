local defer  = require "twistlua.defer"
local errors = require "twistlua.error"
local test   = require "twistlua.test"

describe("successResultOf", function()
  it("gives the value", function()
    assert.equal("poem", test.successResultOf(defer.succeed("poem")))
    assert.is_nil(test.successResultOf(defer.succeed(nil)))
  end)

  it("raises for what has failed, has not fired or is no Deferred", function()
    assert.error_matches(function() test.successResultOf(defer.fail(errors.UserError())) end,
      "has failed:.*UserError")
    assert.error_matches(function() test.successResultOf(defer.Deferred()) end, "has no result yet")
    assert.error_matches(function() test.successResultOf("poem") end, "expected a Deferred, got string")
  end)
end)

describe("failureResultOf", function()
  it("gives the Failure and handles it", function()
    local deferred = defer.fail(errors.UserError())
    local failure = test.failureResultOf(deferred, errors.IOError, errors.UserError)
    assert.is_not_nil(failure:check(errors.UserError))
    assert.is_nil(test.successResultOf(deferred))
  end)

  it("raises for another class, a value, or no result", function()
    assert.error_matches(function() test.failureResultOf(defer.fail(errors.UserError()), errors.IOError) end,
      "expected class IOError, got .*UserError")
    assert.error_matches(function() test.failureResultOf(defer.succeed(7)) end, "has not failed but given 7")
    assert.error_matches(function() test.failureResultOf(defer.Deferred()) end, "has no result yet")
  end)
end)

describe("assertNoResult", function()
  it("lets a later result pass", function()
    local deferred = defer.Deferred()
    test.assertNoResult(deferred)
    deferred:callback("poem")
    assert.equal("poem", test.successResultOf(deferred))
  end)

  it("raises when there is one", function()
    assert.error_matches(function() test.assertNoResult(defer.succeed(7)) end, "has a result: 7")
    assert.error_matches(function() test.assertNoResult(defer.fail(errors.UserError())) end,
      "has a result: .*UserError")
  end)
end)

describe("assertFailure", function()
  it("gives the error value", function()
    local raised = errors.UserError()
    assert.equal(raised, test.successResultOf(test.assertFailure(defer.fail(raised), errors.UserError)))
  end)

  it("fails for another class and for a value", function()
    local function message(deferred) return test.failureResultOf(deferred).value end
    assert.matches("expected class IOError, got .*UserError",
      message(test.assertFailure(defer.fail(errors.UserError()), errors.IOError)))
    assert.matches("expected class IOError, got the value 7",
      message(test.assertFailure(defer.succeed(7), errors.IOError)))
  end)
end)
