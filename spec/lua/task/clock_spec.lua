local errors = require "twistlua.error"
local Clock  = require("twistlua.task").Clock

describe("Clock", function()
  local clock, order
  before_each(function()
    clock, order = Clock(), {}
  end)

  local function note(name) order[#order + 1] = name end

  it("makes a call when its time has come, with its arguments", function()
    local got
    clock:callLater(3.5, function(...) got = table.pack(...) end, "a", nil, "c")
    clock:advance(3.25)
    assert.is_nil(got)
    clock:advance(0.25)
    assert.same({ "a", nil, "c", n = 3 }, got)
  end)

  it("makes calls by time, and equal times in the order asked for", function()
    clock:callLater(2, note, "late")
    clock:callLater(1, note, "first")
    clock:callLater(1, note, "second")
    clock:callLater(0, note, "now")
    clock:advance(2)
    assert.same({ "now", "first", "second", "late" }, order)
  end)

  it("shows every call the final time", function()
    clock:callLater(1, function() note(clock:seconds()) end)
    clock:callLater(2, function() note(clock:seconds()) end)
    clock:advance(5)
    assert.same({ 5, 5 }, order)
  end)

  it("point 27: keeps order when a call adds, cancels and resets others in the window", function()
    local cancelled = clock:callLater(2, note, "cancelled")
    local moved = clock:callLater(5, note, "moved")
    clock:callLater(1, function()
      note("first")
      cancelled:cancel()
      moved:reset(0)
      clock:callLater(0, note, "added")
    end)
    clock:callLater(3, note, "third")
    clock:advance(3)
    assert.same({ "first", "third", "moved", "added" }, order)
  end)

  it("makes a call that a call has reset to an earlier time before the ones due later", function()
    local moved = clock:callLater(3, note, "moved")
    clock:callLater(1, function() moved:reset(1) end)
    clock:callLater(4, note, "last")
    clock:pump { 1, 1, 2 }
    assert.same({ "moved", "last" }, order)
  end)

  it("pumps several times", function()
    clock:callLater(3, note, "x")
    clock:pump { 1, 1 }
    assert.same({}, order)
    clock:pump { 1, 1 }
    assert.same({ "x" }, order)
    assert.equal(4, clock:seconds())
  end)

  it("lists what is pending, the next one first", function()
    local late, soon, cancelled = clock:callLater(2, note), clock:callLater(1, note), clock:callLater(1, note)
    cancelled:cancel()
    assert.same({ soon, late }, clock:getDelayedCalls())
    clock:advance(1)
    assert.same({ late }, clock:getDelayedCalls())
  end)

  it("refuses times that nobody can wait for", function()
    for _, delay in ipairs { -1, 0 / 0, math.huge } do
      assert.error_matches(function() clock:callLater(delay, note) end, "callLater: .* is not a time to wait")
    end
    assert.error_matches(function() clock:callLater("1", note) end, "callLater: expected seconds, got string")
    assert.error_matches(function() clock:callLater(1) end, "callLater: expected a function, got nil")
    assert.error_matches(function() clock:advance(-1) end, "advance: %-1 seconds")
    assert.same({}, clock:getDelayedCalls())
  end)
end)

describe("DelayedCall", function()
  local clock, calls, call
  before_each(function()
    clock, calls = Clock(), 0
    call = clock:callLater(2, function() calls = calls + 1 end)
  end)

  local function class_raised(method, ...)
    local ok, raised = pcall(call[method], call, ...)
    assert.is_false(ok)
    return getmetatable(raised)
  end

  it("is never made once cancelled", function()
    call:cancel()
    clock:advance(5)
    assert.equal(0, calls)
    assert.is_false(call:active())
  end)

  it("says when it is due", function()
    clock:advance(1)
    assert.equal(2, call:getTime())
    call:delay(3)
    assert.equal(5, call:getTime())
    call:reset(1)
    assert.equal(2, call:getTime())
    call:delay(-1)
    assert.equal(1, call:getTime())
  end)

  it("refuses a second cancel", function()
    call:cancel()
    assert.equal(errors.AlreadyCancelled, class_raised("cancel"))
    assert.equal(errors.AlreadyCancelled, class_raised("reset", 1))
    assert.equal(errors.AlreadyCancelled, class_raised("delay", 1))
  end)

  it("refuses to be changed after the call", function()
    clock:advance(2)
    assert.is_false(call:active())
    assert.equal(errors.AlreadyCalled, class_raised("cancel"))
    assert.equal(errors.AlreadyCalled, class_raised("reset", 1))
    assert.equal(errors.AlreadyCalled, class_raised("delay", 1))
  end)

  it("cannot be cancelled from inside", function()
    local raised
    call = clock:callLater(1, function() raised = class_raised("cancel") end)
    clock:advance(1)
    assert.equal(errors.AlreadyCalled, raised)
  end)
end)
