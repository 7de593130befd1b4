-- SPDX-License-Identifier: MIT
-- blocking_spec.lua -- calls from threads back on the reactor's, and the end of the reactor meanwhile.
local test    = require "twistlua.test"
local child   = require "system.child"
local defer   = require "twistlua.defer"
local errors  = require "twistlua.error"
local reactor = require "twistlua.reactor"
local task    = require "twistlua.task"
local threads = require "twistlua.threads"

local async, await = test.async, defer.await

-- blockingCallFromThread(...) on a thread
local function ask(...)
  return threads.deferToThread(function(...)
    return require("twistlua.threads").blockingCallFromThread(...)
  end, ...)
end

local function errorOf(d)
  local ok, value = pcall(await, d)
  assert.is_false(ok)
  return value
end

describe("blockingCallFromThread", function()
  after_each(function() threads.export("asked", nil) end)

  it("calls what is exported, which may have upvalues", async(function()
    local calls = {}
    threads.export("asked", function(...)
      calls[#calls + 1] = { threads.isInIOThread(), ... }
      return { sum = select(1, ...) + select(2, ...) }, "more"
    end)
    assert.same({ sum = 3 }, await(ask("asked", 1, 2)))
    assert.same({ { true, 1, 2 } }, calls)
  end))

  it("waits for a Deferred", async(function()
    threads.export("asked", function(x) return task.deferLater(reactor, 0.01, function() return x * 2 end) end)
    assert.equal(42, await(ask("asked", 21)))
  end))

  it("calls a function that is sent, with the globals of here", async(function()
    assert.is_true(await(threads.deferToThread(function()
      return require("twistlua.threads").blockingCallFromThread(function()
        return require("twistlua.threads").isInIOThread()
      end)
    end)))
  end))

  it("calls a function of a module by name", async(function()
    assert.is_true(await(ask("twistlua.threads:isInIOThread")))
  end))

  it("raises what the function raises, or its Deferred fails with", async(function()
    threads.export("asked", function(how)
      if how == "text" then error("raised") end
      if how == "table" then error { code = 5 } end
      return defer.fail(errors.ConnectionRefusedError("by the test", { errno = 111 }))
    end)
    assert.matches("blocking_spec.lua:%d+: raised$", errorOf(ask("asked", "text")))
    assert.same({ code = 5 }, errorOf(ask("asked", "table")))
    local refused = errorOf(ask("asked", "deferred"))
    assert.is_true(refused:is(errors.ConnectionRefusedError))
    assert.equal(111, refused.errno)
    assert.equal("caught: 111", await(threads.deferToThread(function()
      local ok, problem = pcall(require("twistlua.threads").blockingCallFromThread, "asked", "deferred")
      return not ok and "caught: " .. problem.errno
    end)))
  end))

  it("raises that there is no such function", async(function()
    assert.equal("no function is exported as 'nobody'", errorOf(ask("nobody")))
    assert.matches("module 'no.such' not found", errorOf(ask("no.such:f")))
    assert.matches("function expected, got boolean", errorOf(ask(true)))
  end))

  it("raises that a result or an argument cannot be copied", async(function()
    threads.export("asked", function() return { print } end)
    assert.equal('the result, field "[1]": a function cannot be copied to another thread', errorOf(ask("asked")))
    threads.export("asked", function() error(setmetatable({}, { __tostring = function() return "own" end })) end)
    assert.equal("own", errorOf(ask("asked")))
    assert.matches("blocking_spec.lua:%d+: argument 1: a function cannot", errorOf(threads.deferToThread(function()
      require("twistlua.threads").blockingCallFromThread("asked", print)
    end)))
  end))

  it("raises that nobody will answer any more", async(function()
    threads.export("asked", function() return defer.Deferred() end)
    local asked, outcome = ask("asked"), nil
    asked:addBoth(function(result) outcome = result end)
    while not outcome do
      await(task.deferLater(reactor, 0))
      collectgarbage()
    end
    assert.equal("nobody is left who could answer", outcome:getErrorMessage())
  end))

  it("serves many threads at once", async(function()
    threads.export("asked", function(n) return task.deferLater(reactor, 0, function() return n end) end)
    local all = {}
    for i = 1, 50 do
      all[i] = threads.deferToThread(function(n)
        local sum = 0
        for k = 1, 20 do sum = sum + require("twistlua.threads").blockingCallFromThread("asked", n * k) end
        return sum
      end, i)
    end
    for i, sum in ipairs(await(defer.gatherResults(all))) do assert.equal(210 * i, sum) end
  end))

  it("is for threads only", function()
    for _, name in ipairs { "blockingCallFromThread", "callFromThread" } do
      assert.has_error(function() threads[name](print) end,
        "threads." .. name .. ": only on a worker's thread, this is the reactor's")
    end
  end)
end)

describe("export", function()
  it("takes a name without a colon, and a function", function()
    for _, bad in ipairs { "a:b", 5, true } do
      assert.has_error(function() threads.export(bad, print) end)
    end
    assert.has_error(function() threads.export("x", {}) end, "export: function expected, got table")
  end)
end)

describe("callFromThread on a thread", function()
  it("calls in order, before the end of the work that asked", async(function()
    local got = {}
    threads.export("note", function(n) got[#got + 1] = n end)
    await(threads.deferToThread(function()
      for i = 1, 100 do require("twistlua.threads").callFromThread("note", i) end
    end))
    assert.equal(100, #got)
    for i = 1, 100 do assert.equal(i, got[i]) end
    threads.export("note", nil)
  end))

  it("logs what is raised here", async(function()
    await(threads.deferToThread(function()
      require("twistlua.threads").callFromThread("nobody")
    end))
    assert.matches("no function is exported as 'nobody'", test.flushLoggedErrors()[1]:getErrorMessage())
  end))
end)

describe("the reactor's shutdown", function()
  it("waits for calls under way, and fails those that wait", function()
    local outcome = child.lua [[
      local threads = require "twistlua.threads"
      local reactor = require "twistlua.reactor"
      reactor:suggestThreadPoolSize(1)
      threads.export("begun", function() reactor:stop() end)
      threads.deferToThread(function()
        local threads = require "twistlua.threads"
        threads.callFromThread("begun")
        while not threads.isStopping() do end
        return "finished"
      end):addBoth(print)
      threads.deferToThread(print, "must not run"):addErrback(function(failure)
        print(failure:check(require("twistlua.error").ThreadPoolStopped) ~= nil)
      end)
      reactor:run()
      threads.deferToThread(print, "must not run"):addErrback(function(failure) print(failure:getErrorMessage()) end)
    ]]
    assert.same({ status = 0, stdout = "finished\ntrue\nThe pool of threads was stopped.\n", stderr = "" }, outcome)
  end)

  it("raises in threads that wait for the reactor, and in those that ask later", function()
    local outcome = child.lua [[
      local threads = require "twistlua.threads"
      local reactor = require "twistlua.reactor"
      local kept
      threads.export("never", function()
        kept = require("twistlua.defer").Deferred()
        reactor:stop()
        return kept
      end)
      threads.deferToThread(function()
        local threads, texts = require "twistlua.threads", {}
        for i = 1, 2 do texts[i] = tostring(select(2, pcall(threads.blockingCallFromThread, "never"))) end
        texts[3] = tostring(select(2, pcall(threads.callFromThread, "never")))
        return table.concat(texts, "\n")
      end):addBoth(print)
      reactor:run()
      kept:callback("too late")
    ]]
    assert.same({ status = 0, stdout = ("ThreadPoolStopped: The pool of threads was stopped.\n"):rep(3), stderr = "" },
      outcome)
  end)

  it("that hangs in an endless call is ended by the second SIGINT", function()
    local process = child.start { child.program, "-e", [[
      local threads = require "twistlua.threads"
      local reactor = require "twistlua.reactor"
      threads.export("begun", function() print("begun") io.stdout:flush() end)
      reactor:addSystemEventTrigger("before", "shutdown", function() print("stopping") io.stdout:flush() end)
      threads.deferToThread(function()
        require("twistlua.threads").callFromThread("begun")
        while true do end
      end)
      reactor:run()
    ]] }
    assert.equal("begun", process:line())
    process:signal "INT"
    assert.equal("stopping", process:line())
    process:signal "INT"
    assert.equal(130, process:finish().status)
  end)
end)

describe("the end of the Lua universe", function()
  it("is clean while threads wait for it, run and are queued", function()
    assert.same({ status = 0, stdout = "", stderr = "" }, child.lua [[
      local threads = require "twistlua.threads"
      local reactor = require "twistlua.reactor"
      local asked
      threads.export("never", function()
        asked = (asked or 0) + 1
        return require("twistlua.defer").Deferred()
      end)
      local pool = threads.ThreadPool(0, 3)
      for i = 1, 8 do
        threads.deferToThreadPool(reactor, pool, function()
          local threads = require "twistlua.threads"
          for i = 1, 3 do pcall(threads.blockingCallFromThread, "never") end
        end)
      end
      while (asked or 0) < 2 do reactor:iterate(0.01) end
      reactor.run = function() end
    ]])
  end)
end)
