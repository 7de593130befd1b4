-- SPDX-License-Identifier: MIT
-- inline_callbacks_spec.lua -- coroutines that await Deferreds.

local defer   = require "twistlua.defer"
local failure = require "twistlua.failure"
local log     = require "twistlua.log"
local reactor = require "twistlua.reactor"

local await, inlineCallbacks = defer.await, defer.inlineCallbacks
local Deferred, succeed, fail = defer.Deferred, defer.succeed, defer.fail

local function ignore() end

local function resultOf(d)
  assert.is_true(d.called)
  local result
  d:addBoth(function(value) result = value end)
  return result
end

local function errorOf(d)
  local result = resultOf(d)
  assert.is_true(failure.isFailure(result))
  return result.value
end

local function reported(f)
  local events = {}
  local function observer(event)
    if event.isError then events[#events + 1] = event end
  end
  log.addObserver(observer)
  f()
  for _ = 1, 3 do collectgarbage() end
  reactor:iterate(0)
  log.removeObserver(observer)
  return events
end

setup(function() collectgarbage() collectgarbage() reactor:iterate(0) end)

describe("inlineCallbacks", function()
  it("runs up to the first wait at once, and returns a Deferred of the result", function()
    local d, steps = Deferred(), {}
    local f = inlineCallbacks(function(a, b)
      steps[#steps + 1] = a
      steps[#steps + 1] = await(d)
      return b
    end)
    local result = f("begun", "result")
    assert.same({ "begun" }, steps)
    d:callback("awaited")
    assert.same({ "begun", "awaited" }, steps)
    assert.equal("result", resultOf(result))
  end)

  it("raises the error's own value at the wait", function()
    local value = {}
    local d = Deferred()
    local result = defer.run(function()
      local ok, err = pcall(await, d)
      return { ok, err }
    end)
    d:errback(value)
    assert.same({ false, value }, resultOf(result))
    assert.equal(value, errorOf(defer.run(function() await(fail(value)) end)))
  end)

  it("takes coroutine.yield as the tutorials write yield", function()
    local d, e = Deferred(), Deferred()
    local result = defer.run(function()
      local value = coroutine.yield(d)
      local ok, err = pcall(function() return coroutine.yield(e) end)
      local ok2, err2 = pcall(coroutine.yield, fail("at once"))
      return { value, ok, err, ok2, err2, coroutine.yield("bounces"), (coroutine.yield()) }
    end)
    d:callback("value") e:errback("error")
    assert.same({ "value", false, "error", false, "at once", "bounces" }, resultOf(result))
  end)

  it("leaves a hook alone that was set in the coroutine", function()
    local d, count = Deferred(), 0
    local result = defer.run(function()
      debug.sethook(function() count = count + 1 end, "c")
      local ok = pcall(coroutine.yield, d)
      local hook, mask = debug.gethook()
      debug.sethook()
      return { ok, hook ~= nil, mask }
    end)
    d:errback("x")
    assert.same({ false, true, "c" }, resultOf(result))
    assert.is_true(count > 0)
  end)

  it("fails its Deferred with what the function raises or returns as a Failure", function()
    assert.equal("x", errorOf(defer.run(error, "x", 0)))
    assert.equal("y", errorOf(defer.run(function() return failure.Failure("y") end)))
  end)

  it("waits for a Deferred that the function returns", function()
    local d = Deferred()
    local result = defer.run(function() return d end)
    assert.is_false(result.called)
    d:callback("later")
    assert.equal("later", resultOf(result))
    assert.equal("now", resultOf(defer.run(function() return succeed("now") end)))
    assert.equal("bad", errorOf(defer.run(function() return fail("bad") end)))
  end)

  it("ends by returnValue from anywhere in the function", function()
    local d = Deferred()
    local function finish(value) defer.returnValue(value) end
    local result = defer.run(function()
      finish(await(d))
      error("not reached")
    end)
    d:callback("returned")
    assert.equal("returned", resultOf(result))
    assert.has_error(function() defer.returnValue(1) end)
  end)

  it("point 19: awaiting consumes: the Deferred is left with nil, and its failure is not reported", function()
    for _, wait in ipairs { await, coroutine.yield } do
      local events = reported(function()
        local ready, pending = fail("ready"), Deferred()
        defer.run(function()
          pcall(wait, ready)
          pcall(wait, pending)
        end)
        pending:errback("pending")
        assert.is_nil(ready.result)
        assert.is_nil(pending.result)
      end)
      assert.same({}, events)
    end
    assert.equal("uncaught", errorOf(defer.run(function() await(fail("uncaught")) end)))
  end)

  it("point 20: any number of ready values and Deferreds takes no stack #big", function()
    local result = defer.run(function()
      local sum = 0
      for i = 1, 100000 do
        sum = sum + coroutine.yield(i) + await(succeed(1)) + coroutine.yield(succeed(1))
      end
      return sum
    end)
    assert.equal(100000 * 100001 // 2 + 200000, resultOf(result))
  end)

  it("point 20: coroutines that wait for each other, however many, take no stack #big", function()
    local d = Deferred()
    local function waitFor(other) return await(other) + 1 end
    local result = d
    for _ = 1, 20000 do result = defer.run(waitFor, result) end
    d:callback(0)
    assert.equal(20000, resultOf(result))
    d = Deferred()
    result = d
    for _ = 1, 20000 do result = defer.run(waitFor, result) end
    result:cancel()
    assert.is_true(errorOf(result):is(defer.CancelledError))
  end)

  it("point 20: so do locks that let one coroutine in after the other", function()
    local lock, order = defer.DeferredLock(), 0
    local gate = lock:acquire()
    for _ = 1, 1000 do
      defer.run(function()
        await(lock:acquire())
        order = order + 1
        lock:release()
      end)
    end
    gate:addCallback(function() lock:release() end)
    assert.equal(1000, order)
  end)

  it("point 20: coroutines that fire what the next one awaits all come to their end, and in order", function()
    local order, gates = {}, {}
    for i = 1, 301 do gates[i] = Deferred() end
    for i = 1, 300 do
      defer.run(function()
        local value = await(gates[i])
        gates[i + 1]:callback(value + 1)
        return i
      end):addCallback(function(value) order[#order + 1] = value end)
    end
    gates[1]:callback(0)
    assert.equal(300, resultOf(gates[301]))
    assert.equal(300, #order)
  end)

  it("point 22: on finishing lets go of arguments and frames", function()
    local gone = setmetatable({}, { __mode = "k" })
    local d = Deferred()
    local result
    do
      local argument = {}
      gone[argument] = true
      result = inlineCallbacks(function(held)
        local mine = { held }
        await(d)
        return #mine
      end)(argument)
    end
    d:callback()
    collectgarbage() collectgarbage()
    assert.is_nil(next(gone))
    assert.equal(1, resultOf(result))
  end)

  it("point 22: a failure that crossed several coroutines shows where each awaited", function()
    local deep = Deferred()
    local function three()
      local value = await(deep)
      if value then error("from the depth") end
      return value
    end
    local two = inlineCallbacks(function() return (await(defer.run(three))) end)
    local one = inlineCallbacks(function() return (coroutine.yield(two())) end)
    local result = one()
    deep:callback(true)
    local f = resultOf(result)
    local trace = f:getTraceback()
    local count = select(2, trace:gsub("  spec/lua/inline_callbacks_spec.lua:%d+: in", ""))
    assert.equal(3, count)
    assert.equal(2, select(2, trace:gsub("%(awaiting%)", "")))
    assert.is_nil(trace:find("[C]", 1, true))
    assert.is_nil(trace:find("twistlua/", 1, true))
    assert.matches("from the depth\n$", trace)
  end)

  it("refuses what is no function", function()
    assert.has_error(function() inlineCallbacks(nil) end)
    assert.has_error(function() defer.run("text") end)
  end)
end)

describe("point 21: cancelling a coroutine's Deferred", function()
  it("cancels what it awaits, and raises CancelledError there", function()
    local asked = 0
    local d = Deferred(function() asked = asked + 1 end)
    local result = defer.run(function() await(d) end)
    result:cancel()
    assert.equal(1, asked)
    assert.is_true(errorOf(result):is(defer.CancelledError))
  end)

  it("goes down through coroutines that await each other", function()
    local asked = 0
    local d = Deferred(function() asked = asked + 1 end)
    local function level(n)
      if n == 0 then return await(d) end
      return await(defer.run(level, n - 1))
    end
    local result = defer.run(level, 10)
    result:cancel()
    assert.equal(1, asked)
    assert.is_true(errorOf(result):is(defer.CancelledError))
  end)

  it("goes on to what a callback of the awaited Deferred waits for", function()
    local asked = 0
    local inner = Deferred(function() asked = asked + 1 end)
    local outer = succeed():addCallback(function() return inner end)
    local result = defer.run(function() await(outer) end)
    result:cancel()
    assert.equal(1, asked)
    assert.is_true(errorOf(result):is(defer.CancelledError))
  end)

  it("lets the function turn the error into another, or into a value", function()
    local function translating(translate)
      return defer.run(function()
        local ok, err = pcall(await, Deferred())
        if not ok then return translate(err) end
      end)
    end
    local other = translating(function() error("translated", 0) end)
    other:cancel()
    assert.equal("translated", errorOf(other))
    local value = translating(function(err) return err:is(defer.CancelledError) end)
    value:cancel()
    assert.is_true(resultOf(value))
  end)

  it("does not fire the Deferred before the function has ended", function()
    local first, second = Deferred(), Deferred()
    local result = defer.run(function()
      pcall(await, first)
      return (await(second))
    end)
    result:cancel()
    assert.is_false(result.called)
    second:callback("in its own time")
    assert.equal("in its own time", resultOf(result))
  end)

  it("cancels the next wait when it is asked for again", function()
    local caught = 0
    local result = defer.run(function()
      for _ = 1, 3 do
        local ok = pcall(await, Deferred())
        if not ok then caught = caught + 1 end
      end
      return "ended"
    end)
    for i = 1, 3 do
      result:cancel()
      assert.equal(i, caught)
    end
    assert.equal("ended", resultOf(result))
    result:cancel()
  end)

  it("takes the outcome that a canceller chooses", function()
    local d = Deferred(function(self) self:callback("chosen") end)
    local result = defer.run(function() return (await(d)) end)
    result:cancel()
    assert.equal("chosen", resultOf(result))
    local e = Deferred(function(self) self:errback("chosen error") end)
    result = defer.run(function() return (await(e)) end)
    result:cancel()
    assert.equal("chosen error", errorOf(result))
  end)

  it("passes the error of a canceller to who cancels", function()
    local d = Deferred(function() error("cannot", 0) end)
    local result = defer.run(function() return (await(d)) end)
    assert.has_error(function() result:cancel() end, "cannot")
    assert.is_false(result.called)
    d:callback("after all")
    assert.equal("after all", resultOf(result))
  end)

  it("works with coroutine.yield", function()
    local result = defer.run(function()
      local ok, err = pcall(coroutine.yield, Deferred())
      return ok or err:is(defer.CancelledError)
    end)
    result:cancel()
    assert.is_true(resultOf(result))
  end)

  it("from inside the function waits for its next wait", function()
    local gate = Deferred()
    local result
    result = defer.run(function()
      await(gate)
      result:cancel()
      local ok, err = pcall(await, Deferred())
      return not ok and err:is(defer.CancelledError)
    end)
    gate:callback()
    assert.is_true(resultOf(result))
  end)

  it("ignores a late result of what was cancelled", function()
    local d = Deferred()
    local result = defer.run(function() await(d) end)
    result:cancel()
    result:addErrback(ignore)
    d:callback("late")
    assert.has_error(function() d:callback("too late") end)
  end)

  it("closes <close> variables, innermost first, and the Deferred fires after that", function()
    local order = {}
    local function closing(name)
      return setmetatable({}, { __close = function(_, err)
        order[#order + 1] = name .. (err and " with an error" or "")
      end })
    end
    local result = defer.run(function()
      local outer <close> = closing("outer")
      local inner <close> = closing("inner")
      await(Deferred())
      return { outer, inner }
    end)
    result:addErrback(function() order[#order + 1] = "fired" end)
    result:cancel()
    assert.same({ "inner with an error", "outer with an error", "fired" }, order)
  end)

  it("takes an error in __close for the outcome", function()
    local result = defer.run(function()
      local bad <close> = setmetatable({}, { __close = function() error("in close", 0) end })
      await(Deferred())
      return bad
    end)
    result:cancel()
    assert.equal("in close", errorOf(result))
  end)

  it("does nothing to one that has ended", function()
    local result = defer.run(function() return 1 end)
    result:cancel()
    assert.equal(1, resultOf(result))
  end)

  it("a coroutine's Deferred cannot be fired by hand", function()
    local result = defer.run(function() await(Deferred()) end)
    local ok, err = pcall(result.callback, result, 1)
    assert.is_false(ok)
    assert.matches("fired by its coroutine", tostring(err))
    result:addErrback(ignore)
    result:cancel()
  end)
end)

describe("await", function()
  it("does not yield where the Deferred has fired", function()
    local result = defer.run(function()
      local co = coroutine.running()
      local seen
      table.sort({ 2, 1 }, function(a, b)
        seen = coroutine.running() == co
        return a < b
      end)
      return seen and await(succeed("ready"))
    end)
    assert.equal("ready", resultOf(result))
  end)

  it("works in loops, metamethods and iterators", function()
    local d1, d2, d3 = Deferred(), Deferred(), Deferred()
    local adding = setmetatable({}, {
      __add = function(_, d) return (await(d)) end,
      __index = function(_, d) return (await(d)) end,
    })
    local result = defer.run(function()
      local sum = adding + d1
      sum = sum + adding[d2]
      for value in function(_, last) if not last then return (await(d3)) end end do sum = sum + value end
      return sum
    end)
    d1:callback(1) d2:callback(10) d3:callback(100)
    assert.equal(111, resultOf(result))
  end)

  it("leaves the generators of the function alone", function()
    local d = Deferred()
    local result = defer.run(function()
      local seen = {}
      for i in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) do
        seen[#seen + 1] = i
        if i == 2 then seen[#seen + 1] = await(d) end
      end
      return seen
    end)
    d:callback("between")
    assert.same({ 1, 2, "between", 3 }, resultOf(result))
  end)

  it("suspends the function when a generator awaits, at any depth", function()
    local pending
    local function numbers()
      return coroutine.wrap(function()
        for i = 1, 3 do
          pending = Deferred()
          coroutine.yield(await(pending) * i)
        end
      end)
    end
    local function doubled()
      local co = coroutine.create(function()
        for value in numbers() do coroutine.yield(2 * value) end
      end)
      return function()
        local ok, value = coroutine.resume(co)
        return assert(ok and value or ok) and value
      end
    end
    local result = defer.run(function()
      local sum = 0
      for value in doubled() do sum = sum + value end
      return sum
    end)
    for _ = 1, 3 do pending:callback(10) end
    assert.equal(2 * 10 * (1 + 2 + 3), resultOf(result))
  end)

  it("raises in a generator, which may handle the error or not", function()
    local d, e = Deferred(), Deferred()
    local result = defer.run(function()
      local next_value = coroutine.wrap(function()
        local _, err = pcall(await, d)
        coroutine.yield(err)
        await(e)
      end)
      local handled = next_value()
      local ok, err = pcall(next_value)
      return { handled, ok, err }
    end)
    d:errback("handled") e:errback({ "unhandled" })
    assert.same({ "handled", false, { "unhandled" } }, resultOf(result))
  end)

  it("works in a coroutine that nobody drives: its resumer goes on", function()
    local d, e, got = Deferred(), Deferred(), {}
    local co = coroutine.create(function()
      got[#got + 1] = await(d)
      got[#got + 1] = await(e)
    end)
    assert.is_true(coroutine.resume(co))
    assert.equal("suspended", coroutine.status(co))
    d:callback(1) e:callback(2)
    assert.same({ 1, 2 }, got)
    assert.equal("dead", coroutine.status(co))
  end)

  it("hands a Deferred to two that wait: the first gets its result, the other nil", function()
    local d, got = Deferred(), {}
    for i = 1, 3 do defer.run(function() got[i] = tostring(await(d)) end) end
    d:callback("once")
    assert.same({ "once", "nil", "nil" }, got)
  end)

  it("says what to do where it cannot wait", function()
    local function message(f, ...)
      local ok, err = pcall(f, ...)
      assert.is_false(ok)
      return tostring(err)
    end
    local main = coroutine.wrap(function()
      local failed
      succeed():addCallback(function() await(Deferred()) end):addErrback(function(f) failed = f.value end)
      return failed
    end)
    assert.matches("await cannot suspend the coroutine here.*return the Deferred", main())
    assert.matches("Deferred expected, got nil", message(await, nil))
    assert.matches("Deferred expected, got table", message(await, {}))
    assert.matches("Deferred expected, got no value", message(await))
    assert.matches("Deferred expected, got FILE*", message(await, io.stdout), 1, true)
  end)

  it("outside any coroutine is an error that names inlineCallbacks", function()
    local outcome
    local d = Deferred():addCallback(function(value) return value end)
    local co = coroutine.running()
    if select(2, coroutine.running()) then
      outcome = { pcall(await, d) }
      assert.matches("await outside a coroutine.*defer.inlineCallbacks", outcome[2])
    end
    assert.is_not_nil(co)
  end)

  it("is an error when the coroutine is resumed by hand", function()
    local d, thread = Deferred(), nil
    local result = defer.run(function()
      thread = coroutine.running()
      await(d)
    end)
    local ok, err = coroutine.resume(thread, "by hand")
    assert.is_false(ok)
    assert.matches("resumed by hand", err)
    d:callback()
    assert.matches("cannot resume dead coroutine", errorOf(result))
  end)

  it("that is never answered is reported when the coroutine is collected", function()
    local events = reported(function()
      defer.run(function()
        local lost = Deferred()
        await(lost)
      end)
    end)
    assert.equal(1, #events)
    assert.equal("A coroutine will never be resumed", events[1].text)
    assert.matches("inline_callbacks_spec.lua:%d+", events[1].failure:getTraceback())
    assert.same({}, reported(function()
      local d = Deferred()
      defer.run(function() await(d) end)
      d:callback()
    end))
  end)
end)

describe("ensureDeferred", function()
  it("drives a coroutine", function()
    local d = Deferred()
    local co = coroutine.create(function(a)
      return a .. await(d)
    end)
    local result = defer.ensureDeferred(co, "a")
    d:callback("b")
    assert.equal("ab", resultOf(result))
    assert.equal(defer.ensureDeferred, defer.fromCoroutine)
    assert.equal(d, defer.ensureDeferred(d))
  end)

  it("raises NotACoroutineError for anything else", function()
    local dead = coroutine.create(ignore)
    coroutine.resume(dead)
    for _, value in ipairs { 1, "x", {}, print, dead, coroutine.running() } do
      local ok, err = pcall(defer.ensureDeferred, value)
      assert.is_false(ok)
      assert.is_true(err:is(defer.NotACoroutineError))
    end
  end)
end)
