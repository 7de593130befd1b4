local await             = require("twistlua.defer").await
local async             = require("twistlua.test.async").async
local flushLoggedErrors = require("twistlua.test.async").flushLoggedErrors
local log               = require "twistlua.log"
local ends              = require "system.streams.pairs"

local MB = 1024 * 1024

-- A server whose client reads nothing, and writes megabytes until it is told to stop: the kernel's buffers are
-- full then, and `limit` is passed.
local function flood(server, megabytes)
  local megabyte = ("x"):rep(MB)
  for _ = 1, megabytes do server.transport:write(megabyte) end
end

for _, kind in ipairs { "TCP", "UNIX", "TLS" } do
  describe(("the limit of buffered output on %s"):format(kind), function()
    it("aborts the connection of a client that does not read", ends.joined(kind, nil, nil, function(server, client)
      client.transport:pauseProducing()
      local texts = {}
      local function observer(event) texts[#texts + 1] = event.text end
      log.addObserver(observer)
      flood(server, 70)
      log.removeObserver(observer)
      assert.is_nil(server.reason)      -- not inside the call
      ends.isExactly(server:awaitLost(), "OutputLimitExceeded")
      ends.is(server.reason, "ConnectionAborted")
      assert.matches("%d+ bytes wait to be sent", tostring(server.reason.value))
      assert.equal(1, #texts)
      assert.matches("^Recorder, connected to .*: Connection was aborted: .* bytes wait", texts[1])
      client.transport:resumeProducing()
      -- UNIX sockets know no reset.
      if kind == "TCP" then ends.isExactly(client:awaitLost(), "ConnectionLost") end
    end))

    it("is 64 MiB, counted before what is written", ends.joined(kind, nil, nil, function(server, client)
      client.transport:pauseProducing()
      local exceeded
      function server:outputLimitExceeded(pending) exceeded = pending end
      flood(server, 65)
      assert.is_nil(exceeded)
      server.transport:write("x")
      assert.equal(65 * MB + 1, exceeded)
    end))

    it("lets a single write of any size pass", ends.joined(kind,
      ends.recorder { outputLimit = 1000 }, nil, function(server, client)
        server.transport:write(("x"):rep(5 * MB))
        await(client:whenReceived(5 * MB))
      end))

    it("tells a protocol that wants to know, for each write, and not inside itself", ends.joined(kind, nil, nil,
      function(server, client)
        client.transport:pauseProducing()
        local told = {}
        function server:outputLimitExceeded(pending)
          told[#told + 1] = pending
          self.transport:write("xx")
        end
        server.transport:setOutputLimit(10)
        server.transport:writeSequence { ("x"):rep(10) }
        server.transport:write("x")
        assert.same({}, told)
        server.transport:write("x")
        server.transport:writeSequence { "x" }
        assert.same({ 12, 15 }, told)
        client.transport:resumeProducing()
        await(client:whenReceived(17))
        server.transport:write("all has left")
        assert.equal(2, #told)
        await(client:whenReceived(29))
      end))

    it("is the protocol's own, or none", ends.joined(kind,
      ends.recorder { outputLimit = math.huge }, ends.recorder { outputLimit = MB }, function(server, client)
        client.transport:pauseProducing()
        server.transport:pauseProducing()
        flood(server, 80)
        assert.is_true(server.transport.connected)
        flood(client, 1)
        client.transport:write("x")
        assert.is_true(client.transport.connected)
        client.transport:write("x")
        ends.isExactly(client:awaitLost(), "OutputLimitExceeded")
      end))

    it("pauses a push producer first", ends.joined(kind, nil, nil, function(server)
      local order = {}
      function server:outputLimitExceeded() order[#order + 1] = "limit" end
      server.transport:setOutputLimit(70000)
      server.transport:registerProducer({
        pauseProducing = function() order[#order + 1] = "pause" end,
        resumeProducing = function() end,
        stopProducing = function() end,
      }, true)
      server.transport:write(("x"):rep(80000))
      server.transport:write("x")
      assert.same({ "pause", "limit" }, order)
      server.transport:unregisterProducer()
    end))

    it("does not count what is dropped after loseConnection", ends.joined(kind, nil, nil, function(server, client)
      server.transport:setOutputLimit(10)
      server.transport:write(("x"):rep(20))
      server.transport:loseConnection()
      server.transport:write("x")
      await(client:whenReceived(20))
      ends.isExactly(server:awaitLost(), "ConnectionDone")
    end))
  end)
end

describe("a protocol's outputLimitExceeded", function()
  it("that raises costs its own connection, for that reason", ends.joined("TCP", ends.recorder {
    outputLimit = 0, outputLimitExceeded = function() error("too much") end,
  }, nil, function(server)
    server.transport:write("one")
    server.transport:write("two")
    assert.matches("too much", tostring(server:awaitLost().value))
    assert.equal(1, #flushLoggedErrors())
  end))

  it("may lose or abort the connection", ends.joined("TCP",
    ends.recorder { outputLimit = 0, outputLimitExceeded = function(self) self.transport:loseConnection() end },
    ends.recorder { outputLimit = 0, outputLimitExceeded = function(self) self.transport:abortConnection() end },
    function(server, client)
      for _ = 1, 3 do server.transport:write("x") end
      ends.isExactly(server:awaitLost(), "ConnectionDone")
      client:awaitLost()
      assert.equal("xx", client:data())
    end))
end)

describe("setOutputLimit", function()
  it("refuses what is no number of bytes", ends.joined("TCP", nil, nil, function(server)
    for _, bad in ipairs { -1, 0 / 0, "x", {} } do
      assert.is_false(pcall(server.transport.setOutputLimit, server.transport, bad))
    end
    assert.is_false(pcall(server.transport.setOutputLimit, server.transport))
  end))

  it("is asked for by a protocol with a bad one at the cost of its connection", async(function()
    local serving, calling = ends.factory(ends.recorder { outputLimit = -1 }), ends.factory(ends.Recorder)
    local port = ends.kinds.TCP.listen(serving)
    ends.kinds.TCP.connect(port, calling)
    local client = await(calling:protocolMade(1))
    client:awaitLost()
    assert.matches("expected bytes", tostring(flushLoggedErrors()[1].value))
    await(port:stopListening())
  end))
end)
