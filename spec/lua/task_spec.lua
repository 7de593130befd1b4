local defer         = require "twistlua.defer"
local errors        = require "twistlua.error"
local log           = require "twistlua.log"
local task          = require "twistlua.task"
local MemoryReactor = require("twistlua.test").MemoryReactor

describe("deferLater", function()
  local clock, got
  before_each(function()
    clock, got = task.Clock(), nil
  end)

  it("fires with what the function returns, when its time has come", function()
    task.deferLater(clock, 3.5, function(a, b, c) return a .. tostring(b) .. c end, "po", nil, "em")
      :addCallback(function(value) got = value end)
    clock:advance(3.25)
    assert.is_nil(got)
    clock:advance(0.25)
    assert.equal("ponilem", got)
  end)

  it("waits for a Deferred that the function returns", function()
    local inner = defer.Deferred()
    task.deferLater(clock, 1, function() return inner end):addCallback(function(value) got = value end)
    clock:advance(1)
    assert.is_nil(got)
    inner:callback("poem")
    assert.equal("poem", got)
  end)

  it("fires with nil when there is no function", function()
    task.deferLater(clock, 1):addCallback(function(value) got = { value } end)
    clock:advance(1)
    assert.same({}, got)
  end)

  it("fails when the function raises", function()
    task.deferLater(clock, 1, function() error(errors.UserError()) end)
      :addErrback(function(failure) got = failure end)
    clock:advance(1)
    assert.is_not_nil(got:check(errors.UserError))
  end)

  it("removes its timer when cancelled", function()
    local called
    local waiting = task.deferLater(clock, 1, function() called = true end)
    waiting:addErrback(function(failure) got = failure end)
    waiting:cancel()
    assert.same({}, clock:getDelayedCalls())
    assert.is_not_nil(got:check(defer.CancelledError))
    assert.is_nil(called)
  end)
end)

describe("react", function()
  local reactor, status, logged
  local exit = os.exit

  before_each(function()
    reactor, status, logged = MemoryReactor(), nil, {}
    rawset(os, "exit", function(given, close) status = close and given end)
  end)
  after_each(function() rawset(os, "exit", exit) end)

  local function react(main, argv)
    local function observer(event) logged[#logged + 1] = event end
    log.beginLoggingTo {}   -- nothing to stderr
    log.addObserver(observer)
    task.react(main, argv, { reactor = reactor })
    log.removeObserver(observer)
  end

  it("runs until the Deferred fires, and exits with 0", function()
    react(function() return task.deferLater(reactor, 5, function() end) end)
    assert.equal(5, reactor:seconds())
    assert.is_true(reactor.hasStopped)
    assert.equal(0, status)
    assert.same({}, logged)
  end)

  it("hands over the arguments", function()
    local got
    react(function(...) got = { ... } end, { [0] = "script", "a", "b" })
    assert.same({ "a", "b" }, got)
    assert.equal(0, status)
  end)

  it("exits with 1 when the Deferred fails, and logs why", function()
    react(function() return task.deferLater(reactor, 1, function() error(errors.UserError()) end) end)
    assert.equal(1, status)
    assert.equal("main function encountered error", logged[1].text)
    assert.is_not_nil(logged[1].failure:check(errors.UserError))
  end)

  it("exits with 1 when main raises", function()
    react(function() error(errors.UserError()) end)
    assert.equal(1, status)
    assert.equal(1, #logged)
  end)

  it("exits with the status of a SystemExit, and logs nothing", function()
    react(function() error(errors.SystemExit(7)) end)
    assert.equal(7, status)
    assert.same({}, logged)
  end)

  it("exits with 0 when the reactor is stopped early", function()
    react(function()
      reactor:callLater(1, reactor.stop, reactor)
      return defer.Deferred()
    end)
    assert.equal(0, status)
    assert.equal(1, reactor:seconds())
  end)

  it("leaves a stop in progress alone when the Deferred fires during it", function()
    react(function()
      local ended = defer.Deferred()
      reactor:addSystemEventTrigger("before", "shutdown", function() ended:errback(errors.UserError()) end)
      reactor:callLater(1, reactor.stop, reactor)
      return ended
    end)
    assert.equal(1, status)
    assert.equal(1, #logged)
  end)
end)
