local await             = require("twistlua.defer").await
local flushLoggedErrors = require("twistlua.test.async").flushLoggedErrors
local ends              = require "system.streams.pairs"

local HalfCloser = ends.HalfCloser

for _, kind in ipairs { "TCP", "TCP6", "UNIX", "TLS" } do
  describe(("a half-closing protocol on %s"):format(kind), function()
    it("hears of its end when what was written is sent", ends.joined(kind, nil, HalfCloser,
      function(server, client)
        server.transport:pauseProducing()
        client.transport:write(("x"):rep(20000000))
        client.transport:loseWriteConnection()
        ends.turns(3)
        assert.same({ "made" }, client.events)
        server.transport:resumeProducing()
        await(client:whenNoted("write lost"))
        server:awaitLost()
        assert.equal(20000000, server.length)
      end))

    it("reads on after its own end", ends.joined(kind, HalfCloser, HalfCloser, function(server, client)
      client.transport:write("question")
      client.transport:loseWriteConnection()
      await(server:whenNoted("read lost"))
      assert.equal("question", server:data())
      server.transport:write("answer")
      server.transport:loseConnection()
      ends.isExactly(client:awaitLost(), "ConnectionDone")
      assert.equal("answer", client:data())
      ends.isExactly(server:awaitLost(), "ConnectionDone")
    end))

    it("hears of the peer's end and writes on", ends.joined(kind, HalfCloser, HalfCloser,
      function(server, client)
        client.transport:loseWriteConnection()
        await(server:whenNoted("read lost"))
        assert.is_true(server.transport.connected)
        for i = 1, 3 do
          server.transport:write("more")
          await(client:whenReceived(4 * i))
        end
        assert.same({ "made", "read lost" }, server.events)
        server.transport:loseConnection()
        client:awaitLost()
      end))

    it("drops what is written after loseWriteConnection", ends.joined(kind, HalfCloser, HalfCloser,
      function(server, client)
        client.transport:write("before")
        client.transport:loseWriteConnection()
        client.transport:write("after")
        await(server:whenNoted("read lost"))
        client.transport:write("long after")
        ends.turns(3)
        assert.equal("before", server:data())
      end))

    it("is told once, however often it asks", ends.joined(kind, HalfCloser, HalfCloser,
      function(server, client)
        for _ = 1, 3 do client.transport:loseWriteConnection() end
        assert.same({ "made" }, client.events)
        await(server:whenNoted("read lost"))
        client.transport:loseWriteConnection()
        ends.turns(3)
        assert.same({ "made", "write lost" }, client.events)
      end))

    it("is closed when both ends are lost (point 35)", ends.joined(kind, HalfCloser, HalfCloser,
      function(server, client)
        client.transport:loseWriteConnection()
        await(server:whenNoted("read lost"))
        server.transport:loseWriteConnection()
        ends.isExactly(client:awaitLost(), "ConnectionDone")
        ends.isExactly(server:awaitLost(), "ConnectionDone")
        assert.same({ "made", "write lost", "read lost", "lost" }, client.events)
        assert.same({ "made", "read lost", "write lost", "lost" }, server.events)
      end))

    it("is closed when both end at the same time (point 35)", ends.joined(kind, HalfCloser, HalfCloser,
      function(server, client)
        client.transport:loseWriteConnection()
        server.transport:loseWriteConnection()
        ends.isExactly(client:awaitLost(), "ConnectionDone")
        ends.isExactly(server:awaitLost(), "ConnectionDone")
        table.sort(client.events)
        assert.same({ "lost", "made", "read lost", "write lost" }, client.events)
      end))

    it("may lose its connection in writeConnectionLost (point 35)", ends.joined(kind, HalfCloser,
      ends.recorder({
        writeConnectionLost = function(self)
          self:note("write lost")
          self.transport:loseConnection()
        end,
      }, HalfCloser), function(server, client)
        client.transport:loseWriteConnection()
        ends.isExactly(client:awaitLost(), "ConnectionDone")
        assert.same({ "made", "write lost", "lost" }, client.events)
        await(server:whenNoted("read lost"))
        server.transport:loseConnection()
        server:awaitLost()
      end))

    it("may lose its connection in readConnectionLost", ends.joined(kind,
      ends.recorder({
        readConnectionLost = function(self)
          self.transport:write("bye")
          self.transport:loseConnection()
        end,
      }, HalfCloser), nil, function(server, client)
        client.transport:loseWriteConnection()
        ends.isExactly(server:awaitLost(), "ConnectionDone")
        client:awaitLost()
        assert.equal("bye", client:data())
      end))

    it("is silent about loseWriteConnection after the peer has gone (point 35)", ends.joined(kind,
      HalfCloser, nil, function(server, client)
        client.transport:abortConnection()
        client:awaitLost()
        server.transport:loseWriteConnection()
        server:awaitLost()
        server.transport:loseWriteConnection()
        ends.turns(2)
      end))

    it("may abort with one end lost", ends.joined(kind, HalfCloser, HalfCloser, function(server, client)
      client.transport:loseWriteConnection()
      await(server:whenNoted("read lost"))
      server.transport:abortConnection()
      ends.isExactly(server:awaitLost(), "ConnectionAborted")
      client:awaitLost()
    end))

    for _, method in ipairs { "readConnectionLost", "writeConnectionLost" } do
      it(("that raises in %s loses its connection for that reason"):format(method), ends.joined(kind,
        ends.recorder({ [method] = function() error("trouble in " .. method) end }, HalfCloser), HalfCloser,
        function(server, client)
          local ending = method == "readConnectionLost" and client or server
          ending.transport:loseWriteConnection()
          assert.matches("trouble in " .. method, tostring(server:awaitLost().value))
          assert.equal(1, #flushLoggedErrors())
        end))
    end

    it("keeps a transport that is paused until it sees the peer's end", ends.joined(kind,
      HalfCloser, nil, function(server, client)
        server.transport:pauseProducing()
        client.transport:write("words")
        client.transport:loseWriteConnection()
        ends.turns(4)
        assert.same({ "made" }, server.events)
        server.transport:resumeProducing()
        await(server:whenNoted("read lost"))
        assert.equal("words", server:data())
        server.transport:pauseProducing()
        server.transport:resumeProducing()
        ends.turns(3)
        assert.same({ "made", "read lost" }, server.events)
      end))
  end)
end

describe("loseWriteConnection", function()
  it("sends a FIN that a peer sees, and hears its answer", ends.joinedRaw(HalfCloser, function(server, raw)
    server.transport:write("all")
    server.transport:loseWriteConnection()
    local bytes, ending = ends.receive(raw)
    assert.same({ "all", "EOF" }, { bytes, ending })
    assert.equal(6, raw:send("answer"))
    await(server:whenReceived(6))
    raw:shutdown()
    ends.isExactly(server:awaitLost(), "ConnectionDone")
    assert.same({ "made", "write lost", "read lost", "lost" }, server.events)
  end))

  it("does without the events of a protocol that has none", ends.joinedRaw(nil, function(server, raw)
    server.transport:loseWriteConnection()
    assert.equal("", (ends.receive(raw)))
    assert.equal(3, raw:send("abc"))
    await(server:whenReceived(3))
    raw:shutdown()
    ends.isExactly(server:awaitLost(), "ConnectionDone")
  end))
end)
