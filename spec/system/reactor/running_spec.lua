-- SPDX-License-Identifier: MIT
-- running_spec.lua -- run, stop, crash and iterate. A run can be stopped once in a process, hence children.
local async   = require "twistlua.test.async"
local child   = require "system.child"
local defer   = require "twistlua.defer"
local errors  = require "twistlua.error"
local reactor = require "twistlua.reactor"

local function it_waits(text, body) it(text, async.async(body)) end

local function turn()
  local done = defer.Deferred()
  reactor:callFromThread(function() done:callback() end)
  defer.await(done)
end

local function raised(class, f, ...)
  local ok, problem = pcall(f, ...)
  assert.is_false(ok)
  assert.is_true(type(problem) == "table" and problem:is(class), tostring(problem))
end

-- Run code in a child, which must end well and print `expected`.
local function prints(expected, code)
  assert.same({ status = 0, stdout = expected, stderr = "" }, child.lua(code))
end

describe("run", function()
  it("returns after stop, with nothing running any more", function()
    prints("end\tfalse\n", [[
      local reactor = require "twistlua.reactor"
      reactor:callLater(0, function() reactor:stop() end)
      reactor:run()
      print("end", reactor.running)
    ]])
  end)

  it("makes no more calls after it has returned", function()
    prints("end\n", [[
      local reactor = require "twistlua.reactor"
      reactor:callWhenRunning(function() reactor:stop() end)
      reactor:callLater(3600, print, "called")
      reactor:run()
      print "end"
    ]])
  end)

  it_waits("raises ReactorAlreadyRunning inside itself, and goes on", function()
    turn()
    assert.is_true(reactor.running)
    raised(errors.ReactorAlreadyRunning, reactor.run, reactor)
    turn()
    assert.is_true(reactor.running)
  end)

  it("raises ReactorAlreadyRunning inside iterate", function()
    local problem
    reactor:callLater(0, function() problem = select(2, pcall(reactor.run, reactor)) end)
    while not problem do reactor:iterate(1) end
    assert.is_true(problem:is(errors.ReactorAlreadyRunning))
    assert.is_false(reactor.running)
  end)

  it("raises ReactorNotRestartable after stop", function()
    prints("false\ttrue\nfalse\n", [[
      local reactor = require "twistlua.reactor"
      reactor:callWhenRunning(function() reactor:stop() end)
      reactor:run()
      local ok, problem = pcall(reactor.run, reactor)
      print(ok, problem:is(require("twistlua.error").ReactorNotRestartable))
      print(reactor.running)
    ]])
  end)

  it("runs again after crash", function()
    prints("one\ntwo\nthree\n", [[
      local reactor = require "twistlua.reactor"
      for _, word in ipairs { "one", "two", "three" } do
        reactor:callLater(0, function()
          print(word)
          reactor:crash()
        end)
        reactor:run()
      end
    ]])
  end)

  it("works inside a coroutine", function()
    prints("ran\nend\n", [[
      local reactor = require "twistlua.reactor"
      assert(coroutine.resume(coroutine.create(function()
        reactor:callLater(0, function()
          print "ran"
          collectgarbage()
          reactor:stop()
        end)
        reactor:run()
      end)))
      print "end"
    ]])
  end)

  it("refuses options that it does not know, before it starts anything", function()
    for _, bad in ipairs { { installSignalHandler = true }, { installSignalHandlers = "no" }, true } do
      local ok, message = pcall(function() reactor:run(bad) end)
      assert.is_false(ok)
      assert.matches("^[^:]*running_spec%.lua:%d+: run: ", message)
    end
    raised(errors.ReactorNotRunning, reactor.stop, reactor)
  end)
end)

describe("stop", function()
  it("lets the caller and its turn finish before shutdown", function()
    prints("caller\nsame turn\nshutdown\nend\n", [[
      local reactor = require "twistlua.reactor"
      reactor:addSystemEventTrigger("before", "shutdown", print, "shutdown")
      reactor:callWhenRunning(function()
        reactor:callLater(0, function()
          reactor:stop()
          print "caller"
        end)
        reactor:callLater(0, print, "same turn")
      end)
      reactor:run()
      print "end"
    ]])
  end)

  it("raises ReactorNotRunning before run", function()
    raised(errors.ReactorNotRunning, reactor.stop, reactor)
  end)

  it("raises ReactorNotRunning the second time, and after run", function()
    prints("true\ntrue\nend\ntrue\n", [[
      local reactor = require "twistlua.reactor"
      local errors  = require "twistlua.error"
      local function stopAgain()
        local ok, problem = pcall(reactor.stop, reactor)
        print(not ok and problem:is(errors.ReactorNotRunning))
      end
      reactor:addSystemEventTrigger("during", "shutdown", stopAgain)
      reactor:callWhenRunning(function()
        reactor:stop()
        stopAgain()
      end)
      reactor:run()
      print "end"
      stopAgain()
    ]])
  end)

  for name, where in pairs {
    ["a trigger before startup"] = [[reactor:addSystemEventTrigger("before", "startup", stop)]],
    ["a trigger after startup"] = [[reactor:callWhenRunning(stop)]],
    ["a delayed call"] = [[reactor:callLater(0, stop)]],
    ["callFromThread"] = [[reactor:callFromThread(stop)]],
    ["callFromThread from inside another"] =
      [[reactor:callFromThread(function() reactor:callFromThread(stop) end)]],
    ["a reader"] = [[
      local socket = require("twistlua.socket").listen("127.0.0.1", 0)
      local client = require("twistlua.socket").connect("127.0.0.1", socket:getsockname().port)
      local reader = { fileno = function() return socket:fileno() end, connectionLost = function() client:close() end }
      function reader.doRead()
        socket:accept()
        stop()
      end
      reactor:addReader(reader)]],
    ["the callback of a Deferred"] = [[
      local fired = require("twistlua.defer").Deferred()
      fired:addCallback(stop)
      reactor:callLater(0, fired.callback, fired)]],
  } do
    it("shuts down from " .. name, function()
      prints("stop\nbefore\nafter\nend\n", ([[
        local reactor = require "twistlua.reactor"
        local function stop()
          reactor:stop()
          print "stop"
        end
        reactor:addSystemEventTrigger("before", "shutdown", print, "before")
        reactor:addSystemEventTrigger("after", "shutdown", print, "after")
        %s
        reactor:run()
        print "end"
      ]]):format(where))
    end)
  end
end)

