local Clock        = require("twistlua.task").Clock
local connect      = require("twistlua.test").connect
local errors       = require "twistlua.error"
local protocol     = require "twistlua.protocol"
local tls          = require "twistlua.protocols.tls"
local ends         = require "system.streams.pairs"

-- Two Recorders (see pairs.lua) with `depth` TLS connections between them, one in another, on transports in
-- memory. `settle()` lets all happen that is due.
local function joined(given)
  given = given or {}
  local clock = Clock()
  local server = (given.server or ends.Recorder)()
  local client = (given.client or ends.Recorder)()
  local function wrap(wrapped, isClient)
    local factory = protocol.Factory()
    factory.noisy = false
    function factory.buildProtocol() return wrapped end
    for _ = 1, given.depth or 1 do
      factory = tls.TLSMemoryBIOFactory(isClient and ends.trust() or ends.identity(given.certificate), isClient,
        factory, {
          clock = clock, hostname = isClient and "localhost" or nil, handshakeTimeout = given.handshakeTimeout,
        })
    end
    return factory:buildProtocol()
  end
  local pump = connect(wrap(server, false), wrap(client, true), { byteAtATime = given.byteAtATime })
  local function settle()
    for _ = 1, 30 do
      pump:flush(1000000)
      clock:advance(0)
    end
  end
  return server, client, settle, clock, pump
end

