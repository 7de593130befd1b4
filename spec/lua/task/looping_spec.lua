local defer       = require "twistlua.defer"
local errors      = require "twistlua.error"
local task        = require "twistlua.task"

describe("LoopingCall", function()
  local clock, times, loop, ended, failed
  before_each(function()
    clock, times, ended, failed = task.Clock(), {}, nil, nil
  end)

  local function started(looping, interval, now)
    loop = looping
    loop.clock = clock
    loop:start(interval, now):addCallbacks(
      function(value) ended = value end,
      function(failure) failed = failure end)
  end

  local function note() times[#times + 1] = clock:seconds() end

  it("calls at once and then at each tick, with its arguments", function()
    local got = {}
    started(task.LoopingCall(function(...) got[#got + 1] = table.concat({ ... }) end, "a", "b"), 1)
    assert.same({ "ab" }, got)
    clock:pump { 0.5, 0.5, 1 }
    assert.same({ "ab", "ab", "ab" }, got)
  end)

  it("waits one interval first when asked to", function()
    started(task.LoopingCall(note), 2, false)
    clock:pump { 1, 1, 2 }
    assert.same({ 2, 4 }, times)
  end)

  it("ends with itself as the result", function()
    started(task.LoopingCall(note), 1)
    assert.is_true(loop.running)
    loop:stop()
    assert.equal(loop, ended)
    assert.is_false(loop.running)
    assert.same({}, clock:getDelayedCalls())
  end)

  it("ends with the error of its function", function()
    started(task.LoopingCall(function() note(); if #times == 2 then error(errors.UserError()) end end), 1)
    clock:pump { 1, 1, 1 }
    assert.equal(2, #times)
    assert.is_not_nil(failed:check(errors.UserError))
    assert.is_false(loop.running)
  end)

  it("starts again after it ended", function()
    started(task.LoopingCall(note), 1)
    clock:advance(1)
    loop:stop()
    clock:advance(0.5)
    loop:start(1)
    clock:advance(1)
    assert.same({ 0, 1, 1.5, 2.5 }, times)
  end)

  it("leaves out the ticks that a slow call has missed", function()   -- point 23
    started(task.LoopingCall(function()
      note()
      if #times == 1 then clock:advance(2) end
    end), 0.5)
    clock:advance(0.25)
    assert.same({ 0 }, times)
    clock:advance(0.25)
    assert.same({ 0, 2.5 }, times)
  end)

  it("runs once for all ticks in a jump of time", function()   -- point 24
    started(task.LoopingCall(note), 0.5)
    clock:advance(2)
    assert.same({ 0, 2 }, times)
    clock:advance(0.5)
    assert.same({ 0, 2, 2.5 }, times)
  end)

  it("waits for the Deferred of its function and keeps to the grid", function()
    local pending
    started(task.LoopingCall(function()
      note()
      pending = defer.Deferred()
      return pending
    end), 1)
    clock:advance(1.25)
    assert.same({ 0 }, times)
    pending:callback()
    clock:advance(0.5)
    assert.same({ 0 }, times)
    clock:advance(0.25)
    assert.same({ 0, 2 }, times)
  end)

  it("runs in every turn with interval 0", function()
    started(task.LoopingCall(note), 0)
    assert.equal(1, #clock:getDelayedCalls())
    assert.equal(0, clock:getDelayedCalls()[1]:getTime())
    assert.equal(1, #times)
  end)

  it("runs no more than once a tick where intervals do not add up exactly", function()
    started(task.LoopingCall(note), 0.1)
    for _ = 1, 100 do clock:advance(0.1) end
    assert.equal(101, #times)
  end)

  it("keeps to its grid over a day of ticks that are awkward in binary", function()
    started(task.LoopingCall(note), 0.1, false)
    clock:advance(86400 - 0.05)
    clock:advance(0.1)
    assert.equal(2, #times)
    assert.is_true(math.abs(clock:getDelayedCalls()[1]:getTime() - 86400.1) < 1e-6)
  end)

  describe("withCount", function()
    local counts
    before_each(function() counts = {} end)
    local function count(n) counts[#counts + 1] = n end

    it("counts the ticks since the last run", function()   -- point 24
      started(task.LoopingCall.withCount(count), 0.5)
      assert.same({ 1 }, counts)
      clock:advance(1.5)
      assert.same({ 1, 3 }, counts)
      clock:advance(0.5)
      assert.same({ 1, 3, 1 }, counts)
      assert.equal("integer", math.type(counts[2]))
    end)

    it("counts one after 1.75 intervals", function()   -- point 24
      started(task.LoopingCall.withCount(count), 2, false)
      clock:advance(3.5)
      assert.same({ 1 }, counts)
    end)

    it("counts every tick once in spite of rounding", function()   -- point 25
      started(task.LoopingCall.withCount(count), 0.1, false)
      for _ = 1, 10 do clock:advance(0.1) end
      local sum = 0
      for _, n in ipairs(counts) do
        assert.is_true(n > 0)
        sum = sum + n
      end
      assert.equal(10, sum)
    end)

    it("does not call when its clock has been set back to a tick that was counted", function()
      local now, due = 0, nil
      clock = { seconds = function() return now end }
      function clock.callLater(_, _, f, ...)
        due = table.pack(f, ...)
        return {}
      end
      started(task.LoopingCall.withCount(count), 1)
      now = 2
      due[1](table.unpack(due, 2))
      now = 1.5
      due[1](table.unpack(due, 2))
      now = 3
      due[1](table.unpack(due, 2))
      assert.same({ 1, 2, 1 }, counts)
    end)

    it("counts one with interval 0", function()
      started(task.LoopingCall.withCount(function(n) count(n); if #counts == 3 then loop:stop() end end), 0)
      clock:advance(1)
      assert.same({ 1, 1, 1 }, counts)
    end)

    it("counts from the reset on", function()
      started(task.LoopingCall.withCount(count), 1, false)
      clock:advance(0.5)
      loop:reset()
      clock:advance(2)
      assert.same({ 2 }, counts)
    end)
  end)

  describe("stop", function()   -- point 26
    it("inside the function lets the result fire after it", function()
      local endedInside
      started(task.LoopingCall(function()
        if clock:seconds() == 1 then
          loop:stop()
          endedInside = ended
        end
      end), 1)
      clock:advance(1)
      assert.is_nil(endedInside)
      assert.equal(loop, ended)
      assert.same({}, clock:getDelayedCalls())
    end)

    it("inside the function waits for its Deferred too", function()
      local pending = defer.Deferred()
      started(task.LoopingCall(function() return pending end), 1)
      loop:stop()
      assert.is_nil(ended)
      pending:callback()
      assert.equal(loop, ended)
    end)

    it("followed by an error fails", function()
      started(task.LoopingCall(function()
        loop:stop()
        error(errors.UserError())
      end), 1, false)
      clock:advance(1)
      assert.is_nil(ended)
      assert.is_not_nil(failed:check(errors.UserError))
    end)

    it("before a delayed first call prevents it", function()
      started(task.LoopingCall(note), 1, false)
      loop:stop()
      clock:advance(5)
      assert.same({}, times)
      assert.equal(loop, ended)
    end)
  end)

  describe("reset", function()
    it("begins the grid anew", function()
      started(task.LoopingCall(note), 1)
      clock:advance(0.5)
      loop:reset()
      clock:pump { 0.75, 0.25, 1 }
      assert.same({ 0, 1.5, 2.5 }, times)
    end)

    it("has no effect while the function's Deferred is pending", function()   -- point 26
      local pending
      started(task.LoopingCall(function()
        note()
        pending = defer.Deferred()
        return pending
      end), 1)
      clock:advance(0.5)
      loop:reset()
      assert.same({}, clock:getDelayedCalls())
      pending:callback()
      clock:advance(0.5)
      assert.same({ 0, 1 }, times)
    end)
  end)

  it("refuses misuse and stays as it was", function()
    loop = task.LoopingCall(note)
    loop.clock = clock
    for _, interval in ipairs { -1, 0 / 0, math.huge, "1" } do
      assert.error_matches(function() loop:start(interval) end,
        "the interval must be a number of seconds, 0 or more")
    end
    assert.error_matches(function() loop:stop() end, "not running")
    assert.error_matches(function() loop:reset() end, "not running")
    assert.is_false(loop.running)
    loop:start(1)
    assert.error_matches(function() loop:start(1) end, "already running")
    assert.error_matches(function() task.LoopingCall() end, "expected a function, got nil")
    assert.same({ 0 }, times)
  end)
end)
