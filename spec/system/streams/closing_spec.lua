local await             = require("twistlua.defer").await
local async             = require("twistlua.test.async").async
local flushLoggedErrors = require("twistlua.test.async").flushLoggedErrors
local basic             = require "twistlua.protocols.basic"
local defer             = require "twistlua.defer"
local reactor           = require "twistlua.reactor"
local core              = require "twistlua.core"
local ends              = require "system.streams.pairs"

for _, kind in ipairs { "TCP", "TCP6", "UNIX", "TLS" } do
  describe(("loseConnection on %s"):format(kind), function()
    it("sends what was written before it closes", ends.joined(kind, nil, nil, function(server, client)
      local size = 5000000
      client.transport:write(("x"):rep(size))
      client.transport:loseConnection()
      server:awaitLost()
      assert.equal(size, server.length)
      ends.isExactly(client:awaitLost(), "ConnectionDone")
      ends.isExactly(server.reason, "ConnectionDone")
    end))

    it("tells connectionLost later, not inside the call", ends.joined(kind, nil, nil, function(_, client)
      client.transport:loseConnection()
      assert.same({ "made" }, client.events)
      client:awaitLost()
    end))

    it("tells it once, however often it is called", ends.joined(kind, nil, nil, function(server, client)
      for _ = 1, 3 do client.transport:loseConnection() end
      client:awaitLost()
      client.transport:loseConnection()
      server:awaitLost()
      ends.turns(3)
      assert.same({ "made", "lost" }, client.events)
      assert.same({ "made", "lost" }, server.events)
    end))

    it("makes an end of dataReceived, though bytes are in the kernel (point 30)", ends.joined(kind,
      ends.recorder {
        dataReceived = function(self, data)
          ends.Recorder.dataReceived(self, data)
          self.transport:loseConnection()
        end,
      }, nil, function(server, client)
        client.transport:write(("x"):rep(4000000))
        server:awaitLost()
        assert.equal(1, #server.pieces)
      end))

    it("drops what is written after it (point 31)", ends.joined(kind, nil, nil, function(server, client)
      client.transport:write("before")
      client.transport:loseConnection()
      client.transport:write("after")
      client.transport:write(("after"):rep(10000))
      client.transport:writeSequence { "af", "ter" }
      server:awaitLost()
      assert.equal("before", server:data())
    end))

    it("drops a write of connectionLost", ends.joined(kind, nil,
      ends.recorder {
        connectionLost = function(self, reason)
          self.transport:write("too late")
          self.transport:loseConnection()
          ends.Recorder.connectionLost(self, reason)
        end,
      }, function(server, client)
        client.transport:loseConnection()
        server:awaitLost()
        client:awaitLost()
        assert.equal("", server:data())
      end))

    it("may be called in connectionMade", ends.joined(kind,
      ends.recorder {
        connectionMade = function(self)
          self.transport:write("go away")
          self.transport:loseConnection()
          ends.Recorder.connectionMade(self)
        end,
      }, nil, function(server, client)
        client:awaitLost()
        assert.equal("go away", client:data())
        ends.isExactly(server:awaitLost(), "ConnectionDone")
      end))

    it("closes a transport that is paused", ends.joined(kind, nil, nil, function(server, client)
      server.transport:pauseProducing()
      server.transport:loseConnection()
      ends.isExactly(server:awaitLost(), "ConnectionDone")
      client:awaitLost()
    end))

    it("is not undone by resumeProducing", ends.joined(kind, nil, nil, function(server, client)
      server.transport:loseConnection()
      client.transport:write("x")
      server.transport:resumeProducing()
      server:awaitLost()
      server.transport:resumeProducing()
      assert.equal("", server:data())
    end))
  end)

  describe(("abortConnection on %s"):format(kind), function()
    it("discards what was written", ends.joined(kind, nil, nil, function(server, client)
      server.transport:pauseProducing()
      client.transport:write(("x"):rep(20000000))
      ends.turns(3)
      client.transport:abortConnection()
      ends.isExactly(client:awaitLost(), "ConnectionAborted")
      server.transport:resumeProducing()
      server:awaitLost()
      assert.is_true(server.length < 20000000)
    end))

    it("tells connectionLost later, once, whatever follows", ends.joined(kind, nil, nil, function(_, client)
      client.transport:abortConnection()
      client.transport:abortConnection()
      client.transport:loseConnection()
      client.transport:loseWriteConnection()
      assert.same({ "made" }, client.events)
      ends.isExactly(client:awaitLost(), "ConnectionAborted")
      ends.turns(3)
      assert.same({ "made", "lost" }, client.events)
    end))

    it("ends a close that waits for its output", ends.joined(kind, nil, nil, function(server, client)
      server.transport:pauseProducing()
      client.transport:write(("x"):rep(20000000))
      client.transport:loseConnection()
      ends.turns(3)
      assert.is_nil(client.reason)
      client.transport:abortConnection()
      ends.isExactly(client:awaitLost(), "ConnectionAborted")
      server.transport:resumeProducing()
      server:awaitLost()
    end))

    it("in dataReceived makes that the last one (point 34)", ends.joined(kind,
      ends.recorder {
        dataReceived = function(self, data)
          ends.Recorder.dataReceived(self, data)
          self.transport:abortConnection()
          self.lostInside = self.reason ~= nil
        end,
      }, nil, function(server, client)
        client.transport:write(("x"):rep(4000000))
        ends.isExactly(server:awaitLost(), "ConnectionAborted")
        assert.is_false(server.lostInside)
        assert.equal(1, #server.pieces)
        client:awaitLost()
      end))

    it("gives way to the error that is raised after it (point 34)", ends.joined(kind,
      ends.recorder {
        dataReceived = function(self)
          self.transport:abortConnection()
          error("raised after the abort")
        end,
      }, nil, function(server, client)
        client.transport:write("x")
        assert.matches("raised after the abort", tostring(server:awaitLost().value))
        assert.equal(1, #flushLoggedErrors())
        ends.turns(2)
        assert.same({ "made", "lost" }, server.events)
      end))

    it("in a producer's resumeProducing ends the connection once (point 34)", ends.joined(kind, nil, nil,
      function(server, client)
        local asked = {}
        server.transport:registerProducer({
          resumeProducing = function()
            asked[#asked + 1] = "resume"
            server.transport:abortConnection()
          end,
          stopProducing = function() asked[#asked + 1] = "stop" end,
        }, false)
        ends.isExactly(server:awaitLost(), "ConnectionAborted")
        assert.same({ "resume", "stop" }, asked)
        assert.same({ "made", "lost" }, server.events)
        client:awaitLost()
      end))
  end)

  describe(("the peer's end on %s"):format(kind), function()
    it("is ConnectionDone for a protocol that does not half-close", ends.joined(kind, nil, nil,
      function(server, client)
        client.transport:loseWriteConnection()
        ends.isExactly(server:awaitLost(), "ConnectionDone")
        ends.isExactly(client:awaitLost(), "ConnectionDone")
      end))

    it("comes after everything that was sent before it", ends.joined(kind, nil, nil, function(server, client)
      client.transport:write(("x"):rep(3000000))
      client.transport:loseWriteConnection()
      server:awaitLost()
      assert.equal(3000000, server.length)
    end))

    it("costs the output that is not sent yet", ends.joined(kind, nil, nil, function(server, client)
      client.transport:pauseProducing()
      server.transport:write(("x"):rep(20000000))
      ends.turns(2)
      client.transport:loseWriteConnection()
      ends.isExactly(server:awaitLost(), "ConnectionDone")
      client.transport:resumeProducing()
      client:awaitLost()
      assert.is_true(client.length < 20000000)
    end))

    it("is seen only when a paused transport resumes, with all that came before (point 36)", ends.joined(kind,
      nil, nil, function(server, client)
        server.transport:pauseProducing()
        client.transport:write("last words")
        client.transport:loseConnection()
        client:awaitLost()
        ends.turns(5)
        assert.is_nil(server.reason)
        server.transport:resumeProducing()
        ends.isExactly(server:awaitLost(), "ConnectionDone")
        assert.equal("last words", server:data())
      end))

    it("is revealed to a paused transport by a write (point 36)", ends.joined(kind, nil, nil,
      function(server, client)
        server.transport:pauseProducing()
        client.transport:abortConnection()
        client:awaitLost()
        local turns = 0
        while not server.reason and turns < 100 do
          server.transport:write("anybody there?")
          ends.turns(1)
          turns = turns + 1
        end
        ends.isExactly(server.reason, "ConnectionLost")
        assert.is_number(server.reason.value.errno)
      end))
  end)
end

describe("loseConnection in a parser", function()
  it("makes an end of lines that are in its buffer already (point 30)", async(function()
    local Lines = basic.LineReceiver:extend("Lines")
    local lines, done = {}, defer.Deferred()
    function Lines:lineReceived(line)
      lines[#lines + 1] = line
      if line == "stop" then self.transport:loseConnection() end
    end
    function Lines:connectionLost(reason) done:callback({ reason }) end
    local port = ends.kinds.TCP.listen(ends.factory(Lines))
    local raw = ends.rawTo(port:getHost().port)
    raw:send("go\r\nstop\r\nnever\r\nnever\r\n")
    ends.isExactly(await(done)[1], "ConnectionDone")
    assert.same({ "go", "stop" }, lines)
    raw:close()
    await(port:stopListening())
  end))
end)

describe("a reset", function()
  it("is ConnectionLost with the system's error", ends.joined("TCP", nil, nil, function(server, client)
    client.transport:abortConnection()
    local reason = server:awaitLost()
    ends.isExactly(reason, "ConnectionLost")
    assert.equal("ECONNRESET", reason.value.code)
    assert.is_number(reason.value.errno)
  end))

  it("is told to a protocol that half-closes in connectionLost alone", ends.joined("TCP",
    ends.HalfCloser, nil, function(server, client)
      client.transport:abortConnection()
      ends.isExactly(server:awaitLost(), "ConnectionLost")
      assert.same({ "made", "lost" }, server.events)
    end))
end)

describe("a lost connection", function()
  it("is told to the protocol, then to the factory, which stops last (point 37)", async(function()
    local order = {}
    local Ordered = ends.recorder {
      connectionLost = function(self, reason)
        order[#order + 1] = "connectionLost"
        ends.Recorder.connectionLost(self, reason)
      end,
    }
    local factory = ends.factory(Ordered)
    function factory.stopFactory()
      order[#order + 1] = "stopFactory"
      factory:note("stopped")
    end
    function factory.clientConnectionLost() order[#order + 1] = "clientConnectionLost" end
    local port = ends.kinds.TCP.listen(ends.factory(ends.Recorder))
    ends.kinds.TCP.connect(port, factory)
    local client = await(factory:protocolMade(1))
    local server = await(port.factory:protocolMade(1))
    client.transport:loseConnection()
    await(factory:whenNoted("stopped"))
    assert.same({ "connectionLost", "clientConnectionLost", "stopFactory" }, order)
    await(port:stopListening())
    ends.finish(server)
  end))

  it("leaves no reference to its protocol in the reactor (point 37)", async(function()
    local seen = setmetatable({}, { __mode = "k" })
    local port = reactor:listenTCP(0, ends.factory(ends.Recorder), { interface = "127.0.0.1" })
    local function converse()
      local factory = ends.factory(ends.Recorder)
      ends.kinds.TCP.connect(port, factory)
      local client = await(factory:protocolMade(1))
      local server = await(port.factory:protocolMade(1))
      port.factory.made = {}
      seen[client], seen[server], seen[client.transport] = true, true, true
      client.transport:loseConnection()
      client:awaitLost()
      server:awaitLost()
    end
    converse()
    await(port:stopListening())
    ends.turns(2)
    assert.equal(0, #core.transport.live())
    -- The coroutine of this test may still hold the last one in a dead place of its stack.
    for _ = 1, 3 do collectgarbage() end
    local left = {}
    for object in pairs(seen) do left[#left + 1] = tostring(object) end
    assert.same({}, left)
  end))
end)
