local await             = require("twistlua.defer").await
local async             = require("twistlua.test.async").async
local flushLoggedErrors = require("twistlua.test.async").flushLoggedErrors
local ends              = require "system.streams.pairs"

local HIGH_WATER = 64 * 1024   -- what a transport keeps before it pauses a push producer

-- Notes what it is asked; `does` maps a request to a function that it calls.
local function producer(does)
  local made = { asked = {} }
  for _, request in ipairs { "pauseProducing", "resumeProducing", "stopProducing" } do
    made[request] = function(self)
      self.asked[#self.asked + 1] = request
      if does and does[request] then does[request](self) end
    end
  end
  return made
end

-- A producer of `total` bytes in pieces of `size`, which unregisters itself after the last.
local function source(transport, total, size)
  local made
  made = producer {
    resumeProducing = function(self)
      if self.left == 0 then return end
      local count = math.min(size, self.left)
      self.left = self.left - count
      transport:write(("x"):rep(count))
      if self.left == 0 then transport:unregisterProducer() end
    end,
  }
  made.left = total
  return made
end

for _, kind in ipairs { "TCP", "UNIX", "TLS" } do
  describe(("a push producer on %s"):format(kind), function()
    it("is paused when more than 64 KiB wait, and not before", ends.joined(kind, nil, nil,
      function(server)
        local made = producer()
        server.transport:registerProducer(made, true)
        server.transport:write(("x"):rep(HIGH_WATER))
        assert.same({}, made.asked)
        server.transport:write("x")
        assert.same({ "pauseProducing" }, made.asked)
        server.transport:write("and on")
        assert.same({ "pauseProducing" }, made.asked)
        server.transport:unregisterProducer()
      end))

    it("is paused by writeSequence too", ends.joined(kind, nil, nil, function(server)
      local made = producer()
      server.transport:registerProducer(made, true)
      server.transport:writeSequence { ("x"):rep(HIGH_WATER), "x" }
      assert.same({ "pauseProducing" }, made.asked)
      server.transport:unregisterProducer()
    end))

    it("is resumed when all has left", ends.joined(kind, nil, nil, function(server, client)
      local made = producer()
      server.transport:registerProducer(made, true)
      client.transport:pauseProducing()
      server.transport:write(("x"):rep(20000000))
      ends.turns(5)
      assert.same({ "pauseProducing" }, made.asked)
      client.transport:resumeProducing()
      await(client:whenReceived(20000000))
      ends.turns(2)
      assert.same({ "pauseProducing", "resumeProducing" }, made.asked)
      server.transport:unregisterProducer()
    end))

    it("is not resumed when it was not paused", ends.joined(kind, nil, nil, function(server, client)
      local made = producer()
      server.transport:registerProducer(made, true)
      server.transport:write("little")
      await(client:whenReceived(6))
      ends.turns(3)
      assert.same({}, made.asked)
      server.transport:unregisterProducer()
    end))

    it("that refills the buffer in resumeProducing is paused and resumed again (point 33)", ends.joined(kind,
      nil, nil, function(server, client)
        local rounds, chunk = 0, ("x"):rep(HIGH_WATER + 1)
        local made = producer {
          resumeProducing = function()
            rounds = rounds + 1
            if rounds <= 3 then server.transport:write(chunk) end
          end,
        }
        server.transport:registerProducer(made, true)
        server.transport:write(chunk)
        await(client:whenReceived(4 * #chunk))
        ends.turns(3)
        assert.same({
          "pauseProducing", "resumeProducing", "pauseProducing", "resumeProducing",
          "pauseProducing", "resumeProducing", "pauseProducing", "resumeProducing",
        }, made.asked)
        server.transport:unregisterProducer()
      end))

    it("may unregister while it is paused", ends.joined(kind, nil, nil, function(server, client)
      local made = producer {
        pauseProducing = function() server.transport:unregisterProducer() end,
      }
      server.transport:registerProducer(made, true)
      server.transport:write(("x"):rep(HIGH_WATER + 1))
      await(client:whenReceived(HIGH_WATER + 1))
      ends.turns(3)
      assert.same({ "pauseProducing" }, made.asked)
    end))

    it("that raises in resumeProducing costs its own connection, for that reason", ends.joined(kind, nil, nil,
      function(server, client)
        local made = producer { resumeProducing = function() error("no more") end }
        server.transport:registerProducer(made, true)
        server.transport:write(("x"):rep(HIGH_WATER + 1))
        assert.matches("no more", tostring(server:awaitLost().value))
        assert.same({ "pauseProducing", "resumeProducing", "stopProducing" }, made.asked)
        client:awaitLost()
        assert.equal(1, #flushLoggedErrors())
      end))
  end)

  describe(("a pull producer on %s"):format(kind), function()
    it("is asked for more each time that all has left, and never paused (point 33)", ends.joined(kind,
      nil, nil, function(server, client)
        local made = source(server.transport, 10 * 100000, 100000)
        server.transport:registerProducer(made, false)
        await(client:whenReceived(1000000))
        ends.turns(3)
        assert.equal(10, #made.asked)
        for _, request in ipairs(made.asked) do assert.equal("resumeProducing", request) end
      end))

    it("that has nothing now may write later", ends.joined(kind, nil, nil, function(server, client)
      local made = producer()
      server.transport:registerProducer(made, false)
      ends.turns(3)
      assert.same({ "resumeProducing" }, made.asked)
      server.transport:write("later")
      await(client:whenReceived(5))
      ends.turns(1)
      assert.same({ "resumeProducing", "resumeProducing" }, made.asked)
      server.transport:unregisterProducer()
    end))

    it("feeds a slow reader no faster than it reads", ends.joined(kind, nil, nil, function(server, client)
      client.transport:pauseProducing()
      local total = 50000000
      local made = source(server.transport, total, 10000)
      server.transport:registerProducer(made, false)
      local left
      repeat
        left = made.left
        ends.turns(5)
      until made.left == left
      assert.is_true(made.left > 0)
      client.transport:resumeProducing()
      await(client:whenReceived(total))
      assert.equal(0, made.left)
    end))

    it("that writes for ever leaves the other connections their turn", async(function()
      local fast, fastClient = ends.join(kind)
      local slow, slowClient = ends.join(kind)
      local made = producer { resumeProducing = function() fast.transport:write(("x"):rep(1000)) end }
      fast.transport:registerProducer(made, false)
      slowClient.transport:write("ping")
      await(slow:whenReceived(4))
      slow.transport:write("pong")
      await(slowClient:whenReceived(4))
      fast.transport:unregisterProducer()
      ends.finish(fast, fastClient, slow, slowClient)
    end))

    it("that raises costs its own connection, for that reason", ends.joined(kind, nil, nil,
      function(server, client)
        local made = producer { resumeProducing = function() error("the file is gone") end }
        server.transport:registerProducer(made, false)
        assert.matches("the file is gone", tostring(server:awaitLost().value))
        assert.same({ "resumeProducing", "stopProducing" }, made.asked)
        client:awaitLost()
        assert.equal(1, #flushLoggedErrors())
      end))
  end)

  describe(("loseConnection with a producer on %s"):format(kind), function()
    for _, streaming in ipairs { true, false } do
      local what = streaming and "push" or "pull"

      it(("waits until the %s producer unregisters (point 32)"):format(what), ends.joined(kind, nil, nil,
        function(server, client)
          server.transport:registerProducer(producer(), streaming)
          server.transport:write("first ")
          server.transport:loseConnection()
          await(client:whenReceived(6))
          ends.turns(3)
          assert.same({ "made" }, server.events)
          server.transport:write("second")
          await(client:whenReceived(12))
          assert.same({ "made" }, server.events)
          server.transport:unregisterProducer()
          ends.isExactly(server:awaitLost(), "ConnectionDone")
          client:awaitLost()
          assert.equal("first second", client:data())
        end))

      it(("is done when the peer leaves the %s producer (point 32)"):format(what), ends.joined(kind, nil, nil,
        function(server, client)
          local made = producer()
          server.transport:registerProducer(made, streaming)
          client.transport:loseConnection()
          server:awaitLost()
          assert.equal("stopProducing", made.asked[#made.asked])
          server.transport:unregisterProducer()
          server.transport:resumeProducing()
          ends.turns(2)
          assert.same({ "made", "lost" }, server.events)
          assert.is_nil(server.transport.producer)
        end))
    end

    it("lets a pull producer come to its end", ends.joined(kind, nil, nil, function(server, client)
      server.transport:registerProducer(source(server.transport, 3000000, 16384), false)
      server.transport:loseConnection()
      ends.isExactly(server:awaitLost(), "ConnectionDone")
      client:awaitLost()
      assert.equal(3000000, client.length)
    end))

    it("reads no more meanwhile", ends.joined(kind, nil, nil, function(server, client)
      server.transport:registerProducer(producer(), true)
      server.transport:loseConnection()
      client.transport:write("unheard")
      ends.turns(4)
      server.transport:unregisterProducer()
      server:awaitLost()
      assert.equal("", server:data())
    end))
  end)

  describe(("loseWriteConnection with a producer on %s"):format(kind), function()
    it("lets it come to its end", ends.joined(kind, ends.HalfCloser, nil, function(server, client)
      server.transport:registerProducer(source(server.transport, 3000000, 16384), false)
      server.transport:loseWriteConnection()
      await(server:whenNoted("write lost"))
      client:awaitLost()
      assert.equal(3000000, client.length)
      server:awaitLost()
    end))
  end)

  describe(("a transport with a producer on %s"):format(kind), function()
    it("takes no second one", ends.joined(kind, nil, nil, function(server)
      local first = producer()
      server.transport:registerProducer(first, true)
      local ok, message = pcall(server.transport.registerProducer, server.transport, producer(), true)
      assert.is_false(ok)
      assert.matches("already registered", message)
      assert.equal(first, server.transport.producer)
      server.transport:unregisterProducer()
      assert.is_nil(server.transport.producer)
      server.transport:registerProducer(producer(), true)
      server.transport:unregisterProducer()
    end))

    it("stops it once when the connection is lost, before the protocol hears", ends.joined(kind,
      ends.recorder {
        connectionLost = function(self, reason)
          self.askedBefore = #self.made.asked
          ends.Recorder.connectionLost(self, reason)
        end,
      }, nil, function(server, client)
        server.made = producer()
        server.transport:registerProducer(server.made, true)
        client.transport:abortConnection()
        server:awaitLost()
        assert.equal(1, server.askedBefore)
        ends.turns(2)
        assert.same({ "stopProducing" }, server.made.asked)
      end))

    it("stops it once when it is dead already", ends.joined(kind, nil, nil, function(server)
      server.transport:abortConnection()
      server:awaitLost()
      local made = producer()
      server.transport:registerProducer(made, true)
      assert.same({ "stopProducing" }, made.asked)
      assert.is_nil(server.transport.producer)
      server.transport:registerProducer(producer(), false)
      ends.turns(2)
      assert.same({ "stopProducing" }, made.asked)
    end))

    it("stops it once when it was aborted and has not said so yet", ends.joined(kind, nil, nil,
      function(server)
        local made = producer()
        server.transport:abortConnection()
        server.transport:registerProducer(made, true)
        server:awaitLost()
        assert.same({ "stopProducing" }, made.asked)
      end))

    it("logs what stopProducing raises, and the protocol hears its end all the same", ends.joined(kind,
      nil, nil, function(server, client)
        server.transport:registerProducer(producer { stopProducing = function() error("no") end }, true)
        client.transport:loseConnection()
        ends.isExactly(server:awaitLost(), "ConnectionDone")
        assert.equal(1, #flushLoggedErrors())
      end))
  end)
end

describe("a push producer that raises in pauseProducing", function()
  it("costs its own connection, and not that of the protocol that wrote", async(function()
    local victim, victimClient = ends.join("TCP")
    local Writer = ends.recorder {
      dataReceived = function(self, data)
        victim.transport:write(("x"):rep(HIGH_WATER + 1))
        ends.Recorder.dataReceived(self, data)
      end,
    }
    local writer, writerClient = ends.join("TCP", Writer)
    victim.transport:registerProducer(producer { pauseProducing = function() error("will not") end }, true)
    writerClient.transport:write("go")
    assert.matches("will not", tostring(victim:awaitLost().value))
    await(writer:whenReceived(2))
    writerClient.transport:write("on")
    await(writer:whenReceived(4))
    assert.same({ "made" }, writer.events)
    assert.equal(1, #flushLoggedErrors())
    ends.finish(victimClient, writer, writerClient)
  end))
end)
