-- SPDX-License-Identifier: MIT
-- deferred_spec.lua -- what a Deferred does with its callbacks.

local defer   = require "twistlua.defer"
local failure = require "twistlua.failure"
local log     = require "twistlua.log"
local reactor = require "twistlua.reactor"

local Deferred, succeed, fail = defer.Deferred, defer.succeed, defer.fail

-- A list, and a callback that appends its arguments to it.
local function recorder()
  local seen = {}
  return seen, function(...)
    seen[#seen + 1] = select("#", ...) > 1 and { ... } or (... == nil and "nil" or ...)
  end
end

local function ignore() end

-- What is logged as an error while `f` runs and its garbage is collected.
local function reported(f)
  local events = {}
  local function observer(event)
    if event.isError then events[#events + 1] = event end
  end
  log.addObserver(observer)
  local ok, err = pcall(f)
  collectgarbage() collectgarbage()
  reactor:iterate(0)
  log.removeObserver(observer)
  assert(ok, err)
  return events
end

-- Nothing that other specs left is to be reported in ours.
setup(function() collectgarbage() collectgarbage() reactor:iterate(0) end)

describe("Deferred", function()
  it("hands its result from callback to callback", function()
    local seen, record = recorder()
    local d = Deferred()
    assert.equal(d, d:addCallback(function(value) return value + 1 end))
    d:addCallback(record)
    d:callback(1)
    assert.same({ 2 }, seen)
    assert.is_true(d.called)
    assert.is_nil(d.result)
  end)

  it("runs a callback at once when it was fired before", function()
    local seen, record = recorder()
    succeed("now"):addCallback(record)
    assert.same({ "now" }, seen)
  end)

  it("appends further arguments", function()
    local seen, record = recorder()
    succeed(1):addCallback(record, "a", nil, "c"):addBoth(record, 2)
    fail("e"):addErrback(function(f, more) record(f.value, more) end, "x")
    assert.same({ { 1, "a", nil, "c" }, { nil, 2 }, { "e", "x" } }, seen)
  end)

  it("takes the arguments of a pair by name", function()
    local seen, record = recorder()
    local given = { callbackArgs = { "c" }, errbackArgs = { "e", "f" } }
    succeed(1):addCallbacks(record, ignore, given)
    fail("x"):addCallbacks(ignore, function(f, ...) record(f.value, ...) end, given)
    assert.same({ { 1, "c" }, { "x", "e", "f" } }, seen)
    assert.has_error(function() succeed(1):addCallbacks(record, nil, { args = {} }) end,
      "addCallbacks: unknown option 'args' (known: callbackArgs, errbackArgs)")
  end)

  it("runs any number of callbacks in order", function()
    local d, expected, seen = Deferred(), {}, {}
    for i = 1, 100 do
      expected[i] = i
      if i % 3 == 0 then
        d:addCallback(function(_, n) seen[#seen + 1] = n end, i)
      else
        d:addCallback(function() seen[#seen + 1] = i end)
      end
    end
    d:callback()
    assert.same(expected, seen)
  end)

  it("goes from errback to callback when an errback returns a value", function()
    local seen, record = recorder()
    local d = Deferred()
    d:addCallback(record)
    d:addErrback(function(f) return "handled " .. f.value end)
    d:addCallback(record)
    d:errback("trouble")
    assert.same({ "handled trouble" }, seen)
  end)

  it("goes to the next errback when a callback returns a Failure", function()
    local caught
    succeed(1):addCallback(function() return failure.Failure("returned") end)
      :addErrback(function(f) caught = f.value end)
    assert.equal("returned", caught)
  end)

  it("takes callback(Failure) for errback", function()
    local caught
    local d = Deferred()
    d:addErrback(function(f) caught = f.value end)
    d:callback(failure.Failure("given"))
    assert.equal("given", caught)
  end)

  it("passes errors of any type", function()
    for _, value in ipairs { "text", 42, true, { some = "table" }, print } do
      local caught
      succeed():addCallback(function() error(value, 0) end):addErrback(function(f) caught = f.value end)
      assert.equal(value, caught)
    end
    local caught = "none"
    succeed():addCallback(function() error() end):addErrback(function(f) caught = f.value end)
    assert.is_nil(caught)
  end)

  it("holds its callbacks up for as many pauses as unpauses", function()
    local seen, record = recorder()
    local d = Deferred()
    d:pause() d:pause()
    d:addCallback(record)
    d:callback(1)
    assert.is_true(d.paused)
    d:unpause()
    assert.same({}, seen)
    d:unpause()
    assert.same({ 1 }, seen)
    assert.is_false(d.paused)
    assert.has_error(function() d:unpause() end, "unpause: the Deferred is not paused")
  end)

  it("gives its outcome to another by chainDeferred", function()
    local seen, record = recorder()
    local first, second = Deferred(), Deferred()
    second:addCallback(record)
    first:chainDeferred(second):addCallback(record)
    first:callback("x")
    assert.same({ "x", "nil" }, seen)
    local failed = Deferred():addErrback(function(f) record(f.value) end)
    fail("y"):chainDeferred(failed)
    assert.equal("y", seen[3])
  end)

  it("is text that tells its state", function()
    local d, inner = Deferred(), Deferred()
    assert.matches("^<Deferred at 0x%x+>$", tostring(d))
    d:callback("a")
    assert.matches("^<Deferred at 0x%x+ current result: 'a'>$", tostring(d))
    assert.matches("^<Deferred at 0x%x+ current result: nil>$", tostring(succeed()))
    local waiting = succeed():addCallback(function() return inner end)
    assert.matches("^<Deferred at 0x%x+ waiting on Deferred at 0x%x+>$", tostring(waiting))
    assert.equal(inner, waiting.result)
  end)
end)

describe("Deferred, exactly as in Twisted", function()
  it("point 1: a callback that adds a callback does not run it inside itself", function()
    local seen, record = recorder()
    local d = Deferred()
    d:addCallback(function()
      record("first begins")
      d:addCallback(function() record("third") end)
      record("first ends")
    end)
    d:addCallback(function() record("second") end)
    d:callback()
    assert.same({ "first begins", "first ends", "second", "third" }, seen)
  end)

  it("point 2: the result of a fired Deferred that a callback returns is taken at once", function()
    local seen, record = recorder()
    local inner = succeed("stolen")
    succeed():addCallback(function() return inner end):addCallback(record)
    inner:addCallback(record)
    assert.same({ "stolen", "nil" }, seen)
    local broken = fail("lost")
    local events = reported(function()
      succeed():addCallback(function() return broken end):addErrback(ignore)
      broken = nil
    end)
    assert.same({}, events)
  end)

  it("point 3: a fired Deferred that is paused, or waits, is waited for", function()
    local seen, record = recorder()
    local inner = Deferred()
    inner:pause()
    inner:callback("paused")
    succeed():addCallback(function() return inner end):addCallback(record)
    assert.same({}, seen)
    inner:unpause()
    assert.same({ "paused" }, seen)

    local last = Deferred()
    local middle = succeed():addCallback(function() return last end)
    succeed():addCallback(function() return middle end):addCallback(record)
    assert.same({ "paused" }, seen)
    last:callback("last")
    assert.same({ "paused", "last" }, seen)
  end)

  it("point 4: one that is paused when a result reaches it does not hold the inner one up", function()
    local seen, record = recorder()
    local outer, inner = Deferred(), Deferred()
    outer:addCallback(function() return inner end):addCallback(record, "outer")
    outer:callback()
    inner:addCallback(record, "inner")
    outer:pause()
    inner:callback("x")
    assert.same({ { nil, "inner" } }, seen)
    outer:unpause()
    assert.same({ "x", "outer" }, seen[2])
  end)

  it("point 5: callbacks added to the inner one before it was returned run first", function()
    local seen, record = recorder()
    local inner = Deferred()
    inner:addCallback(function(value) record("before " .. value) return value end)
    local outer = succeed():addCallback(function() return inner end)
    outer:addCallback(function(value) record("outer " .. value) end)
    inner:addCallback(function(value) record("after " .. tostring(value)) end)
    inner:callback("x")
    assert.same({ "before x", "outer x", "after nil" }, seen)
  end)

  it("point 6: a chain of a million takes no stack, whichever end it is built from #big", function()
    local count = 1000000
    local last = Deferred()
    local d = last
    for _ = 1, count do
      local inner = d
      d = succeed():addCallback(function() return inner end)
    end
    local got
    d:addCallback(function(value) got = value end)
    last:callback("through")
    assert.equal("through", got)

    local first = Deferred()
    local depth = 0
    local function deeper()
      depth = depth + 1
      if depth < count then return first and succeed():addCallback(deeper) end
      return "bottom"
    end
    depth = count - 100
    first:addCallback(deeper):addCallback(function(value) got = value end)
    first:callback()
    assert.equal("bottom", got)
  end)

  it("point 6: so does one whose members have callbacks of their own after the hand-over #big", function()
    local count, later = 100000, 0
    local last = Deferred()
    local d = last
    for _ = 1, count do
      local inner = d
      d = succeed():addCallback(function() return inner end)
      inner:addCallback(function(value)
        assert(value == nil)
        later = later + 1
      end)
    end
    local got
    d:addCallback(function(value) got = value end)
    last:callback("through")
    assert.equal("through", got)
    assert.equal(count, later)
  end)

  it("point 6: chainDeferred takes no stack either #big", function()
    local first = Deferred()
    local d, got = first, nil
    for _ = 1, 100000 do
      local following = Deferred()
      d:chainDeferred(following)
      d = following
    end
    d:addCallback(function(value) got = value end)
    first:callback("through")
    assert.equal("through", got)
  end)

  it("point 7: an errback does not see the error of the callback of its own pair", function()
    local seen, record = recorder()
    local d = Deferred()
    d:addCallbacks(function() error("mine", 0) end, function() record("same pair") end)
    d:addErrback(function(f) record(f.value) end)
    d:callback()
    assert.same({ "mine" }, seen)
  end)

  it("point 8: who fires sees no error of a callback", function()
    local d = Deferred()
    d:addCallback(function() error("inside") end)
    assert.is_nil(d:callback(1))
    assert.is_true(failure.isFailure(d.result))
    d:addErrback(ignore)
  end)

  it("point 9: after a cancellation nobody knew of, exactly one late result is ignored", function()
    for _, late in ipairs { "callback", "errback" } do
      local d = Deferred()
      d:addErrback(ignore)
      d:cancel()
      d[late](d, "late")
      assert.has_error(function() d:callback("later") end)
      assert.has_error(function() d:errback("later") end)
    end
    local known = Deferred(ignore)
    known:addErrback(ignore)
    known:cancel()
    local ok, err = pcall(known.callback, known, "late")
    assert.is_false(ok)
    assert.is_true(err:is(defer.AlreadyCalledError))
  end)

  it("point 10: a canceller may choose the outcome, and is asked once", function()
    local seen, record = recorder()
    local asked = 0
    local d = Deferred(function(self) asked = asked + 1 self:callback("instead") end)
    d:addCallback(record)
    d:cancel() d:cancel()
    local e = Deferred(function(self) self:errback("other") end)
    e:addErrback(function(f) record(f.value) end)
    e:cancel()
    local c = Deferred(ignore)
    c:addErrback(function(f) record(f:check(defer.CancelledError)) end)
    c:cancel()
    assert.same({ "instead", "other", defer.CancelledError }, seen)
    assert.equal(1, asked)
  end)

  it("point 10: the error of a canceller reaches who cancels, and nothing has changed", function()
    local d = Deferred(function() error("cannot", 0) end)
    assert.has_error(function() d:cancel() end, "cannot")
    assert.is_false(d.called)
    d:callback("still")
    assert.equal("still", d.result)
  end)

  it("point 11: cancelling one that waits cancels what it waits for", function()
    local seen, record = recorder()
    local inner = Deferred(function() record("inner's canceller") end)
    local outer = Deferred(function() record("outer's canceller") end)
    outer:addCallback(function() return inner end)
    outer:addErrback(function(f) record(f:check(defer.CancelledError)) end)
    outer:callback()
    outer:cancel()
    assert.same({ "inner's canceller", defer.CancelledError }, seen)
  end)

  it("point 12: firing lets go of the canceller", function()
    local gone = setmetatable({}, { __mode = "k" })
    local d
    do
      local held = {}
      gone[held] = true
      d = Deferred(function() return held end)
    end
    d:callback(1)
    collectgarbage() collectgarbage()
    assert.is_nil(next(gone))
    assert.equal(1, d.result)
  end)

  it("point 14: a failure that is left is reported once, when the Deferred is collected", function()
    local events = reported(function() fail("left") end)
    assert.equal(1, #events)
    assert.equal("left", events[1].failure.value)
    assert.matches("Unhandled error in Deferred", events[1].text, 1, true)
    assert.same({}, reported(function() end))
  end)

  it("point 14: it is not if an errback comes in time, or another Deferred has it", function()
    assert.same({}, reported(function()
      local d = fail("late")
      d:addCallback(ignore)
      d:addErrback(ignore)
    end))
    assert.same({}, reported(function()
      fail("moved"):chainDeferred(Deferred():addErrback(ignore))
    end))
    assert.equal(1, #reported(function()
      local inner = fail("handed over")
      succeed():addCallback(function() return inner end)
    end))
  end)
end)

describe("Deferred, used wrongly", function()
  it("refuses a second firing", function()
    local d = succeed(1)
    for _, fire in ipairs { "callback", "errback" } do
      local ok, err = pcall(d[fire], d, 2)
      assert.is_false(ok)
      assert.is_true(err:is(defer.AlreadyCalledError))
    end
    assert.equal(1, d.result)
  end)

  it("tells where it was made and fired when debugging", function()
    defer.setDebugging(true)
    local d = Deferred()
    d:callback(1)
    defer.setDebugging(false)
    local _, err = pcall(d.callback, d, 2)
    assert.matches("C: created here:.*deferred_spec.lua.*I: fired here:.*deferred_spec.lua", tostring(err))
    assert.is_false(defer.getDebugging())
  end)

  it("reports what is left at the end of the turn when debugging", function()
    local kept = {}
    local events = reported(function()
      defer.setDebugging(true)
      kept[1] = fail("early")
      defer.setDebugging(false)
    end)
    assert.equal(1, #events)
    assert.matches("C: created here:", events[1].text, 1, true)
    assert.equal("early", kept[1].result.value)
    assert.same({}, reported(function() kept[1] = nil end))
  end)

  it("refuses a Deferred as its result, and an errback without an error", function()
    assert.has_error(function() Deferred():callback(Deferred()) end)
    local ok, err = pcall(function() Deferred():errback() end)
    assert.is_false(ok)
    assert.is_true(err:is(defer.NoCurrentExceptionError))
  end)

  it("fails when a callback returns its own Deferred", function()
    local caught
    local d = Deferred()
    d:addCallback(function() return d end)
    d:addErrback(function(f) caught = f:check(defer.CircularDeferredError) end)
    d:callback()
    assert.equal(defer.CircularDeferredError, caught)
  end)

  it("refuses callbacks that cannot be called", function()
    local d = Deferred()
    for _, method in ipairs { "addCallback", "addErrback", "addBoth", "addCallbacks" } do
      assert.has_error(function() d[method](d, "text") end)
    end
    assert.has_error(function() d:addCallback() end)
    assert.has_error(function() d.addCallback({}, ignore) end)
    assert.has_error(function() d:chainDeferred({}) end)
    assert.has_error(function() Deferred("canceller") end)
    local callable = setmetatable({}, { __call = function(_, value) return value * 2 end })
    assert.equal(4, d:addCallback(callable):callback(2) or d.result)
  end)
end)

describe("Deferred, from inside its own chain", function()
  it("runs nested firings, additions and pauses", function()
    local seen, record = recorder()
    local a, b = Deferred(), Deferred()
    a:addCallback(function()
      b:callback("b")
      record("a1")
      a:pause()
    end)
    a:addCallback(function() record("a2") end)
    b:addCallback(record)
    a:callback()
    assert.same({ "b", "a1" }, seen)
    a:unpause()
    assert.same({ "b", "a1", "a2" }, seen)
  end)

  it("survives a callback of the outer one that adds to the inner one", function()
    local seen, record = recorder()
    local inner = Deferred()
    local outer = succeed():addCallback(function() return inner end)
    inner:addCallback(record, "inner 1")
    outer:addCallback(function()
      inner:addCallback(record, "inner 2")
      record("outer")
    end)
    inner:callback()
    assert.same({ { nil, "inner 1" }, { nil, "inner 2" }, "outer" }, seen)
  end)

  it("survives one that waits again for what has just handed over to it", function()
    local seen, record = recorder()
    local inner, other = Deferred(), Deferred()
    local outer = succeed():addCallback(function() return inner end)
    inner:addCallback(function() return other end)
    inner:addCallback(record, "inner")
    outer:addCallback(function(value)
      record("outer " .. value)
      return inner
    end):addCallback(record, "end")
    inner:callback("x")
    other:callback("y")
    assert.same({ "outer x", { "y", "inner" }, { nil, "end" } }, seen)
  end)

  it("keeps everything alive that it needs while the collector works", function()
    local got
    local last = Deferred()
    local d = last
    for i = 1, 2000 do
      local inner = d
      d = succeed():addCallback(function() return inner end)
      if i % 2 == 0 then inner:addBoth(function(v) collectgarbage("step") return v end) end
    end
    d:addCallback(function(value) got = value .. "" end)
    collectgarbage()
    last:callback(("x"):rep(20))
    assert.equal(("x"):rep(20), got)
  end)
end)
