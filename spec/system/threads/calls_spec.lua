-- SPDX-License-Identifier: MIT
-- calls_spec.lua -- calls on threads: results, errors, cancelling, the pool.
local test    = require "twistlua.test"
local child   = require "system.child"
local defer   = require "twistlua.defer"
local errors  = require "twistlua.error"
local reactor = require "twistlua.reactor"
local threads = require "twistlua.threads"

local async, await = test.async, defer.await

local function failureOf(d)
  local failure
  d:addErrback(function(f) failure = f end)
  assert.is_nil(await(d))
  assert.truthy(failure)
  return failure
end

-- Calls of `hold` stay on their threads until `release`.
local held = {}
threads.export("hold", function()
  local d = defer.Deferred()
  held[#held + 1] = d
  return d
end)

local function hold(pool)
  local count = #held
  local d = threads.deferToThreadPool(reactor, pool, function()
    return require("twistlua.threads").blockingCallFromThread("hold")
  end)
  while #held == count do await(require("twistlua.task").deferLater(reactor, 0)) end
  return d
end

local function release(value)
  table.remove(held, 1):callback(value)
end

describe("deferToThread", function()
  it("calls a function on another thread and gives its first result", async(function()
    assert.equal(6, await(threads.deferToThread(function(a, b) return a * b, "more" end, 2, 3)))
    assert.is_true(threads.isInIOThread())
    assert.is_false(await(threads.deferToThread(function()
      return require("twistlua.threads").isInIOThread()
    end)))
  end))

  it("does not fire inside the call", async(function()
    local d = threads.deferToThread(math.max, 1, 2)
    assert.is_false(d.called)
    assert.equal(2, await(d))
  end))

  it("calls a function of a module by name", async(function()
    local folder = os.tmpname()
    os.remove(folder)
    os.execute("mkdir " .. folder)
    local file <close> = assert(io.open(folder .. "/spec_images.lua", "w"))
    file:write [[
      local count = 0
      return { scale = function(n) count = count + 1; return n * 10 end, size = 5 }
    ]]
    file:flush()
    local path = package.path
    package.path = folder .. "/?.lua;" .. path   -- also for threads that there are already
    assert.equal(70, await(threads.deferToThread("spec_images:scale", 7)))
    assert.equal("'size' is no function of the module 'spec_images'",
      failureOf(threads.deferToThread("spec_images:size")):getErrorMessage())
    package.path = path
    os.execute("rm -r " .. folder)
  end))

  it("fails where there is no such module or name", async(function()
    assert.matches("module 'no.such' not found", failureOf(threads.deferToThread("no.such:f")):getErrorMessage())
    assert.matches("not the name of a function", failureOf(threads.deferToThread("string.rep")):getErrorMessage())
  end))

  it("calls a C function", async(function()
    assert.equal("ababab", await(threads.deferToThread(string.rep, "ab", 3)))
  end))

  it("has the globals and modules of a state of its own", async(function()
    specGlobal = "here"   -- luacheck: ignore
    assert.is_nil(await(threads.deferToThread(function() return specGlobal end)))   -- luacheck: ignore
    assert.equal("Error: text", await(threads.deferToThread(function()
      return tostring(require("twistlua.error").Error("text"))
    end)))
    assert.equal(3, await(threads.deferToThread(function()
      local defer = require "twistlua.defer"   -- luacheck: ignore
      return defer.run(function() return defer.await(defer.succeed(3)) end).result
    end)))
    specGlobal = nil   -- luacheck: ignore
  end))

  it("refuses the reactor to threads", async(function()
    assert.matches("a worker's thread has no reactor: .*blockingCallFromThread",
      failureOf(threads.deferToThread(function() require "twistlua.reactor" end)):getErrorMessage())
    assert.matches("threads.deferToThread: only on the reactor's thread",
      failureOf(threads.deferToThread(function()
        require("twistlua.threads").deferToThread(print)
      end)):getErrorMessage())
  end))

  it("does not let a thread end the process", async(function()
    for _, f in ipairs { function() os.exit(3) end, os.exit } do
      assert.matches("os.exit: a worker's thread cannot end the process",
        failureOf(threads.deferToThread(f, 3)):getErrorMessage())
    end
  end))

  describe("gives what was raised", function()
    it("as text, with the places on the thread", async(function()
      local failure = failureOf(threads.deferToThread(function()
        local function inner() error("went wrong") end
        inner()
      end))
      assert.matches("calls_spec.lua:%d+: went wrong$", failure.value)
      assert.matches("^Traceback %(most recent call last%):\n  .*calls_spec.lua:%d+: in function <.->\n"
        .. "  .*calls_spec.lua:%d+: in inner\n.*went wrong\n$", failure:getTraceback())
      assert.matches("calls_spec.lua:%d+:inner", failure:getBriefTraceback())
    end))

    it("as a copy of a table", async(function()
      assert.same({ code = 7 }, failureOf(threads.deferToThread(function() error { code = 7 } end)).value)
    end))

    it("as an error object with its class", async(function()
      local failure = failureOf(threads.deferToThread(function()
        error(require("twistlua.error").UserError("stop"))
      end))
      assert.equal(errors.UserError, failure.type)
      assert.equal(errors.UserError, failure:check(errors.ConnectError) and failure.type)
    end))

    it("as the text of what cannot be copied", async(function()
      local failure = failureOf(threads.deferToThread(function()
        error(setmetatable({}, { __tostring = function() return "own kind" end }))
      end))
      assert.equal("own kind", failure.value)
      assert.matches("^function: ", failureOf(threads.deferToThread(function() error(print) end)).value)
    end))

    it("even nil", async(function()
      assert.is_nil(failureOf(threads.deferToThread(function() error() end)).value)
    end))

    it("where the stack ran over", async(function()
      assert.matches("stack overflow", failureOf(threads.deferToThread(function()
        local function endless() return 1 + endless() end
        endless()
      end)):getErrorMessage())
      assert.matches("C stack overflow", failureOf(threads.deferToThread(function()
        local function endless() return (("x"):gsub(".", endless)) end
        endless()
      end)):getErrorMessage())
    end))
  end)

  it("can be cancelled before the call has begun", async(function()
    local pool = threads.ThreadPool(0, 1)
    local first = hold(pool)
    local second = threads.deferToThreadPool(reactor, pool, error, "must not run")
    assert.equal(1, pool:statistics().queued)
    second:cancel()
    assert.equal(0, pool:statistics().queued)
    assert.equal(defer.CancelledError, failureOf(second).type)
    release "done"
    assert.equal("done", await(first))
    pool:stop()
  end))

  it("can be cancelled while the call is under way, whose result is dropped", async(function()
    local pool = threads.ThreadPool(0, 1)
    local first = hold(pool)
    first:cancel()
    assert.equal(defer.CancelledError, failureOf(first).type)
    assert.equal(1, pool:statistics().working)
    release "late"
    assert.equal(1, await(threads.deferToThreadPool(reactor, pool, math.max, 1)))
    pool:stop()
  end))

  it("takes 10,000 calls at once, and tells in the order of their ends", async(function()
    local pool, order = threads.ThreadPool(0, 1), {}
    local all = {}
    for i = 1, 10000 do
      all[i] = threads.deferToThreadPool(reactor, pool, math.abs, -i):addCallback(function(n) order[i] = n end)
    end
    await(defer.gatherResults(all))
    for i = 1, 10000 do assert.equal(i, order[i]) end
    assert.equal(1, pool:statistics().threads)
    pool:stop()
  end))

  it("fails once the pool is stopped", async(function()
    local pool = threads.ThreadPool(0, 1)
    pool:stop()
    pool:stop()
    assert.is_false(pool:isOpen())
    assert.equal(errors.ThreadPoolStopped, failureOf(threads.deferToThreadPool(reactor, pool, print)).type)
  end))

  it("is refused by what is no pool", function()
    assert.has_error(function() local d = threads.deferToThreadPool(reactor, {}, print); return d end,
      "deferToThreadPool: a ThreadPool expected, got table")
  end)
end)

describe("callMultipleInThread", function()
  it("does the calls in order on one thread", async(function()
    local results = await(threads.callMultipleInThread {
      { function() specList = { "a" } end },   -- luacheck: ignore
      { function(x) specList[2] = x return x end, "b" },   -- luacheck: ignore
      { function() local list = specList specList = nil return table.concat(list) end },   -- luacheck: ignore
    })
    assert.same({ n = 3, nil, "b", "ab" }, results)
    assert.same({ n = 0 }, await(threads.callMultipleInThread {}))
  end))

  it("ends at the first that raises", async(function()
    assert.matches("second", failureOf(threads.callMultipleInThread {
      { math.max, 1 }, { error, "second" }, { error, "third" } }):getErrorMessage())
  end))

  it("says which call is wrong", function()
    local function refusal(calls) return select(2, pcall(threads.callMultipleInThread, calls)) end
    assert.matches("call 2: a table", refusal { { print }, 5 })
    assert.equal("call 2, argument 1: a function cannot be copied to another thread",
      refusal { { print }, { print, print } })
    assert.matches("function expected", refusal { {} })
    assert.matches("table expected", refusal(nil))
  end)
end)

describe("callInThread", function()
  it("logs what is raised", async(function()
    reactor:callInThread(function() error("for the log") end)
    while require("twistlua.core").workers.pending() > 0 do
      await(require("twistlua.task").deferLater(reactor, 0))
    end
    local logged = test.flushLoggedErrors("string")
    assert.equal(1, #logged)
    assert.matches("for the log", logged[1]:getErrorMessage())
    assert.matches("calls_spec.lua:%d+: in function", logged[1]:getTraceback())
  end))

  it("blames the caller's line for what cannot be copied", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local _, message = pcall(function() reactor:callInThread(print, print) end)
    assert.matches("calls_spec.lua:" .. line .. ": argument 1: a function", message)
  end)
end)

describe("a ThreadPool", function()
  it("has sizes that make sense", function()
    for _, bad in ipairs { { 0, 0 }, { 0, -1 }, { -1, 5 }, { 6, 5 }, { 0, 1.5 } } do
      assert.has_error(function() threads.ThreadPool(bad[1], bad[2]) end)
      assert.has_error(function() reactor:getThreadPool():adjustPoolsize(bad[1], bad[2]) end)
    end
    for _, bad in ipairs { 0, -1, 2.5, "3" } do
      assert.has_error(function() reactor:suggestThreadPoolSize(bad) end)
    end
    assert.has_error(function() threads.ThreadPool(0, 1, { nmae = "x" }) end)
  end)

  it("starts threads as they are needed, up to the maximum, which may change", async(function()
    local pool = threads.ThreadPool(0, 2)
    assert.same({ threads = 0, idle = 0, queued = 0, working = 0 }, pool:statistics())
    local all = { hold(pool), hold(pool) }
    all[3] = threads.deferToThreadPool(reactor, pool, math.max, 3)
    assert.same({ threads = 2, idle = 0, queued = 1, working = 2 }, pool:statistics())
    pool:adjustPoolsize(nil, 3)
    assert.equal(3, pool.max)
    assert.equal(3, await(all[3]))
    assert.equal(3, pool:statistics().threads)
    release(1)
    release(2)
    assert.same({ 1, 2 }, await(defer.gatherResults { all[1], all[2] }))
    pool:stop()
  end))

  it("of the reactor is resized by suggestThreadPoolSize", function()
    local pool = reactor:getThreadPool()
    assert.equal(pool, reactor:getThreadPool())
    assert.equal(10, pool.max)
    reactor:suggestThreadPoolSize(4)
    assert.equal(4, pool.max)
    reactor:suggestThreadPoolSize(10)
  end)

  it("may be stopped by what it calls", async(function()
    local pool = threads.ThreadPool(0, 2)
    local count = 0
    local all = {}
    for i = 1, 4 do
      all[i] = threads.deferToThreadPool(reactor, pool, math.max, i):addBoth(function()
        pool:stop()
        collectgarbage()
        count = count + 1
      end)
    end
    await(defer.gatherResults(all))
    assert.equal(4, count)
  end))
end)

describe("a program", function()
  it("runs while a call is under way", function()
    assert.same({ status = 0, stdout = "3\n", stderr = "" }, child.lua [[
      local reactor = require "twistlua.reactor"
      require("twistlua.threads").deferToThread(math.max, 1, 3):addCallback(function(n)
        print(n)
        reactor:stop()
      end)
    ]])
  end)

  it("ends with calls under way and waiting, without the reactor's run", function()
    assert.same({ status = 0, stdout = "end\n", stderr = "" }, child.lua [[
      local threads = require "twistlua.threads"
      local reactor = require "twistlua.reactor"
      reactor:suggestThreadPoolSize(2)
      for i = 1, 50 do
        threads.deferToThread(function(n)
          local x = 0
          for i = 1, 1e5 do x = x + i end
          return { ("x"):rep(n) }
        end, i)
      end
      threads.deferToThread(function() require("twistlua.threads").blockingCallFromThread(print) end)
      reactor.run = function() end
      print("end")
    ]])
  end)

  it("that has no memory for a result gets that as a failure", function()
    -- A sanitizer needs more room than the limit, and refuses what is larger itself; and it is slow.
    local refuse = "allocator_may_return_null=1:max_allocation_size_mb=31"
    local limited = [[
      megabytes=30
      ldd "$0" | grep -qE 'lib[at]san' || { ulimit -v 400000; megabytes=150; }
      exec "$0" "$@" $megabytes]]
    local outcome = child.run({ "sh", "-c", limited, child.program, "-e", [[
        local megabytes = tonumber((...))
        local reactor = require "twistlua.reactor"
        reactor:suggestThreadPoolSize(1)
        require("twistlua.threads").deferToThread(function(n) return ("x"):rep(n * 1000 * 1000) end, megabytes)
          :addBoth(function(failure)
            io.stdout:write(failure:getErrorMessage())
            reactor:stop()
          end)
        reactor:run()
      ]] }, { env = { ASAN_OPTIONS = refuse, TSAN_OPTIONS = refuse } })
    assert.equal("not enough memory to copy values between threads", outcome.stdout)
    assert.equal(0, outcome.status)
  end)
end)