describe("TLSMemoryBIOProtocol", function()
  for _, depth in ipairs { 1, 2, 3 } do
    it(("carries bytes both ways, %d deep"):format(depth), function()
      local server, client, settle = joined { depth = depth }
      client.transport:write("early")
      settle()
      assert.is_true(server.secured and client.secured)
      assert.equal("early", server:data())
      assert.is_true(client.transport.TLS)
      assert.equal("TLSv1.3", client.transport:getTLSVersion())
      server.transport:writeSequence { "an", "swer" }
      client.transport:write(("x"):rep(300000))
      settle()
      assert.equal("answer", client:data())
      assert.equal("early" .. ("x"):rep(300000), server:data())
      client.transport:loseConnection()
      settle()
      ends.isExactly(client.reason, "ConnectionDone")
      ends.isExactly(server.reason, "ConnectionDone")
    end)
  end

  it("takes one byte at a time", function()
    local server, client, settle = joined { byteAtATime = true }
    client.transport:write("slow")
    settle()
    assert.equal("slow", server:data())
  end)

  it("makes one record of what is written in one turn", function()
    local server, client, settle, clock = joined()
    settle()
    local lower, written = client.transport.transport, 0
    local write = lower.write
    function lower.write(self, data)
      written = written + #data
      return write(self, data)
    end
    for _ = 1, 1000 do client.transport:write("tiny") end
    assert.equal(0, written)
    clock:advance(0)
    assert.equal(4000 + 22, written)
    settle()
    assert.equal(4000, server.length)
  end)

  it("half-closes", function()
    local server, client, settle = joined { server = ends.HalfCloser, client = ends.HalfCloser }
    client.transport:write("question")
    client.transport:loseWriteConnection()
    client.transport:write("dropped")
    settle()
    assert.same({ "made", "read lost" }, server.events)
    assert.same({ "made", "write lost" }, client.events)
    server.transport:write("answer")
    server.transport:loseWriteConnection()
    settle()
    assert.equal("question", server:data())
    assert.equal("answer", client:data())
    ends.isExactly(client.reason, "ConnectionDone")
    ends.isExactly(server.reason, "ConnectionDone")
  end)

  it("tells an end without a close_notify", function()
    local server, client, settle = joined()
    settle()
    client.transport.transport:loseConnection()
    settle()
    ends.isExactly(server.reason, "ConnectionLost")
  end)

  it("fails when the certificate is not trusted, before any byte", function()
    local server, client, settle = joined { certificate = "selfsigned" }
    client.transport:write("secret")
    settle()
    ends.isExactly(client.reason, "SSLError")
    ends.isExactly(server.reason, "SSLError")
    assert.equal("", server:data())
  end)

  it("aborts", function()
    local server, client, settle = joined { client = ends.recorder {
      handshakeCompleted = function(self) self.transport:abortConnection() end,
    } }
    client.transport:write("secret")
    settle()
    ends.isExactly(client.reason, "ConnectionAborted")
    ends.is(server.reason, "ConnectionLost")
    assert.equal("", server:data())
  end)

  it("is aborted by loseConnection before the handshake, unless something was written", function()
    local _, client, settle = joined { client = ends.recorder {
      connectionMade = function(self) self.transport:loseConnection() end,
    } }
    settle()
    ends.isExactly(client.reason, "ConnectionAborted")
    local server
    server, client, settle = joined { client = ends.recorder { connectionMade = function(self)
      self.transport:write("last words")
      self.transport:loseConnection()
      self.transport:write("dropped")
    end } }
    settle()
    assert.equal("last words", server:data())
    ends.isExactly(client.reason, "ConnectionDone")
    ends.isExactly(server.reason, "ConnectionDone")
  end)

  it("waits a moment for the other side's close_notify", function()
    local server, client, settle, clock = joined { server = ends.HalfCloser }
    settle()
    client.transport:loseConnection()
    settle()
    assert.is_nil(client.reason)
    clock:advance(5)
    settle()
    ends.isExactly(client.reason, "ConnectionDone")
    server.transport:loseConnection()
    settle()
    assert.is_truthy(server.reason)
  end)

  it("delivers nothing while it is paused", function()
    local server, client, settle = joined()
    settle()
    server.transport:pauseProducing()
    client.transport:write("later")
    settle()
    assert.equal("", server:data())
    server.transport:resumeProducing()
    settle()
    assert.equal("later", server:data())
  end)

  it("asks a pull producer as often as all has left", function()
    local server, client, settle = joined()
    local left, stopped = 10, 0
    client.transport:registerProducer({
      resumeProducing = function()
        if left == 0 then return client.transport:unregisterProducer() end
        left = left - 1
        client.transport:write(("x"):rep(1000))
      end,
      stopProducing = function() stopped = stopped + 1 end,
    }, false)
    client.transport:loseConnection()   -- waits for it
    settle()
    assert.equal(10000, server.length)
    assert.equal(0, stopped)
    ends.isExactly(client.reason, "ConnectionDone")
  end)

  it("pauses and resumes a push producer", function()
    local server, client, settle = joined()
    local told = {}
    client.transport:registerProducer({
      pauseProducing = function() told[#told + 1] = "pause" end,
      resumeProducing = function() told[#told + 1] = "resume" end,
      stopProducing = function() told[#told + 1] = "stop" end,
    }, true)
    assert.has_error(function() client.transport:registerProducer({}, true) end)
    client.transport:write(("x"):rep(70000))
    assert.same({ "pause" }, told)
    settle()
    assert.equal("resume", told[#told])
    assert.equal(70000, server.length)
    server.transport:loseConnection()
    settle()
    assert.equal("stop", told[#told])
  end)

  it("gives up a handshake that takes too long", function()
    for timeout, seconds in pairs { [false] = 30, [2] = 2 } do
      local server, client, settle, clock = joined { handshakeTimeout = timeout or nil }
      clock:advance(seconds - 0.5)
      assert.is_nil(server.reason)
      clock:advance(0.5)
      settle()
      ends.isExactly(server.reason, "SSLError")
      assert.matches("the TLS handshake took too long", tostring(server.reason.value), 1, true)
      assert.is_not_nil(client.reason)
      assert.same({}, clock:getDelayedCalls())
    end
  end)

  it("lets go of the handshake's time when it is done, and knows none where that is wanted", function()
    local server, _, settle, clock = joined()
    settle()
    assert.is_true(server.secured)
    assert.same({}, clock:getDelayedCalls())
    server, _, _, clock = joined { handshakeTimeout = 0 }
    clock:advance(1000)
    assert.is_nil(server.reason)
  end)

  it("raises for misuse", function()
    local factory = protocol.Factory.forProtocol(ends.Recorder)
    assert.has_error(function() tls.TLSMemoryBIOFactory({}, true, factory) end)
    assert.has_error(function() tls.TLSMemoryBIOFactory(ends.trust(), true, {}) end)
    assert.has_error(function() tls.TLSMemoryBIOFactory(ends.trust(), true, factory, { name = "x" }) end)
    local made = tls.TLSMemoryBIOFactory(ends.trust(), true, factory):buildProtocol()
    local ok, err = pcall(made.makeConnection, made, {})
    assert.is_false(ok)
    assert.is_true(err:is(errors.SSLError))
    local _, client = joined()
    assert.has_error(function() client.transport:write(1) end)
    assert.has_error(function() client.transport:startTLS(ends.trust()) end)
  end)
end)
