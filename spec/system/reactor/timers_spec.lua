-- SPDX-License-Identifier: MIT
-- timers_spec.lua -- callLater and delayed calls on the real reactor.
local errors  = require "twistlua.error"
local reactor = require "twistlua.reactor"
local async   = require("twistlua.test.async")
local defer   = require "twistlua.defer"
local socket  = require "twistlua.socket"

local it_waits = function(text, body) it(text, async.async(body)) end
local await = defer.await

-- A Deferred that fires when a call of `delay` seconds, made now, has run.
local function later(delay)
  local done = defer.Deferred()
  reactor:callLater(delay, function() done:callback() end)
  return done
end

local function raised(class, f, ...)
  local ok, problem = pcall(f, ...)
  assert.is_false(ok)
  assert.is_true(type(problem) == "table" and problem:is(class), tostring(problem))
end

-- pcall without the harness's own function, which notes the line of each call, in between.
local function pcallBare(f)
  local noting = rawget(reactor, "callLater")
  reactor.callLater = nil
  local ok, message = pcall(f)
  reactor.callLater = noting
  return ok, message
end

describe("callLater", function()
  local order
  before_each(function() order = {} end)

  local function note(name) order[#order + 1] = name end

  it_waits("calls once, with the arguments, nil among them", function()
    local calls = {}
    reactor:callLater(0, function(...) calls[#calls + 1] = table.pack(...) end, "a", nil, "c", nil)
    assert.same({}, calls)
    await(later(0.002))
    assert.same({ { "a", nil, "c", nil, n = 4 } }, calls)
  end)

  it_waits("calls by due time, and in the order of asking where that is the same", function()
    reactor:callLater(0.004, note, "last")
    reactor:callLater(0.002, note, "third")
    reactor:callLater(0, note, "first")
    reactor:callLater(0, note, "second")
    await(later(0.006))
    assert.same({ "first", "second", "third", "last" }, order)
  end)

  it_waits("keeps a thousand calls of random delays in order", function()
    local count, last = 0, 0
    local rightOrder = true
    for _ = 1, 1000 do
      local call
      call = reactor:callLater(math.random() * 0.01, function()
        rightOrder = rightOrder and call:getTime() >= last
        last, count = call:getTime(), count + 1
      end)
    end
    await(later(0.02))
    assert.equal(1000, count)
    assert.is_true(rightOrder)
  end)

  it("never calls before the time has come", function()
    local seen
    local call = reactor:callLater(0.005, function() seen = reactor:seconds() end)
    local due = call:getTime()
    while not seen do reactor:iterate(1) end
    assert.is_true(seen >= due)
  end)

  it("calls what has no delay once in a turn, though it asks again", function()
    local count, call = 0, nil
    local function again()
      count = count + 1
      call = reactor:callLater(0, again)
    end
    again()
    for turn = 1, 5 do
      reactor:iterate(0)
      assert.equal(1 + turn, count)
    end
    call:cancel()
  end)

  it_waits("leaves descriptors their turn between calls without a delay", function()
    local listening = assert(socket.listen("127.0.0.1", 0))
    local sender = assert(socket.connect("127.0.0.1", listening:getsockname().port))
    listening:setBlocking(true)
    local receiver = assert(listening:accept())
    local between = 0
    local done = defer.Deferred()
    local reader = { fileno = function() return receiver:fileno() end }
    function reader.doRead()
      reactor:removeReader(reader)
      done:callback()
    end
    reactor:addReader(reader)
    local call
    local function again()
      between = between + 1
      call = reactor:callLater(0, again)
    end
    sender:setBlocking(true)
    assert(sender:sendall("x"))
    again()
    await(done)
    call:cancel()
    assert.is_true(between <= 3, between .. " calls before the reader had its turn")
    for _, open in ipairs { listening, sender, receiver } do open:close() end
  end)

  it_waits("logs what a call raises, and makes the other calls", function()
    reactor:callLater(0, function() error("first trouble") end)
    reactor:callLater(0, note, "between")
    reactor:callLater(0, function() error(errors.ConnectError("second trouble")) end)
    reactor:callLater(0, note, "behind")
    await(later(0.002))
    assert.same({ "between", "behind" }, order)
    local logged = async.flushLoggedErrors()
    assert.equal(2, #logged)
    assert.matches("first trouble", logged[1]:getTraceback(), 1, true)
    assert.matches("timers_spec.lua", logged[1]:getTraceback(), 1, true)
    assert.is_truthy(logged[2]:check(errors.ConnectError))
  end)

  it_waits("takes anything that can be called", function()
    reactor:callLater(0, setmetatable({}, { __call = function(_, name) note(name) end }), "called")
    await(later(0.002))
    assert.same({ "called" }, order)
  end)

  for name, delay in pairs {
    ["a negative delay"] = -0.001, ["NaN"] = 0 / 0, ["infinity"] = math.huge,
    ["minus infinity"] = -math.huge, ["a text"] = "soon", ["a table"] = {}, ["nil"] = false,
  } do
    it("refuses " .. name .. " on the caller's line", function()
      local ok, message = pcallBare(function() reactor:callLater(delay or nil, note, "never") end)
      assert.is_false(ok)
      assert.matches("^[^:]*timers_spec%.lua:%d+: bad argument #1 to 'callLater'", message)
      assert.same({}, reactor:getDelayedCalls())
    end)
  end

  for name, given in pairs { ["nothing"] = {}, ["nil"] = { nil, n = 1 }, ["a text"] = { "f", n = 1 },
                             ["a table"] = { {}, n = 1 } } do
    it("refuses " .. name .. " in place of a function", function()
      local ok, message = pcallBare(function() reactor:callLater(0, table.unpack(given, 1, given.n)) end)
      assert.is_false(ok)
      assert.matches("timers_spec%.lua:%d+: .*function expected", message)
      assert.same({}, reactor:getDelayedCalls())
    end)
  end

  it("takes many arguments, and refuses more than it can keep", function()
    local last
    local many = { [60000] = "last" }
    reactor:callLater(0, function(...) last = select(60000, ...) end, table.unpack(many, 1, 60000))
    while not last do reactor:iterate(1) end
    assert.equal("last", last)
    assert.has_error(function() reactor:callLater(0, note, table.unpack({}, 1, 60001)) end)
    assert.has_error(function() reactor:callLater(0, note, table.unpack({}, 1, 70000)) end)
    assert.same({}, reactor:getDelayedCalls())
  end)

  it("is not disturbed by a call that is due after the end of time", function()
    local far = { reactor:callLater(1e10, note, "never"), reactor:callLater(1e299, note, "never") }
    reactor:callLater(0.001, note, "now")
    while #order == 0 do reactor:iterate(1) end
    assert.same({ "now" }, order)
    for _, call in ipairs(far) do
      assert.is_true(call:active())
      call:cancel()
    end
  end)

  it("makes the calls of a turn whose first one wants the loop to end", function()
    reactor:callLater(0, function()
      note("ends")
      reactor:crash()
    end)
    reactor:callLater(0, note, "too")
    reactor:run { installSignalHandlers = false }
    reactor:iterate(0)
    assert.same({ "ends", "too" }, order)
  end)
end)

describe("a delayed call", function()
  local called, call
  before_each(function() called = 0 end)
  after_each(function()
    if call and call:active() then call:cancel() end
    call = nil
  end)

  local function count() called = called + 1 end

  local function runUntilCalled()
    while called == 0 do reactor:iterate(1) end
  end

  it("tells when it is due on the reactor's clock", function()
    local before = reactor:seconds()
    call = reactor:callLater(5, count)
    local after = reactor:seconds()
    assert.is_true(call:getTime() >= before + 5 and call:getTime() <= after + 5)
  end)

  it("is active until it is called", function()
    call = reactor:callLater(0, function()
      count()
      assert.is_false(call:active())
    end)
    assert.is_true(call:active())
    runUntilCalled()
    assert.is_false(call:active())
    assert.same({}, async.flushLoggedErrors())
  end)

  it("is not made when it was cancelled", function()
    call = reactor:callLater(0, count)
    call:cancel()
    assert.is_false(call:active())
    reactor:iterate(0)
    reactor:iterate(0)
    assert.equal(0, called)
  end)

  it("raises AlreadyCancelled when it was cancelled", function()
    call = reactor:callLater(1, count)
    call:cancel()
    raised(errors.AlreadyCancelled, call.cancel, call)
    raised(errors.AlreadyCancelled, call.reset, call, 1)
    raised(errors.AlreadyCancelled, call.delay, call, 1)
  end)

  it("raises AlreadyCalled when it was called", function()
    call = reactor:callLater(0, count)
    runUntilCalled()
    raised(errors.AlreadyCalled, call.cancel, call)
    raised(errors.AlreadyCalled, call.reset, call, 1)
    raised(errors.AlreadyCalled, call.delay, call, 1)
  end)

  it("raises AlreadyCalled inside the call", function()
    local problem
    call = reactor:callLater(0, function()
      count()
      problem = select(2, pcall(call.cancel, call))
    end)
    runUntilCalled()
    assert.is_true(problem:is(errors.AlreadyCalled))
  end)

  it("can be put off, counting from now", function()
    call = reactor:callLater(0, count)
    call:reset(60)
    reactor:iterate(0)
    reactor:iterate(0)
    assert.equal(0, called)
    assert.is_true(call:getTime() > reactor:seconds() + 50)
  end)

  it("can be brought forward", function()
    call = reactor:callLater(60, count)
    call:reset(0)
    runUntilCalled()
    assert.equal(1, called)
  end)

  it("can be moved from where it was", function()
    call = reactor:callLater(30, count)
    local due = call:getTime()
    call:delay(10)
    assert.near(due + 10, call:getTime(), 1e-6)
    call:delay(-20)
    assert.near(due - 10, call:getTime(), 1e-6)
    call:delay(-60)
    runUntilCalled()
    assert.equal(1, called)
  end)

  it("stays as it was when the new time is none", function()
    call = reactor:callLater(60, count)
    local due = call:getTime()
    for _, bad in ipairs { -1, 0 / 0, math.huge, "x", {} } do
      assert.is_false(pcall(call.reset, call, bad))
      if bad ~= -1 then assert.is_false(pcall(call.delay, call, bad)) end
    end
    assert.is_false(pcall(call.reset, call))
    assert.is_false(pcall(call.delay, call))
    assert.equal(due, call:getTime())
    assert.is_true(call:active())
  end)

  it("can cancel one that is due in the same turn", function()
    local other
    reactor:callLater(0, function()
      count()
      other:cancel()
    end)
    other = reactor:callLater(0, count)
    reactor:iterate(0)
    reactor:iterate(0)
    assert.equal(1, called)
  end)

  it("can put off one that is due in the same turn", function()
    reactor:callLater(0, function()
      count()
      call:reset(60)
    end)
    call = reactor:callLater(0, count)
    reactor:iterate(0)
    reactor:iterate(0)
    assert.equal(1, called)
    assert.is_true(call:active())
  end)

  it("lets go of its function and arguments when it is over", function()
    local kept = setmetatable({}, { __mode = "k" })
    local function make(delay)
      local argument = {}
      kept[argument] = true
      return reactor:callLater(delay, function() count() end, argument)
    end
    local cancelled = make(60)
    call = make(0)
    cancelled:cancel()
    runUntilCalled()
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(kept))
  end)

  it("is kept while it is pending, though nobody else holds it", function()
    reactor:callLater(0, count)
    collectgarbage()
    collectgarbage()
    runUntilCalled()
    assert.equal(1, called)
  end)

  it("says in its text what has become of it", function()
    call = reactor:callLater(60, count)
    assert.matches("pending", tostring(call))
    call:cancel()
    assert.matches("cancelled", tostring(call))
    call = reactor:callLater(0, count)
    runUntilCalled()
    assert.matches("called", tostring(call))
  end)

  it("refuses to be called on anything else", function()
    call = reactor:callLater(60, count)
    assert.is_false(pcall(call.cancel, {}))
    assert.is_false(pcall(call.cancel, io.stdout))
    assert.is_false(pcall(call.cancel))
    assert.is_true(call:active())
  end)
end)

describe("getDelayedCalls", function()
  it("lists those that are pending, and no others", function()
    local called, cancelled = reactor:callLater(0, function() end), reactor:callLater(1, function() end)
    local pending = {}
    for delay = 60, 61 do pending[reactor:callLater(delay, function() end)] = true end
    cancelled:cancel()
    while called:active() do reactor:iterate(1) end
    local listed = {}
    for _, call in ipairs(reactor:getDelayedCalls()) do listed[call] = true end
    assert.same(pending, listed)
    for call in pairs(pending) do call:cancel() end
    assert.same({}, reactor:getDelayedCalls())
  end)
end)

describe("seconds", function()
  it("never goes back", function()
    local last = reactor:seconds()
    for _ = 1, 1000 do
      local now = reactor:seconds()
      assert.is_true(now >= last)
      last = now
    end
  end)
end)