describe("crash", function()
  it("ends the loop without shutdown", function()
    prints("end\tfalse\n", [[
      local reactor = require "twistlua.reactor"
      reactor:addSystemEventTrigger("before", "shutdown", print, "shutdown")
      reactor:callWhenRunning(function() reactor:crash() end)
      reactor:run()
      print("end", reactor.running)
    ]])
  end)

  it("ends the loop also before it began", function()
    prints("end\tfalse\n", [[
      local reactor = require "twistlua.reactor"
      reactor:addSystemEventTrigger("before", "startup", function() reactor:crash() end)
      reactor:run()
      print("end", reactor.running)
    ]])
  end)

  it("leaves what is open as it is, for the next run", function()
    prints("connected\n", [[
      local reactor  = require "twistlua.reactor"
      local protocol = require "twistlua.protocol"
      local Server = protocol.Protocol:extend("Server")
      function Server:connectionMade()
        print "connected"
        reactor:stop()
      end
      local port = reactor:listenTCP(0, protocol.Factory.forProtocol(Server), { interface = "127.0.0.1" })
      reactor:callLater(0, reactor.crash, reactor)
      reactor:run()
      local client = require("twistlua.socket").connect("127.0.0.1", port:getHost().port)
      reactor:run()
      client:close()
    ]])
  end)

  it("is no reason for the program to run the reactor once more", function()
    prints("end\n", [[
      local reactor = require "twistlua.reactor"
      reactor:callLater(3600, print, "called")
      reactor:callWhenRunning(reactor.crash, reactor)
      reactor:run()
      print "end"
    ]])
  end)
end)

describe("iterate", function()
  it("makes the calls that are due, and does not wait without a delay", function()
    local called = false
    local call = reactor:callLater(3600, function() end)
    reactor:callLater(0, function() called = true end)
    reactor:iterate(0)
    reactor:iterate()
    assert.is_true(called)
    call:cancel()
  end)

  it("comes back for an event that is earlier than the delay", function()
    local called = false
    reactor:callLater(0.001, function() called = true end)
    local before = reactor:seconds()
    while not called do reactor:iterate(3600) end
    assert.is_true(reactor:seconds() - before < 60)
  end)

  it("comes back when the delay is over", function()
    local before = reactor:seconds()
    reactor:iterate(0.002)
    assert.is_true(reactor:seconds() >= before)
  end)

  it_waits("raises ReactorAlreadyRunning inside run", function()
    turn()
    raised(errors.ReactorAlreadyRunning, reactor.iterate, reactor, 0)
  end)

  it("raises ReactorAlreadyRunning inside itself", function()
    local problem
    reactor:callLater(0, function() problem = select(2, pcall(reactor.iterate, reactor, 0)) end)
    while not problem do reactor:iterate(1) end
    assert.is_true(problem:is(errors.ReactorAlreadyRunning))
  end)

  it("refuses a delay that is none on the caller's line", function()
    for _, bad in ipairs { -1, 0 / 0, "x", {} } do
      local ok, message = pcall(function() reactor:iterate(bad) end)
      assert.is_false(ok)
      assert.matches("^[^:]*running_spec%.lua:%d+: iterate: ", message)
    end
  end)
end)

describe("a reactor in a loop of the script's own", function()
  it("serves by iterate alone", function()
    prints("hello\n", [[
      local reactor  = require "twistlua.reactor"
      local protocol = require "twistlua.protocol"
      local socket   = require "twistlua.socket"
      local Hello = protocol.Protocol:extend("Hello")
      function Hello:connectionMade()
        self.transport:write "hello"
        self.transport:loseConnection()
      end
      local port = reactor:listenTCP(0, protocol.Factory.forProtocol(Hello), { interface = "127.0.0.1" })
      local client = socket.connect("127.0.0.1", port:getHost().port)
      local got = ""
      repeat
        reactor:iterate(0.01)
        local bytes, _, name = client:recv(100)
        got = got .. (bytes or "")
        assert(bytes or name == "EAGAIN", name)
      until bytes == ""
      print(got)
      port:stopListening()
      reactor:iterate(0)
    ]])
  end)
end)
