local await             = require("twistlua.defer").await
local address           = require "twistlua.address"
local flushLoggedErrors = require("twistlua.test.async").flushLoggedErrors
local reactor           = require "twistlua.reactor"
local ends              = require "system.streams.pairs"

for _, kind in ipairs { "TCP", "TCP6", "UNIX", "TLS" } do
  describe(("a %s transport"):format(kind), function()
    it("carries bytes both ways", ends.joined(kind, nil, nil, function(server, client)
      server.transport:write("from the server")
      client.transport:write("from the client")
      await(client:whenReceived(15))
      await(server:whenReceived(15))
      assert.equal("from the server", client:data())
      assert.equal("from the client", server:data())
    end))

    it("carries every byte value", ends.joined(kind, nil, nil, function(server, client)
      local bytes = {}
      for byte = 0, 255 do bytes[#bytes + 1] = string.char(byte) end
      local all = table.concat(bytes)
      client.transport:write(all)
      await(server:whenReceived(256))
      assert.equal(all, server:data())
    end))

    it("joins the writes of one turn, short and long, in their order", ends.joined(kind, nil, nil,
      function(server, client)
        local expected = {}
        for i = 1, 300 do
          expected[i] = (i % 7 == 0 and ("%d"):format(i):rep(5000) or ("<%d>"):format(i))
          client.transport:write(expected[i])
        end
        expected = table.concat(expected)
        await(server:whenReceived(#expected))
        assert.is_true(expected == server:data())
      end))

    it("writes the items of a list in their order", ends.joined(kind, nil, nil, function(server, client)
      client.transport:writeSequence { "a", "", "b", ("c"):rep(20000), "d" }
      await(server:whenReceived(20003))
      assert.is_true("ab" .. ("c"):rep(20000) .. "d" == server:data())
    end))

    it("takes more than the kernel does, and sends it all", ends.joined(kind, nil, nil,
      function(server, client)
        local chunk, count = ("0123456789abcdef"):rep(65536), 16
        for _ = 1, count do client.transport:write(chunk) end
        await(server:whenReceived(count * #chunk))
        assert.equal(count * #chunk, server.length)
        assert.is_true(chunk:rep(count) == server:data())
      end))

    it("raises for what is no string, and sends nothing of it", ends.joined(kind, nil, nil,
      function(server, client)
        local transport = client.transport
        for _, value in ipairs { 12, true, {}, print } do
          local ok, message = pcall(transport.write, transport, value)
          assert.is_false(ok)
          assert.matches("data must be a string, not " .. type(value), message)
        end
        assert.is_false(pcall(transport.write, transport))
        local ok, message = pcall(transport.writeSequence, transport, { "a", "b", 3 })
        assert.is_false(ok)
        assert.matches("item 3 is a number", message)
        assert.is_false(pcall(transport.writeSequence, transport, "abc"))
        transport:write("end")
        await(server:whenReceived(3))
        assert.equal("end", server:data())
      end))

    it("tells the line of a wrong write", ends.joined(kind, nil, nil, function(_, client)
      local ok, message = pcall(function() client.transport:write(nil) end)
      assert.is_false(ok)
      assert.matches("transport_spec.lua:%d+:", message)
    end))

    it("gives the same address to the one end that it calls peer and to the other that it calls host",
      ends.joined(kind, nil, nil, function(server, client)
        assert.is_true(client.transport:getPeer() == server.transport:getHost())
        if kind ~= "UNIX" then assert.is_true(server.transport:getPeer() == client.transport:getHost()) end
      end))

    it("tells both addresses in connectionLost too", ends.joined(kind,
      ends.recorder {
        connectionLost = function(self, reason)
          self.host, self.peer = self.transport:getHost(), self.transport:getPeer()
          ends.Recorder.connectionLost(self, reason)
        end,
      }, nil, function(server, client)
        local host, peer = server.transport:getHost(), server.transport:getPeer()
        client.transport:loseConnection()
        server:awaitLost()
        assert.equal(tostring(host), tostring(server.host))
        assert.equal(tostring(peer), tostring(server.peer))
      end))

    it("is open, then closing, then closed", ends.joined(kind, nil, nil, function(_, client)
      local transport = client.transport
      assert.same({ true, false, false },
        { transport.connected, transport.disconnecting, transport.disconnected })
      assert.matches("open", tostring(transport))
      transport:write("x")
      transport:loseConnection()
      assert.same({ true, true, false },
        { transport.connected, transport.disconnecting, transport.disconnected })
      assert.matches("closing", tostring(transport))
      client:awaitLost()
      assert.same({ false, true, true },
        { transport.connected, transport.disconnecting, transport.disconnected })
      assert.matches("closed", tostring(transport))
      assert.equal(-1, transport:getHandle())
    end))

    it("bears every call when it is dead", ends.joined(kind, nil, nil, function(server, client)
      local transport = client.transport
      transport:abortConnection()
      client:awaitLost()
      transport:write("x")
      transport:write(("x"):rep(100000))
      transport:writeSequence { "x", "y" }
      transport:pauseProducing()
      transport:resumeProducing()
      transport:stopProducing()
      transport:loseConnection()
      transport:loseWriteConnection()
      transport:abortConnection()
      transport:unregisterProducer()
      server:awaitLost()
      ends.turns(3)
      assert.same({ "made", "lost" }, client.events)
    end))

    it("raises for wrong data also when it is dead", ends.joined(kind, nil, nil, function(_, client)
      client.transport:abortConnection()
      client:awaitLost()
      assert.is_false(pcall(client.transport.write, client.transport, 1))
    end))

    it("hands its own descriptor to who asks", ends.joined(kind, nil, nil, function(server, client)
      assert.is_true(server.transport:getHandle() > 2)
      assert.are_not.equal(server.transport:getHandle(), client.transport:getHandle())
    end))

    it("reads nothing while paused", ends.joined(kind, nil, nil, function(server, client)
      server.transport:pauseProducing()
      client.transport:write("held")
      ends.turns(5)
      assert.equal("", server:data())
      server.transport:resumeProducing()
      await(server:whenReceived(4))
      assert.equal("held", server:data())
    end))

    it("may be paused in connectionMade", ends.joined(kind,
      ends.recorder {
        connectionMade = function(self)
          self.transport:pauseProducing()
          ends.Recorder.connectionMade(self)
        end,
      }, nil, function(server, client)
        client.transport:write("early")
        ends.turns(5)
        assert.equal("", server:data())
        server.transport:resumeProducing()
        await(server:whenReceived(5))
      end))

    it("may be paused in dataReceived, and delivers the rest when resumed", ends.joined(kind,
      ends.recorder {
        dataReceived = function(self, data)
          self.transport:pauseProducing()
          ends.Recorder.dataReceived(self, data)
        end,
      }, nil, function(server, client)
        local total = 1000000
        client.transport:write(("x"):rep(total))
        await(server:whenReceived(1))
        local first = server.length
        assert.is_true(first < total)
        ends.turns(5)
        assert.equal(first, server.length)
        while server.length < total do
          local before = server.length
          server.transport:resumeProducing()
          await(server:whenReceived(before + 1))
        end
        assert.equal(total, server.length)
      end))

    it("pauses and resumes any number of times", ends.joined(kind, nil, nil, function(server, client)
      for _ = 1, 3 do server.transport:pauseProducing() end
      server.transport:resumeProducing()
      server.transport:resumeProducing()
      client.transport:write("x")
      await(server:whenReceived(1))
    end))

    it("writes while it is paused", ends.joined(kind, nil, nil, function(server, client)
      server.transport:pauseProducing()
      server.transport:write("out")
      await(client:whenReceived(3))
      server.transport:resumeProducing()
    end))

    it("drops the reference to the protocol when the connection is lost", ends.joined(kind, nil, nil,
      function(_, client)
        local transport = client.transport
        assert.equal(client, transport.protocol)
        transport:abortConnection()
        client:awaitLost()
        assert.is_nil(transport.protocol)
      end))

    it("is no longer known for what it is not", ends.joined(kind, nil, nil, function(_, client)
      assert.is_nil(client.transport.noSuchField)
      local ok, message = pcall(client.transport.write, io.stdout, "x")
      assert.is_false(ok)
      assert.matches("twistlua.transport expected", message)
    end))
  end)
end

describe("a TCP transport", function()
  it("sends all that one turn wrote in one piece", ends.joinedRaw(nil, function(server, raw)
    server.transport:write("one ")
    server.transport:write("two ")
    server.transport:writeSequence { "thr", "ee" }
    assert.is_nil((raw:recv(100)))   -- nothing leaves inside the call
    await(ends.readable(raw))
    assert.equal("one two three", raw:recv(100))
  end))

  it("sends nothing inside write, however much it is", ends.joinedRaw(nil, function(server, raw)
    server.transport:write(("x"):rep(1000000))
    local bytes, _, name = raw:recv(10)
    assert.is_nil(bytes)
    assert.equal("EAGAIN", name)
    assert.equal(1000000, #ends.receive(raw, 1000000))
  end))

  it("names the IPv4 literal and the port of its ends", ends.joined("TCP", nil, nil, function(server, client)
    local host = server.transport:getHost()
    assert.is_true(address.IPv4Address("TCP", "127.0.0.1", host.port) == host)
    assert.is_true(host.port > 0)
    assert.equal("127.0.0.1", client.transport:getPeer().host)
  end))

  it("names the IPv6 literal and the port of its ends", ends.joined("TCP6", nil, nil, function(server)
    local host = server.transport:getHost()
    assert.is_true(address.IPv6Address("TCP", "::1", host.port) == host)
  end))

  it("switches TCP_NODELAY", ends.joined("TCP", nil, nil, function(server)
    server.transport:setTcpNoDelay(true)
    assert.is_true(server.transport:getTcpNoDelay())
    server.transport:setTcpNoDelay(false)
    assert.is_false(server.transport:getTcpNoDelay())
  end))

  it("switches SO_KEEPALIVE", ends.joined("TCP", nil, nil, function(_, client)
    assert.is_false(client.transport:getTcpKeepAlive())
    client.transport:setTcpKeepAlive(true)
    assert.is_true(client.transport:getTcpKeepAlive())
    client.transport:setTcpKeepAlive(false)
    assert.is_false(client.transport:getTcpKeepAlive())
  end))

  it("refuses options when it is dead", ends.joined("TCP", nil, nil, function(_, client)
    client.transport:abortConnection()
    client:awaitLost()
    local ok, message = pcall(client.transport.setTcpNoDelay, client.transport, true)
    assert.is_false(ok)
    assert.matches("closed", message)
    assert.is_false(pcall(client.transport.getTcpKeepAlive, client.transport))
  end))
end)

describe("a connection", function()
  -- `again(f)` has f called in a later turn, for ever.
  local function starving(again)
    return ends.joined("TCP", nil, nil, function(server, client)
      local calls, going = 0, true
      local function call()
        calls = calls + 1
        if going then again(call) end
      end
      call()
      for round = 1, 10 do
        local before = calls
        client.transport:write("ping")
        await(server:whenReceived(4 * round))
        assert.is_true(calls > before)
      end
      going = false
    end)
  end

  it("has its turn between timers that begin others without delay (point 28)",
    starving(function(call) reactor:callLater(0, call) end))

  it("has its turn between calls that ask for others from within (point 28)",
    starving(function(call) reactor:callFromThread(call) end))
end)

describe("an error in a protocol", function()
  local function raising(method)
    return ends.recorder({
      [method] = function(self, ...)
        ends.Recorder[method](self, ...)
        error("trouble in " .. method)
      end,
    })
  end

  it("in dataReceived ends that connection with the error as its reason", ends.joined("TCP",
    raising("dataReceived"), nil, function(server, client)
      client.transport:write("x")
      local reason = server:awaitLost()
      assert.matches("trouble in dataReceived", tostring(reason.value))
      ends.is(client:awaitLost(), "ConnectionDone")
      assert.equal(1, #flushLoggedErrors())
    end))

  it("in connectionMade ends that connection with the error as its reason", ends.joined("TCP",
    raising("connectionMade"), nil, function(server, client)
      local reason = server:awaitLost()
      assert.matches("trouble in connectionMade", tostring(reason.value))
      ends.is(client:awaitLost(), "ConnectionDone")
      assert.equal(1, #flushLoggedErrors())
    end))

  it("in a client's connectionMade is the reason that its factory hears", ends.joined("TCP",
    nil, raising("connectionMade"), function(_, client)
      await(client.factory:whenNoted("lost"))
      assert.matches("trouble in connectionMade", tostring(client.reason.value))
      assert.equal(client.reason, client.factory.lost)
      assert.equal(1, #flushLoggedErrors())
    end))

  it("in connectionLost is logged, and the factory hears its end all the same", ends.joined("TCP",
    nil, raising("connectionLost"), function(server, client)
      server.transport:loseConnection()
      await(client.factory:whenNoted("lost"))
      ends.is(client.factory.lost, "ConnectionDone")
      assert.equal(1, #flushLoggedErrors())
    end))

  it("leaves the other connections of the same port alone", require("twistlua.test.async").async(function()
    local Fragile = ends.recorder {
      dataReceived = function(self, data)
        if data == "break" then error("broken") end
        self.transport:write(data)
      end,
    }
    local factory, calling = ends.factory(Fragile), ends.factory(ends.Recorder)
    local port = ends.kinds.TCP.listen(factory)
    ends.kinds.TCP.connect(port, calling)
    ends.kinds.TCP.connect(port, calling)
    local first, second = await(calling:protocolMade(1)), await(calling:protocolMade(2))
    first.transport:write("break")
    first:awaitLost()
    second.transport:write("still here")
    await(second:whenReceived(10))
    ends.kinds.TCP.connect(port, calling)
    local third = await(calling:protocolMade(3))
    third.transport:write("and accepting")
    await(third:whenReceived(13))
    assert.equal(1, #flushLoggedErrors())
    await(port:stopListening())
    ends.finish(second, third)
  end))

  it("that is no string is the reason as it is", ends.joined("TCP",
    ends.recorder { dataReceived = function() error({ code = 7 }) end }, nil, function(server, client)
      client.transport:write("x")
      local reason = server:awaitLost()
      assert.equal(7, reason.value.code)
      flushLoggedErrors()
    end))
end)
