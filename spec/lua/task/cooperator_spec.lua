local defer  = require "twistlua.defer"
local errors = require "twistlua.error"
local task   = require "twistlua.task"

describe("Cooperator", function()
  local clock, cooperator, log

  -- Each slice is so many steps long.
  local function newCooperator(steps, started)
    clock, log = task.Clock(), {}
    return task.Cooperator {
      started = started,
      scheduler = function(f) return clock:callLater(1, f) end,
      terminationPredicateFactory = function()
        local left = steps
        return function()
          left = left - 1
          return left <= 0
        end
      end,
    }
  end

  before_each(function() cooperator = newCooperator(1) end)

  local function counter(name, last)
    local n = 0
    return function()
      if n == last then return nil end
      n = n + 1
      log[#log + 1] = name .. n
      return true
    end
  end

  local function outcomeOf(deferred)
    local outcome = {}
    deferred:addCallbacks(
      function(value) outcome.value = value end,
      function(failure) outcome.failure = failure end)
    return outcome
  end

  local function raisedBy(f, ...)
    local ok, raised = pcall(f, ...)
    assert.is_false(ok)
    return getmetatable(raised)
  end

  it("lets tasks take turns", function()
    cooperator:cooperate(counter("a", 2))
    cooperator:cooperate(counter("b", 3))
    assert.same({}, log)
    clock:pump { 1, 1, 1, 1, 1, 1, 1 }
    assert.same({ "a1", "b1", "a2", "b2", "b3" }, log)
  end)

  it("works until its slice is over", function()
    cooperator = newCooperator(3)
    cooperator:cooperate(counter("a", 5))
    clock:advance(1)
    assert.same({ "a1", "a2", "a3" }, log)
    assert.equal(1, #clock:getDelayedCalls())
    clock:advance(1)
    assert.equal(5, #log)
  end)

  it("fires with the iterator at its end, and needs no more time", function()
    local iterator = counter("a", 1)
    local outcome = outcomeOf(cooperator:coiterate(iterator))
    clock:advance(1)
    assert.is_nil(outcome.value)
    clock:advance(1)
    assert.equal(iterator, outcome.value)
    assert.same({}, clock:getDelayedCalls())
  end)

  it("works on coroutines, whatever they yield", function()
    local routine = coroutine.create(function()
      log[1] = "one"
      coroutine.yield()
      log[2] = "two"
    end)
    local outcome = outcomeOf(cooperator:coiterate(routine))
    clock:advance(1)
    assert.same({ "one" }, log)
    clock:advance(1)
    assert.same({ "one", "two" }, log)
    assert.equal(routine, outcome.value)
  end)

  it("waits for a Deferred that a coroutine yields", function()
    local waiting = defer.Deferred()
    local outcome = outcomeOf(cooperator:coiterate(coroutine.create(function() coroutine.yield(waiting) end)))
    clock:advance(1)
    assert.same({}, clock:getDelayedCalls())
    waiting:callback()
    clock:advance(1)
    assert.is_thread(outcome.value)
  end)

  it("waits for a Deferred that a step gives, while others go on", function()
    local waiting = defer.Deferred()
    local steps = 0
    cooperator:cooperate(function()
      steps = steps + 1
      return steps == 1 and waiting or nil
    end)
    cooperator:cooperate(counter("b", 9))
    clock:pump { 1, 1, 1 }
    assert.equal(1, steps)
    assert.same({ "b1", "b2" }, log)
    waiting:callback()
    clock:pump { 1, 1 }
    assert.equal(2, steps)
  end)

  it("fails with the failure of a Deferred", function()
    local waiting = defer.Deferred()
    local working = cooperator:cooperate(function() return waiting end)
    local outcome = outcomeOf(working:whenDone())
    clock:advance(1)
    waiting:errback(errors.UserError())
    assert.is_not_nil(outcome.failure:check(errors.UserError))
    assert.equal(task.TaskFailed, raisedBy(working.pause, working))
  end)

  it("fails with what a step raises, while others go on", function()
    local outcome = outcomeOf(cooperator:coiterate(function() error(errors.UserError()) end))
    local broken = outcomeOf(cooperator:coiterate(coroutine.create(function() error(errors.IOError()) end)))
    cooperator:cooperate(counter("b", 9))
    clock:pump { 1, 1, 1 }
    assert.is_not_nil(outcome.failure:check(errors.UserError))
    assert.is_not_nil(broken.failure:check(errors.IOError))
    assert.same({ "b1" }, log)
  end)

  it("pauses as often as it resumes", function()
    local working = cooperator:cooperate(counter("a", 9))
    working:pause()
    working:pause()
    assert.same({}, clock:getDelayedCalls())
    working:resume()
    assert.same({}, clock:getDelayedCalls())
    working:resume()
    clock:advance(1)
    assert.same({ "a1" }, log)
    assert.equal(task.NotPaused, raisedBy(working.resume, working))
  end)

  it("tells everybody who asked whenDone", function()
    local working = cooperator:cooperate(counter("a", 0))
    local first, second = outcomeOf(working:whenDone()), outcomeOf(working:whenDone())
    clock:advance(1)
    local late = outcomeOf(working:whenDone())
    assert.is_function(first.value)
    assert.equal(first.value, second.value)
    assert.equal(first.value, late.value)
    assert.equal(task.TaskDone, raisedBy(working.stop, working))
  end)

  it("stops a task", function()
    local working = cooperator:cooperate(counter("a", 9))
    local outcome = outcomeOf(working:whenDone())
    clock:advance(1)
    working:stop()
    clock:advance(1)
    assert.same({ "a1" }, log)
    assert.is_not_nil(outcome.failure:check(task.TaskStopped))
    assert.equal(task.TaskStopped, raisedBy(working.stop, working))
  end)

  it("lets a task stop itself and others in its step", function()
    local first, second
    first = cooperator:cooperate(function()
      second:stop()
      first:stop()
      return true
    end)
    second = cooperator:cooperate(counter("b", 9))
    cooperator:cooperate(counter("c", 1))
    outcomeOf(first:whenDone())
    outcomeOf(second:whenDone())
    clock:pump { 1, 1, 1 }
    assert.same({ "c1" }, log)
  end)

  it("stops all tasks, and refuses more until it starts again", function()
    local outcome = outcomeOf(cooperator:coiterate(counter("a", 9)))
    cooperator:stop()
    assert.is_false(cooperator.running)
    assert.is_not_nil(outcome.failure:check(task.SchedulerStopped))
    assert.same({}, clock:getDelayedCalls())
    local refused = outcomeOf(cooperator:coiterate(counter("b", 9)))
    assert.is_not_nil(refused.failure:check(task.SchedulerStopped))
    cooperator:start()
    cooperator:cooperate(counter("c", 9))
    clock:advance(1)
    assert.same({ "c1" }, log)
  end)

  it("may begin later", function()
    cooperator = newCooperator(1, false)
    cooperator:cooperate(counter("a", 9))
    clock:advance(5)
    assert.same({}, log)
    cooperator:start()
    clock:advance(1)
    assert.same({ "a1" }, log)
  end)

  it("refuses what is no iterator", function()
    assert.error_matches(function() cooperator:cooperate({}) end, "an iterator function .*, got table")
    assert.error_matches(function() cooperator:coiterate() end, "expected an iterator function .*, got nil")
    assert.error_matches(function() task.Cooperator { shceduler = print } end, "unknown option 'shceduler'")
  end)
end)
