-- SPDX-License-Identifier: MIT
-- defer_spec.lua -- Deferreds made of calls, timeouts, lists of Deferreds, locks and queues.

local defer   = require "twistlua.defer"
local failure = require "twistlua.failure"
local log     = require "twistlua.log"
local reactor = require "twistlua.reactor"
local Clock   = require("twistlua.task").Clock

local Deferred, succeed, fail = defer.Deferred, defer.succeed, defer.fail

local function ignore() end

-- The result of a Deferred that was fired; a Failure stands for itself.
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

local function raised(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return err
end

local function errorsLogged(f)
  local events = {}
  local function observer(event)
    if event.isError then events[#events + 1] = event end
  end
  log.addObserver(observer)
  f()
  collectgarbage() collectgarbage()
  reactor:iterate(0)
  log.removeObserver(observer)
  return events
end

describe("maybeDeferred", function()
  it("makes a Deferred of whatever a function does", function()
    assert.equal(3, resultOf(defer.maybeDeferred(function(a, b) return a + b end, 1, 2)))
    assert.equal("no", errorOf(defer.maybeDeferred(error, "no", 0)))
    assert.equal("f", errorOf(defer.maybeDeferred(function() return failure.Failure("f") end)))
    local d = succeed(1)
    assert.equal(d, defer.maybeDeferred(function() return d end))
    local pending = Deferred()
    local co = defer.maybeDeferred(function()
      return coroutine.create(function() return defer.await(pending) end)
    end)
    pending:callback("from a coroutine")
    assert.equal("from a coroutine", resultOf(co))
  end)

  it("has a simple sister: execute", function()
    assert.equal(3, resultOf(defer.execute(math.max, 1, 3)))
    assert.equal("no", errorOf(defer.execute(error, "no", 0)))
  end)
end)

describe("addTimeout", function()
  it("point 13: fails with TimeoutError when the time is up", function()
    local clock, d = Clock(), Deferred()
    assert.equal(d, d:addTimeout(10, clock))
    clock:advance(9)
    assert.is_false(d.called)
    clock:advance(1)
    local err = errorOf(d)
    assert.is_true(err:is(defer.TimeoutError))
    assert.matches("10 seconds, Deferred", tostring(err), 1, true)
    assert.same({}, clock:getDelayedCalls())
  end)

  it("point 13: does nothing when there is a result in time", function()
    local clock, d = Clock(), Deferred()
    d:addTimeout(10, clock)
    d:callback("in time")
    assert.equal("in time", resultOf(d))
    assert.same({}, clock:getDelayedCalls())
    local e = Deferred()
    e:addTimeout(10, clock)
    e:errback("failed in time")
    assert.equal("failed in time", errorOf(e))
    assert.same({}, clock:getDelayedCalls())
  end)

  it("point 13: leaves a cancellation by the user as it is", function()
    local clock, d = Clock(), Deferred()
    d:addTimeout(10, clock)
    d:cancel()
    assert.is_true(errorOf(d):is(defer.CancelledError))
    assert.same({}, clock:getDelayedCalls())
  end)

  it("point 13: takes what onTimeoutCancel makes of it", function()
    local clock, d, given = Clock(), Deferred(), nil
    d:addTimeout(1, clock, function(value, seconds)
      given = { value:check(defer.CancelledError), seconds }
      return "instead"
    end)
    clock:advance(1)
    assert.equal("instead", resultOf(d))
    assert.same({ defer.CancelledError, 1 }, given)
  end)

  it("point 13: an errback that was added before may handle it", function()
    local clock, d = Clock(), Deferred()
    d:addErrback(function() return "handled" end)
    d:addTimeout(1, clock)
    clock:advance(1)
    assert.equal("handled", resultOf(d))
  end)

  it("point 13: covers the callbacks before it, and not those after it", function()
    local clock, slow, later = Clock(), Deferred(), Deferred()
    local d = succeed():addCallback(function() return slow end)
    d:addTimeout(1, clock)
    clock:advance(1)
    assert.is_true(errorOf(d):is(defer.TimeoutError))
    d = succeed(1):addTimeout(1, clock):addCallback(function() return later end)
    clock:advance(2)
    assert.is_false(later.called)
    later:callback("later")
    assert.equal("later", resultOf(d))
  end)

  it("point 13: lets a canceller's own result or error pass", function()
    local clock = Clock()
    local d = Deferred(function(self) self:callback("own") end):addTimeout(1, clock)
    local e = Deferred(function(self) self:errback("own error") end):addTimeout(1, clock)
    clock:advance(1)
    assert.equal("own", resultOf(d))
    assert.equal("own error", errorOf(e))
  end)
end)

describe("DeferredList", function()
  it("waits for all and keeps the order", function()
    local a, b, c = Deferred(), Deferred(), Deferred()
    local all = defer.DeferredList({ a, b, c })
    c:callback(3) a:callback(1)
    assert.is_false(all.called)
    b:callback(2)
    assert.same({ { true, 1 }, { true, 2 }, { true, 3 } }, resultOf(all))
    assert.same({}, resultOf(defer.DeferredList({})))
    assert.is_false(defer.DeferredList({}, { fireOnOneCallback = true }).called)
  end)

  it("point 15: members keep their failures, unless they are consumed", function()
    local events = errorsLogged(function()
      local result = resultOf(defer.DeferredList({ fail("kept") }))
      assert.equal("kept", result[1][2].value)
    end)
    assert.equal(1, #events)
    events = errorsLogged(function()
      local d = fail("consumed")
      local result = resultOf(defer.DeferredList({ d }, { consumeErrors = true }))
      assert.is_false(result[1][1])
      assert.is_nil(d.result)
    end)
    assert.same({}, events)
  end)

  it("point 16: flags count for members that were fired before", function()
    local first = defer.DeferredList({ Deferred(), succeed("b") }, { fireOnOneCallback = true })
    assert.same({ "b", 2 }, resultOf(first))
    local failing = defer.DeferredList({ Deferred(), fail("e") },
      { fireOnOneErrback = true, consumeErrors = true })
    local err = errorOf(failing)
    assert.is_true(err:is(defer.FirstError))
    assert.equal("e", err.subFailure.value)
    assert.equal(2, err.index)
  end)

  it("cancels all members", function()
    local a, b = Deferred(), Deferred()
    local all = defer.DeferredList({ a, b }, { consumeErrors = true })
    all:cancel()
    for _, result in ipairs(resultOf(all)) do
      assert.is_truthy(result[2]:check(defer.CancelledError))
    end
  end)

  it("logs the error of a member's canceller and asks the others", function()
    local asked = false
    local a = Deferred(function() error("cannot") end)
    local b = Deferred(function() asked = true end)
    local events = errorsLogged(function()
      local all = defer.DeferredList({ a, b }, { consumeErrors = true })
      all:cancel()
      assert.is_true(errorOf(all):is(defer.CancelledError))
    end)
    assert.equal(1, #events)
    assert.is_true(asked)
  end)

  it("point 17: cancelling one that has fired leaves the members alone", function()
    local a, b = Deferred(), Deferred()
    local first = defer.DeferredList({ a, b }, { fireOnOneCallback = true })
    a:callback("a")
    first:cancel()
    assert.is_false(b.called)
    b:callback("b")
    assert.same({ "a", 1 }, resultOf(first))
  end)

  it("refuses what is no list of Deferreds, and unknown options", function()
    assert.matches("expected a list of Deferreds, got nil", raised(defer.DeferredList))
    assert.matches("member 2 is no Deferred but a number", raised(defer.DeferredList, { Deferred(), 5 }))
    assert.matches("unknown option 'fireOnOne'", raised(defer.DeferredList, {}, { fireOnOne = true }))
  end)
end)

describe("gatherResults", function()
  it("is the list of the values, or the first error", function()
    assert.same({ 1, 2 }, resultOf(defer.gatherResults({ succeed(1), succeed(2) })))
    local err = errorOf(defer.gatherResults({ succeed(1), fail("x") }, { consumeErrors = true }))
    assert.equal("x", err.subFailure.value)
  end)
end)

describe("race", function()
  it("point 17: takes the first success and cancels the losers, whose results are ignored", function()
    local cancelled = {}
    local function member(name)
      return Deferred(function() cancelled[#cancelled + 1] = name end)
    end
    local a, b, c = member("a"), member("b"), member("c")
    local events = errorsLogged(function()
      local first = defer.race({ a, b, c })
      b:callback("won")
      assert.same({ 2, "won" }, resultOf(first))
      first:cancel()
    end)
    assert.same({ "a", "c" }, cancelled)
    assert.same({}, events)
  end)

  it("fails with all failures when all fail", function()
    local a, b = Deferred(), Deferred()
    local first = defer.race({ a, b })
    b:errback("second") a:errback("first")
    local err = errorOf(first)
    assert.is_true(err:is(defer.FailureGroup))
    assert.equal("first", err.failures[1].value)
    assert.equal("second", err.failures[2].value)
  end)

  it("cancels all members when it is cancelled", function()
    local a, b = Deferred(), Deferred()
    local first = defer.race({ a, b })
    first:cancel()
    assert.is_true(errorOf(first):is(defer.FailureGroup))
    assert.is_true(a.called and b.called)
    assert.matches("at least one Deferred", raised(defer.race, {}))
  end)
end)

describe("DeferredLock and DeferredSemaphore", function()
  it("let in as many as there are tokens, in order", function()
    local semaphore, entered = defer.DeferredSemaphore(2), {}
    for i = 1, 4 do semaphore:acquire():addCallback(function() entered[#entered + 1] = i end) end
    assert.same({ 1, 2 }, entered)
    semaphore:release()
    assert.same({ 1, 2, 3 }, entered)
    semaphore:release() semaphore:release() semaphore:release()
    assert.same({ 1, 2, 3, 4 }, entered)
    assert.equal(2, semaphore.tokens)
    for _, limit in ipairs { 0, -1, 1.5, "2" } do
      assert.has_error(function() defer.DeferredSemaphore(limit) end)
    end
  end)

  it("hand themselves to who comes in", function()
    local lock = defer.DeferredLock()
    assert.equal(lock, resultOf(lock:acquire()))
    assert.is_true(lock.locked)
    lock:release()
    assert.is_false(lock.locked)
  end)

  it("refuse to be released when nobody is in", function()
    for _, primitive in ipairs { defer.DeferredLock(), defer.DeferredSemaphore(1) } do
      assert.is_true(raised(primitive.release, primitive):is(defer.NotAcquiredError))
      primitive:acquire()
      primitive:release()
    end
  end)

  it("run a function and go out after its Deferred, or when it raises", function()
    local lock, inner = defer.DeferredLock(), Deferred()
    local first = lock:run(function(value) return inner, value end, 1)
    local second = lock:run(function() error("inside", 0) end)
    assert.is_true(lock.locked)
    inner:callback("done")
    assert.equal("done", resultOf(first))
    assert.equal("inside", errorOf(second))
    assert.is_false(lock.locked)
  end)

  it("point 18: a cancelled wait is taken out; cancelling one that was let in does nothing", function()
    local lock = defer.DeferredLock()
    local held, waiting, following = lock:acquire(), lock:acquire(), lock:acquire()
    waiting:cancel()
    assert.is_true(errorOf(waiting):is(defer.CancelledError))
    held:cancel()
    assert.is_true(lock.locked)
    lock:release()
    assert.equal(lock, resultOf(following))
  end)
end)

describe("DeferredQueue", function()
  it("hands objects over in order, nil and false as well", function()
    local queue, got = defer.DeferredQueue(), {}
    local function get() queue:get():addCallback(function(object) got[#got + 1] = tostring(object) end) end
    get()
    for _, object in ipairs { 1, 2, 3 } do queue:put(object) end
    queue:put(nil) queue:put(false)
    for _ = 1, 5 do get() end
    queue:put("last")
    assert.same({ "1", "2", "3", "nil", "false", "last" }, got)
  end)

  it("keeps to its size and its backlog", function()
    local queue = defer.DeferredQueue(2, 1)
    queue:put(1) queue:put(2)
    assert.is_true(raised(queue.put, queue, 3):is(defer.QueueOverflow))
    queue:get() queue:get()
    local waiting = queue:get()
    assert.is_true(raised(queue.get, queue):is(defer.QueueUnderflow))
    queue:put("x")
    assert.equal("x", resultOf(waiting))
    assert.is_true(raised(function() local q = defer.DeferredQueue(0) q:put(1) end):is(defer.QueueOverflow))
  end)

  it("point 18: a cancelled get loses no object", function()
    local queue = defer.DeferredQueue()
    local cancelled, waiting = queue:get(), queue:get()
    cancelled:addErrback(ignore)
    cancelled:cancel()
    queue:put("a") queue:put("b")
    assert.equal("a", resultOf(waiting))
    assert.equal("b", resultOf(queue:get()))
  end)
end)

describe("DeferredFilesystemLock", function()
  local path

  before_each(function()
    path = os.tmpname()
    os.remove(path)
  end)
  after_each(function() os.remove(path) end)

  it("is held by one at a time, who asks each second", function()
    local clock = Clock()
    local first, second = defer.DeferredFilesystemLock(path, clock), defer.DeferredFilesystemLock(path, clock)
    assert.is_true(first:lock())
    assert.is_true(first.clean)
    local waiting = second:deferUntilLocked()
    clock:advance(1)
    assert.is_false(waiting.called)
    first:unlock()
    clock:advance(1)
    assert.is_true(waiting.called and second.locked)
    second:unlock()
    assert.is_true(raised(second.unlock, second):is(defer.NotAcquiredError))
    assert.same({}, clock:getDelayedCalls())
  end)

  it("is taken over from a process that is no more", function()
    assert(os.execute(("ln -s 999999999 '%s'"):format(path)))
    local lock = defer.DeferredFilesystemLock(path)
    assert.is_true(lock:lock())
    assert.is_false(lock.clean)
    lock:unlock()
  end)

  it("is waited for once, for a time, or until cancelled", function()
    local clock = Clock()
    local holder, lock = defer.DeferredFilesystemLock(path), defer.DeferredFilesystemLock(path, clock)
    holder:lock()
    local waiting = lock:deferUntilLocked(2.5)
    assert.is_true(errorOf(lock:deferUntilLocked()):is(defer.AlreadyTryingToLockError))
    clock:pump({ 1, 1, 0.5 })
    assert.is_true(errorOf(waiting):is(defer.TimeoutError))
    waiting = lock:deferUntilLocked()
    waiting:cancel()
    assert.is_true(errorOf(waiting):is(defer.CancelledError))
    assert.same({}, clock:getDelayedCalls())
    holder:unlock()
  end)

  it("fails where there can be no lock", function()
    local err = errorOf(defer.DeferredFilesystemLock("/no/such/folder/lock"):deferUntilLocked())
    assert.equal("ENOENT", err.code)
  end)
end)
