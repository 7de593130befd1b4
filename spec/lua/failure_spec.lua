-- SPDX-License-Identifier: MIT
-- failure_spec.lua -- what a Failure says about its error.

local defer   = require "twistlua.defer"
local errors  = require "twistlua.error"
local failure = require "twistlua.failure"

local Failure = failure.Failure

-- The Failure of an error raised by `f` in a callback.
local function failureOf(f)
  local caught
  defer.succeed():addCallback(f):addErrback(function(reason) caught = reason end)
  return caught
end

describe("Failure", function()
  it("has the error value and its class", function()
    local value = errors.ConnectionRefusedError("nobody there")
    local f = Failure(value)
    assert.equal(value, f.value)
    assert.equal(errors.ConnectionRefusedError, f.type)
    assert.equal("string", Failure("text").type)
    assert.equal("table", Failure({}).type)
    assert.is_nil(Failure(nil).value)
    assert.is_nil(f.unknown)
  end)

  it("is made once: a Failure passes", function()
    local f = Failure("x")
    assert.equal(f, Failure(f))
    assert.is_true(failure.isFailure(f))
    assert.is_false(failure.isFailure("x"))
    assert.is_false(failure.isFailure(io.stdout))
    assert.has_error(function() Failure() end)
  end)

  it("checks for classes, their parents, their names and Lua types", function()
    local f = Failure(errors.ConnectionRefusedError())
    assert.equal(errors.ConnectError, f:check(errors.ConnectionDone, errors.ConnectError))
    assert.equal("ConnectError", f:check("ConnectError"))
    assert.is_nil(f:check(errors.ConnectionDone))
    assert.is_nil(f:check())
    assert.equal("string", Failure("x"):check("number", "string"))
  end)

  it("traps, or goes on to the next errback as itself", function()
    local f = Failure(errors.ConnectionLost())
    assert.equal(errors.ConnectionClosed, f:trap(errors.ConnectionClosed))
    local ok, err = pcall(f.trap, f, errors.ConnectError)
    assert.is_false(ok)
    assert.equal(f, err)
    local reached
    defer.fail(f):addErrback(function(reason) reason:trap(errors.ConnectError) end)
      :addErrback(function(reason) reached = reason end)
    assert.equal(f, reached)
  end)

  it("raises its value", function()
    local value = {}
    for _, method in ipairs { "raise", "raiseException" } do
      local f = Failure(value)
      local ok, err = pcall(f[method], f)
      assert.is_false(ok)
      assert.equal(value, err)
    end
  end)

  it("has the message of any error value", function()
    assert.equal("plain", Failure("plain"):getErrorMessage())
    assert.equal(errors.ConnectionDone().message, Failure(errors.ConnectionDone()):getErrorMessage())
    assert.equal("42", Failure(42):getErrorMessage())
    local odd = setmetatable({}, { __tostring = function() return "odd one" end })
    assert.equal("odd one", Failure(odd):getErrorMessage())
  end)

  it("shows the frames between the error and the callback", function()
    local function inner() error("deep") end
    local function middle() inner() return 1 end
    local f = failureOf(function() middle() return 1 end)
    local trace = f:getTraceback()
    assert.matches("^Traceback %(most recent call last%):\n", trace)
    local lines = {}
    for line in trace:gmatch("  (spec/lua/failure_spec.lua:%d+: in %S+)") do lines[#lines + 1] = line end
    assert.equal(3, #lines)
    assert.matches("in function", lines[1])
    assert.matches("in middle", lines[2])
    assert.matches("in inner", lines[3])
    assert.matches("failure_spec.lua:%d+: deep\n$", trace)
  end)

  it("says briefly, and as text, what there is to say", function()
    local f = failureOf(function() error(errors.ConnectionLost("gone"), 0) end)
    local brief = f:getBriefTraceback()
    assert.matches("^Traceback: <class 'ConnectionLost'>: ", brief)
    assert.matches("\nspec/lua/failure_spec.lua:%d+:", brief)
    assert.equal(brief, f:getTraceback({ detail = "brief" }))
    assert.matches("^%[Failure instance: Traceback: <class 'ConnectionLost'>: .*%]$", tostring(f))
    assert.equal("[Failure instance: Traceback (failure with no frames): <class 'string'>: x]",
      tostring(Failure("x")))
    assert.equal("Traceback (failure with no frames): x\n", Failure("x"):getTraceback())
  end)

  it("refuses an unknown detail", function()
    assert.has_error(function() Failure("x"):getTraceback({ detail = "all" }) end)
    assert.has_error(function() Failure("x"):getTraceback({ details = "brief" }) end)
  end)

  it("prints itself to a file", function()
    local text
    Failure("x"):printTraceback({ write = function(_, s) text = s end })
    assert.equal(Failure("x"):getTraceback(), text)
  end)

  it("survives an error that is deep, or in the handling of errors", function()
    local function deep(n) if n == 0 then error("bottom", 0) end deep(n - 1) return n end
    assert.equal("bottom", failureOf(function() deep(150) end).value)
    local function forever() forever() return 1 end
    assert.matches("stack overflow", failureOf(forever).value)
    local bad = setmetatable({}, { __tostring = function() error("no text") end })
    local f = failureOf(function() error(bad) end)
    assert.equal(bad, f.value)
    assert.has_error(function() f:getTraceback() end)
  end)
end)

describe("failure.call", function()
  it("returns what pcall does, with a Failure for the error", function()
    assert.same({ true, 1, nil, 3, n = 4 }, table.pack(failure.call(function(...) return ... end, 1, nil, 3)))
    local ok, f = failure.call(error, "x", 0)
    assert.is_false(ok)
    assert.equal("x", f.value)
  end)

  it("lets the function await", function()
    local d = defer.Deferred()
    local outcome
    defer.run(function() outcome = { failure.call(defer.await, d) } end)
    d:callback("later")
    assert.same({ true, "later" }, outcome)
  end)
end)
