-- SPDX-License-Identifier: MIT
-- signal_events_spec.lua -- reactor:onSignal: signals as events of a script.
local async   = require("twistlua.test.async").async
local child   = require "system.child"
local defer   = require "twistlua.defer"
local flush   = require("twistlua.test.async").flushLoggedErrors
local reactor = require "twistlua.reactor"

local await = defer.await

-- From a child of ours: it must be this process that gets it.
local function raise(name)
  assert(io.popen(("kill -%s $PPID"):format(name))):close()
end

local function raised(f, ...)
  local ok, problem = pcall(f, ...)
  assert.is_false(ok)
  return problem
end

describe("onSignal", function()
  it("calls the function with its arguments, each time", async(function()
    local seen, came = {}, nil
    local handle = reactor:onSignal("SIGUSR1", function(...)
      table.insert(seen, { ... })
      came:callback()
    end, "a", 2)
    for _ = 1, 2 do
      came = defer.Deferred()
      raise "USR1"
      await(came)
    end
    handle:cancel()
    assert.same({ { "a", 2 }, { "a", 2 } }, seen)
  end))

  it("calls all functions for a signal in the order of asking, also when one raises", async(function()
    local seen, done = {}, defer.Deferred()
    local handles = {
      reactor:onSignal("SIGHUP", table.insert, seen, "first"),
      reactor:onSignal("SIGHUP", function() error "no" end),
      reactor:onSignal("SIGHUP", function() done:callback() end),
    }
    raise "HUP"
    await(done)
    assert.same({ "first" }, seen)
    assert.equal(1, #flush())
    for _, handle in ipairs(handles) do handle:cancel() end
  end))

  it("calls a function no more once it is cancelled, even by one before it", async(function()
    local done, second = defer.Deferred(), nil
    local first = reactor:onSignal("SIGUSR2", function()
      second:cancel()
      reactor:callLater(0, done.callback, done)
    end)
    second = reactor:onSignal("SIGUSR2", error, "cancelled and called")
    raise "USR2"
    await(done)
    first:cancel()
    first:cancel()
    assert.matches("SIGUSR2 %(cancelled%)", tostring(first))
  end))

  it("goes on with those that are left, and can be asked again", async(function()
    local count, came = 0, nil
    local function note()
      count = count + 1
      came:callback()
    end
    local first, second = reactor:onSignal("SIGUSR1", error), reactor:onSignal("SIGUSR1", note)
    first:cancel()
    for _ = 1, 2 do
      came = defer.Deferred()
      raise "USR1"
      await(came)
      second:cancel()
      second = reactor:onSignal("SIGUSR1", note)
    end
    second:cancel()
    assert.equal(2, count)
  end))

  it("does not keep the reactor busy", function()
    local handle = reactor:onSignal("SIGUSR1", print)
    assert.is_false(reactor:isBusy())
    handle:cancel()
  end)

  it("raises on the caller's line for what is no signal, or cannot be taken", function()
    local here = "signal_events_spec.lua:%d+: onSignal: "
    local function ask(...) reactor:onSignal(...) end
    assert.matches(here .. "name must be a string, got number", raised(ask, 1, print))
    assert.matches(here .. "function expected, got nil", raised(ask, "SIGHUP"))
    assert.matches(here .. "unknown signal 'HUP'", raised(ask, "HUP", print))
    assert.matches(here .. "unknown signal 'SIGSEGV'", raised(ask, "SIGSEGV", print))
    for _, name in ipairs { "SIGKILL", "SIGSTOP" } do
      assert.matches(here .. "cannot take " .. name .. ": it cannot be caught", raised(ask, name, print))
    end
  end)

  it("says so when the process handles the signal already", function()
    local core = require "twistlua.core"
    local signal = assert(core.signal.take("SIGHUP", print))
    assert.matches("cannot take SIGHUP: this process handles it already",
      raised(reactor.onSignal, reactor, "SIGHUP", print))
    signal:drop()
    reactor:onSignal("SIGHUP", print):cancel()
  end)
end)

describe("a script's function for a signal", function()
  local function start(code)
    local process = child.start { child.program, "-e", [[
      local reactor = require "twistlua.reactor"
      io.stdout:setvbuf "line"
      reactor:addSystemEventTrigger("before", "shutdown", print, "shutdown")
      reactor:callWhenRunning(print, "ready")
    ]] .. code }
    assert.equal("ready", process:line())
    return process
  end

  for _, when in ipairs { "before the run", "while it runs" } do
    it("for SIGINT stands in place of the stop, taken " .. when, function()
      local process = start(when == "before the run"
        and [[reactor:onSignal("SIGINT", print, "interrupted") reactor:run()]]
        or [[reactor:callWhenRunning(reactor.onSignal, reactor, "SIGINT", print, "interrupted") reactor:run()]])
      for _ = 1, 2 do
        process:signal "INT"
        assert.equal("interrupted", process:line())
      end
      process:signal "TERM"
      assert.same({ status = 0, stdout = "shutdown\n", stderr = "" }, process:finish())
    end)

    it("gives SIGTERM back to the reactor when it is cancelled, taken " .. when, function()
      local code = [[
        local handle
        handle = reactor:onSignal("SIGTERM", function()
          handle:cancel()
          print "not yet"
        end)]]
      local process = start(when == "before the run" and code .. " reactor:run()"
        or ("reactor:callWhenRunning(function() %s end) reactor:run()"):format(code))
      process:signal "TERM"
      assert.equal("not yet", process:line())
      process:signal "TERM"
      assert.same({ status = 0, stdout = "shutdown\n", stderr = "" }, process:finish())
    end)
  end

  it("is given up when the reactor has stopped", function()
    local process = start [[
      reactor:onSignal("SIGINT", print, "interrupted")
      reactor:callWhenRunning(reactor.stop, reactor)
      reactor:run()
      print "over"
      while true do end
    ]]
    assert.equal("shutdown", process:line())
    assert.equal("over", process:line())
    process:signal "INT"
    assert.equal(128 + 2, process:finish().status)
  end)

  it("does not keep a script running that does nothing else", function()
    assert.same({ status = 0, stdout = "", stderr = "" },
      child.lua [[require("twistlua.reactor"):onSignal("SIGHUP", print)]])
  end)
end)
