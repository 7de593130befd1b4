local defer  = require "twistlua.defer"
local errors = require "twistlua.error"
local task   = require "twistlua.task"
local test   = require "twistlua.test"

local await = defer.await

describe("scoped tasks", function()
  local clock, order, outer
  before_each(function()
    clock, order = task.Clock(), {}
  end)

  local function note(text) order[#order + 1] = text end
  local function sleep(seconds) task.sleep(seconds, { clock = clock }) end
  local function run(f)
    outer = defer.run(function() return task.scope(f, { clock = clock }) end)
    return outer
  end

  it("end before their scope does, which gives the function's result", function()
    run(function(scope)
      scope:spawn(function(name)
        sleep(2)
        note(name)
      end, "child")
      note("body")
      return "result"
    end)
    assert.same({ "body" }, order)
    test.assertNoResult(outer)
    clock:advance(2)
    assert.same({ "body", "child" }, order)
    assert.equal("result", test.successResultOf(outer))
  end)

  it("need not wait at all", function()
    run(function(scope)
      scope:spawn(note, "child")
      return "result"
    end)
    assert.same({ "child" }, order)
    assert.equal("result", test.successResultOf(outer))
  end)

  it("are cancelled by the first failure, which is raised with the others", function()
    local reason
    run(function(scope)
      scope:spawn(function()
        sleep(1)
        error(errors.UserError("first"))
      end)
      scope:spawn(function()
        local _, raised = pcall(sleep, 5)
        note(raised:is(defer.CancelledError))
        reason = scope.reason
        error(errors.UserError("second"))
      end)
      scope:spawn(function() sleep(5) end)
      sleep(5)
    end)
    clock:advance(1)
    assert.same({ true }, order)
    local failure = test.failureResultOf(outer, errors.UserError)
    assert.matches("first", failure.value.message)
    assert.equal(1, #failure.value.others)
    assert.matches("second", failure.value.others[1].value.message)
    assert.equal(failure.value, reason.value)
    assert.same({}, clock:getDelayedCalls())
  end)

  it("are cancelled when the scope's function fails", function()
    run(function(scope)
      scope:spawn(function() sleep(5) end)
      error(errors.UserError())
    end)
    test.failureResultOf(outer, errors.UserError)
    assert.same({}, clock:getDelayedCalls())
  end)

  it("are cancelled with their surroundings, which wait for them", function()
    local cleaning = defer.Deferred()
    run(function(scope)
      scope:spawn(function()
        pcall(sleep, 5)
        await(cleaning)
        note("cleaned")
      end)
      sleep(5)
    end)
    outer:cancel()
    test.assertNoResult(outer)
    cleaning:callback()
    assert.same({ "cleaned" }, order)
    test.failureResultOf(outer, defer.CancelledError)
  end)

  it("are cancelled by their scope on demand", function()
    run(function(scope)
      scope:spawn(function() sleep(5) end)
      scope:spawn(function()
        sleep(1)
        scope:cancel("enough")
      end)
      return "result"
    end)
    clock:advance(1)
    assert.equal("result", test.successResultOf(outer))
  end)

  it("are listed with name and age while they live", function()
    run(function(scope)
      scope:spawn(function() sleep(5) end).name = "sleeper"
      clock:advance(1)
      scope:spawn(function() sleep(2) end)
    end)
    clock:advance(1)
    local tasks = task.all()
    assert.equal(2, #tasks)
    assert.equal("sleeper", tasks[1].name)
    assert.equal(2, tasks[1]:age())
    assert.matches("^Task sleeper %(<Deferred at .* waiting on Deferred at", tostring(tasks[1]))
    assert.matches("scope_spec.lua:%d+$", tasks[2].name)
    clock:advance(5)
    assert.same({}, task.all())
    assert.equal("Task sleeper (ended)", tostring(tasks[1]))
    test.successResultOf(outer)
  end)

  it("must be functions", function()
    run(function(scope) scope:spawn(7) end)
    assert.matches("spawn: expected a function, got number", test.failureResultOf(outer):getErrorMessage())
  end)
end)

describe("timeout", function()
  local clock
  before_each(function() clock = task.Clock() end)

  local function run(seconds)
    return defer.run(function()
      return task.timeout(5, function()
        task.sleep(seconds, { clock = clock })
        return "done"
      end, { clock = clock })
    end)
  end

  it("gives the result that comes in time", function()
    local outer = run(4)
    clock:advance(4)
    assert.equal("done", test.successResultOf(outer))
    assert.same({}, clock:getDelayedCalls())
  end)

  it("cancels what takes longer, and raises TimeoutError", function()
    local outer = run(6)
    clock:advance(5)
    test.failureResultOf(outer, errors.TimeoutError)
    assert.same({}, clock:getDelayedCalls())
  end)
end)
