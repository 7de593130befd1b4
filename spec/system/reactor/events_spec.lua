-- SPDX-License-Identifier: MIT
-- events_spec.lua -- events of the system, their triggers and phases; callFromThread.
local async   = require "twistlua.test.async"
local child   = require "system.child"
local defer   = require "twistlua.defer"
local reactor = require "twistlua.reactor"

local function it_waits(text, body) it(text, async.async(body)) end
local await = defer.await

local function turn()
  local done = defer.Deferred()
  reactor:callFromThread(function() done:callback() end)
  await(done)
end

describe("a system event", function()
  local order
  before_each(function() order = {} end)

  local function note(...) order[#order + 1] = table.concat({ ... }, " ") end

  it("runs its triggers by phase, and in a phase in the order of adding", function()
    reactor:addSystemEventTrigger("after", "dawn", note, "after")
    reactor:addSystemEventTrigger("during", "dawn", note, "during")
    reactor:addSystemEventTrigger("before", "dawn", note, "before", "one")
    reactor:addSystemEventTrigger("before", "dawn", note, "before", "two")
    reactor:fireSystemEvent("dawn")
    assert.same({ "before one", "before two", "during", "after" }, order)
  end)

  it("runs each trigger once only", function()
    reactor:addSystemEventTrigger("during", "dawn", note, "once")
    reactor:fireSystemEvent("dawn")
    reactor:fireSystemEvent("dawn")
    assert.same({ "once" }, order)
  end)

  it("runs no trigger of another event", function()
    local trigger = reactor:addSystemEventTrigger("during", "dusk", note, "dusk")
    reactor:fireSystemEvent("dawn")
    assert.same({}, order)
    reactor:removeSystemEventTrigger(trigger)
  end)

  it("may have no triggers at all", function()
    reactor:fireSystemEvent("an event that nobody waits for")
  end)

  it("hands arguments on, nil among them", function()
    local got
    reactor:addSystemEventTrigger("during", "dawn", function(...) got = table.pack(...) end, nil, 2, nil)
    reactor:fireSystemEvent("dawn")
    assert.same({ nil, 2, nil, n = 3 }, got)
  end)

  it_waits("waits with `during` for the Deferreds of `before`", function()
    local first, second = defer.Deferred(), defer.Deferred()
    reactor:addSystemEventTrigger("before", "dawn", function() return first end)
    reactor:addSystemEventTrigger("before", "dawn", function() return second end)
    reactor:addSystemEventTrigger("before", "dawn", note, "before")
    reactor:addSystemEventTrigger("during", "dawn", note, "during")
    reactor:addSystemEventTrigger("after", "dawn", note, "after")
    reactor:fireSystemEvent("dawn")
    turn()
    assert.same({ "before" }, order)
    first:callback()
    turn()
    assert.same({ "before" }, order)
    second:callback()
    turn()
    turn()
    assert.same({ "before", "during", "after" }, order)
  end)

  it_waits("goes on when such a Deferred fails, whose failure is told", function()
    reactor:addSystemEventTrigger("before", "dawn", function() return defer.fail("trouble") end)
    reactor:addSystemEventTrigger("during", "dawn", note, "during")
    reactor:fireSystemEvent("dawn")
    turn()
    turn()
    assert.same({ "during" }, order)
    assert.equal(1, #async.flushLoggedErrors())
  end)

  it_waits("does not hold up another event, nor calls and descriptors, while it waits", function()
    local waiting = defer.Deferred()
    reactor:addSystemEventTrigger("before", "dawn", function() return waiting end)
    reactor:addSystemEventTrigger("during", "dawn", note, "dawn")
    reactor:addSystemEventTrigger("during", "dusk", note, "dusk")
    reactor:fireSystemEvent("dawn")
    reactor:fireSystemEvent("dusk")
    reactor:callLater(0, note, "call")
    turn()
    turn()
    waiting:callback()
    turn()
    turn()
    assert.same({ "dusk", "call", "dawn" }, order)
  end)

  it("does not wait for what else a trigger returns", function()
    reactor:addSystemEventTrigger("before", "dawn", function() return io.stdout end)
    reactor:addSystemEventTrigger("before", "dawn", function() return "text" end)
    reactor:addSystemEventTrigger("during", "dawn", note, "during")
    reactor:fireSystemEvent("dawn")
    assert.same({ "during" }, order)
  end)

  it_waits("logs what a trigger raises, and runs the others", function()
    for _, phase in ipairs { "before", "during", "after" } do
      reactor:addSystemEventTrigger(phase, "dawn", function() error("trouble " .. phase) end)
      reactor:addSystemEventTrigger(phase, "dawn", note, phase)
    end
    reactor:fireSystemEvent("dawn")
    assert.same({ "before", "during", "after" }, order)
    local logged = async.flushLoggedErrors()
    assert.equal(3, #logged)
    assert.matches("trouble before", logged[1]:getTraceback())
    assert.matches("events_spec.lua", logged[1]:getTraceback(), 1, true)
  end)

  it("takes triggers for a later phase, and for the present one, while it is fired", function()
    reactor:addSystemEventTrigger("before", "dawn", function()
      reactor:addSystemEventTrigger("before", "dawn", note, "before")
      reactor:addSystemEventTrigger("after", "dawn", note, "after")
    end)
    reactor:fireSystemEvent("dawn")
    assert.same({ "before", "after" }, order)
  end)

  it("lets a trigger remove one that has not run", function()
    local second, third
    reactor:addSystemEventTrigger("before", "dawn", function()
      reactor:removeSystemEventTrigger(second)
      reactor:removeSystemEventTrigger(third)
    end)
    second = reactor:addSystemEventTrigger("before", "dawn", note, "second")
    reactor:addSystemEventTrigger("before", "dawn", note, "stays")
    third = reactor:addSystemEventTrigger("after", "dawn", note, "third")
    reactor:fireSystemEvent("dawn")
    assert.same({ "stays" }, order)
  end)

  for name, arguments in pairs {
    ["an unknown phase"] = { "meanwhile", "dawn", print },
    ["no phase"] = { nil, "dawn", print },
    ["a nameless event"] = { "before", nil, print },
    ["something that is no function"] = { "before", "dawn", "print" },
    ["no function"] = { "before", "dawn" },
  } do
    it("refuses " .. name .. " on the caller's line", function()
      local ok, message = pcall(function() reactor:addSystemEventTrigger(table.unpack(arguments, 1, 3)) end)
      assert.is_false(ok)
      assert.matches("^[^:]*events_spec%.lua:%d+: addSystemEventTrigger: ", message)
    end)
  end
end)

describe("removeSystemEventTrigger", function()
  local function none() error("called though it was removed") end

  it("takes a trigger back", function()
    local trigger = reactor:addSystemEventTrigger("before", "dawn", none)
    reactor:removeSystemEventTrigger(trigger)
    reactor:fireSystemEvent("dawn")
    assert.same({}, async.flushLoggedErrors())
  end)

  it("raises for one that was removed", function()
    local trigger = reactor:addSystemEventTrigger("before", "dawn", none)
    reactor:removeSystemEventTrigger(trigger)
    assert.has_error(function() reactor:removeSystemEventTrigger(trigger) end)
  end)

  it("raises for one that has run", function()
    local trigger = reactor:addSystemEventTrigger("before", "dawn", function() end)
    reactor:fireSystemEvent("dawn")
    assert.has_error(function() reactor:removeSystemEventTrigger(trigger) end)
  end)

  it("raises for what is no trigger", function()
    for _, other in ipairs { {}, { event = 1 }, 7, "trigger", io.stdout } do
      local ok, message = pcall(function() reactor:removeSystemEventTrigger(other) end)
      assert.is_false(ok)
      assert.matches("events_spec%.lua:%d+: removeSystemEventTrigger: not a trigger", message)
    end
    assert.has_error(function() reactor:removeSystemEventTrigger(nil) end)
  end)
end)

describe("startup", function()
  it("has the reactor running from `during` on", function()
    local outcome = child.lua [[
      local reactor = require "twistlua.reactor"
      for _, phase in ipairs { "before", "during", "after" } do
        reactor:addSystemEventTrigger(phase, "startup", function() print(phase, reactor.running) end)
      end
      reactor:addSystemEventTrigger("after", "startup", function() reactor:stop() end)
      reactor:run()
      print("end", reactor.running)
    ]]
    assert.same({ status = 0, stderr = "",
      stdout = "before\tfalse\nduring\ttrue\nafter\ttrue\nend\tfalse\n" }, outcome)
  end)

  it("waits for a Deferred of `before`, and the loop runs meanwhile", function()
    local outcome = child.lua [[
      local reactor = require "twistlua.reactor"
      local ready = require("twistlua.defer").Deferred()
      reactor:addSystemEventTrigger("before", "startup", function() return ready end)
      reactor:callWhenRunning(function()
        print("running", reactor.running)
        reactor:stop()
      end)
      reactor:callLater(0, function()
        print("call", reactor.running)
        ready:callback()
      end)
      reactor:run()
      print "end"
    ]]
    assert.same({ status = 0, stdout = "call\tfalse\nrunning\ttrue\nend\n", stderr = "" }, outcome)
  end)
end)

describe("shutdown", function()
  it("runs its phases after the turn in which the reactor was stopped, before run returns", function()
    local outcome = child.lua [[
      local reactor = require "twistlua.reactor"
      for _, phase in ipairs { "after", "during", "before" } do
        reactor:addSystemEventTrigger(phase, "shutdown", print, phase)
      end
      reactor:callWhenRunning(function()
        reactor:stop()
        print "still in the caller's code"
      end)
      reactor:run()
      print "end"
    ]]
    assert.same({ status = 0, stderr = "",
      stdout = "still in the caller's code\nbefore\nduring\nafter\nend\n" }, outcome)
  end)

  it("keeps the loop alive until the Deferreds of `before` have fired", function()
    local outcome = child.lua [[
      local reactor = require "twistlua.reactor"
      local saved = require("twistlua.defer").Deferred()
      reactor:addSystemEventTrigger("before", "shutdown", function()
        print "saving"
        reactor:callLater(0, function()
          reactor:callLater(0, function()
            print "saved"
            saved:callback()
          end)
        end)
        return saved
      end)
      reactor:addSystemEventTrigger("during", "shutdown", print, "during")
      reactor:callWhenRunning(function() reactor:stop() end)
      reactor:run()
    ]]
    assert.same({ status = 0, stdout = "saving\nsaved\nduring\n", stderr = "" }, outcome)
  end)

  it("goes on past a trigger that raises, which is logged", function()
    local outcome = child.lua [[
      local reactor = require "twistlua.reactor"
      reactor:addSystemEventTrigger("before", "shutdown", function() error "cannot save" end)
      reactor:addSystemEventTrigger("before", "shutdown", print, "before")
      reactor:addSystemEventTrigger("after", "shutdown", print, "after")
      reactor:callWhenRunning(function() reactor:stop() end)
      reactor:run()
      print "end"
    ]]
    assert.equal(0, outcome.status)
    assert.equal("before\nafter\nend\n", outcome.stdout)
    assert.matches("cannot save", outcome.stderr)
    assert.matches("Traceback", outcome.stderr)
  end)

  it("closes every port, connection and reader, though one of them raises", function()
    local outcome = child.lua [[
      local errors   = require "twistlua.error"
      local protocol = require "twistlua.protocol"
      local reactor  = require "twistlua.reactor"
      local socket   = require "twistlua.socket"

      local open = 0
      local lost = {}
      local function note(who, reason)
        lost[#lost + 1] = who .. " " .. reason.value.__name
      end

      local Both = protocol.Protocol:extend("Both")
      function Both:connectionMade()
        open = open + 1
        if open == 6 then reactor:stop() end
      end
      function Both:connectionLost(reason)
        note(self.factory.name, reason)
        if self.factory.name == "client" then error "while being lost" end
      end

      local factory = protocol.Factory.forProtocol(Both)
      factory.name = "server"
      function factory:stopFactory() lost[#lost + 1] = "port closed" end
      local port = reactor:listenTCP(0, factory, { interface = "127.0.0.1" })

      local listening = socket.listen("127.0.0.1", 0)
      reactor:addReader {
        fileno = function() return listening:fileno() end,
        doRead = function() end,
        connectionLost = function(_, reason) note("reader", reason) end,
      }

      for _ = 1, 3 do
        local clients = protocol.ClientFactory.forProtocol(Both)
        clients.name = "client"
        function clients:clientConnectionLost(_, reason) note("factory", reason) end
        reactor:connectTCP("127.0.0.1", port:getHost().port, clients)
      end
      reactor:addSystemEventTrigger("after", "shutdown", function()
        table.sort(lost)
        print(table.concat(lost, "\n"))
      end)
      reactor:run()
    ]]
    assert.equal(("client ConnectionLost\n"):rep(3) .. ("factory ConnectionLost\n"):rep(3) .. "port closed\n"
      .. "reader ConnectionLost\n" .. ("server ConnectionLost\n"):rep(3), outcome.stdout)
    assert.equal(0, outcome.status)
    local _, raised = outcome.stderr:gsub("while being lost", "")
    assert.is_true(raised >= 3)
  end)

  it("gives up attempts to connect", function()
    local outcome = child.lua [[
      local protocol = require "twistlua.protocol"
      local reactor  = require "twistlua.reactor"
      local clients = protocol.ClientFactory.forProtocol(protocol.Protocol)
      function clients:clientConnectionFailed(_, reason) print("failed", reason.value.__name) end
      function clients:startedConnecting() reactor:callWhenRunning(function() reactor:stop() end) end
      reactor:connectTCP("127.0.0.1", 1, clients)
      reactor:run()
      print "end"
    ]]
    assert.equal(0, outcome.status)
    assert.equal("", outcome.stderr)
    assert.matches("^failed\tConnect.*Error\nend\n$", outcome.stdout)
  end)
end)

describe("callWhenRunning", function()
  it("waits for the run, then calls in order after `startup`, past one that raises", function()
    local outcome = child.lua [[
      local reactor = require "twistlua.reactor"
      reactor:callWhenRunning(print, "first", reactor.running)
      reactor:callWhenRunning(function() error "the second raises" end)
      reactor:callWhenRunning(print, "third")
      reactor:callWhenRunning(function() reactor:stop() end)
      print "set up"
      reactor:run()
    ]]
    assert.equal("set up\nfirst\tfalse\nthird\n", outcome.stdout)
    assert.equal(0, outcome.status)
    assert.matches("the second raises", outcome.stderr)
  end)

  it_waits("calls at once while the reactor runs, and returns nothing", function()
    turn()
    local got
    assert.is_nil(reactor:callWhenRunning(function(...)
      got = table.pack(...)
      return "something"
    end, 1, nil))
    assert.same({ 1, nil, n = 2 }, got)
  end)

  it_waits("lets what it calls at once raise to the caller", function()
    turn()
    assert.has_error(function() reactor:callWhenRunning(function() error("trouble", 0) end) end, "trouble")
  end)

  it("gives back a trigger to take it back before the run", function()
    local called = false
    local trigger = reactor:callWhenRunning(function() called = true end)
    reactor:removeSystemEventTrigger(trigger)
    async.async(turn)()
    assert.is_false(called)
  end)

  it("refuses what is no function", function()
    local ok, message = pcall(function() reactor:callWhenRunning("x") end)
    assert.is_false(ok)
    assert.matches("events_spec%.lua:%d+: callWhenRunning: function expected, got string", message)
  end)
end)

describe("callFromThread", function()
  it_waits("calls in the order of asking, in a later turn, with the arguments", function()
    local order = {}
    local function note(...) order[#order + 1] = table.pack(...) end
    reactor:callFromThread(note, 1, nil)
    reactor:callFromThread(note, 2)
    assert.same({}, order)
    turn()
    assert.same({ { 1, nil, n = 2 }, { 2, n = 1 } }, order)
  end)

  it("makes what is asked for from inside another one a turn later", function()
    local count = 0
    local function again()
      count = count + 1
      if count < 5 then reactor:callFromThread(again) end
    end
    reactor:callFromThread(again)
    local turns = 0
    while count < 5 do
      local before = count
      reactor:iterate(0)
      turns = turns + 1
      assert.is_true(count - before <= 2, "a whole chain ran in one turn")
    end
    assert.is_true(turns >= 3)
  end)

  it("waits for the run", function()
    local outcome = child.lua [[
      local reactor = require "twistlua.reactor"
      reactor:callFromThread(function()
        print("called", reactor.running)
        reactor:callFromThread(reactor.stop, reactor)
      end)
      print "set up"
      reactor:run()
      print "end"
    ]]
    assert.same({ status = 0, stdout = "set up\ncalled\ttrue\nend\n", stderr = "" }, outcome)
  end)

  it_waits("logs what raises, and makes the other calls", function()
    local called = false
    reactor:callFromThread(function() error("in the queue") end)
    reactor:callFromThread(function() called = true end)
    turn()
    assert.is_true(called)
    local logged = async.flushLoggedErrors()
    assert.equal(1, #logged)
    assert.matches("in the queue", logged[1]:getTraceback())
  end)

  it("refuses what is no function", function()
    local ok, message = pcall(function() reactor:callFromThread({}) end)
    assert.is_false(ok)
    assert.matches("events_spec%.lua:%d+: callFromThread: function expected, got table", message)
  end)
end)
