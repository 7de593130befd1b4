local defer    = require "twistlua.defer"
local errors   = require "twistlua.error"
local protocol = require "twistlua.protocol"
local test     = require "twistlua.test"

describe("StringTransport", function()
  local transport
  before_each(function() transport = test.StringTransport("host", "peer") end)

  it("keeps what is written until it is cleared", function()
    transport:write("a")
    transport:writeSequence { "b", "c" }
    assert.equal("abc", transport:value())
    transport:clear()
    assert.equal("", transport:value())
  end)

  it("refuses to write what is no string", function()
    assert.error_matches(function() transport:write(7) end, "write: expected a string, got number")
    assert.error_matches(function() transport:writeSequence { "a", {} } end, "expected a string, got table")
  end)

  it("notes how it is ended", function()
    assert.is_false(transport.disconnecting)
    transport:loseWriteConnection()
    assert.is_true(transport.writeDisconnected)
    transport:loseConnection()
    assert.is_true(transport.disconnecting)
    assert.is_false(transport.aborting)
    transport:abortConnection()
    assert.is_true(transport.aborting)
  end)

  it("tells its addresses and options", function()
    assert.equal("host", transport:getHost())
    assert.equal("peer", transport:getPeer())
    assert.equal(54321, test.StringTransport():getPeer().port)
    transport:setTcpNoDelay(true)
    assert.is_true(transport:getTcpNoDelay())
    assert.is_false(transport:getTcpKeepAlive())
  end)

  it("takes one producer", function()
    transport:registerProducer("producer", true)
    assert.error_matches(function() transport:registerProducer("other", true) end,
      "a producer is registered already")
    assert.equal("producer", transport.producer)
    assert.is_true(transport.streaming)
    transport:unregisterProducer()
    assert.is_nil(transport.producer)
    assert.error_matches(function() transport:unregisterProducer() end, "no producer is registered")
  end)

  it("shows what was asked of it as a producer", function()
    assert.equal("producing", transport.producerState)
    transport:pauseProducing()
    assert.equal("paused", transport.producerState)
    transport:resumeProducing()
    assert.equal("producing", transport.producerState)
    transport:stopProducing()
    assert.equal("stopped", transport.producerState)
    assert.error_matches(function() transport:resumeProducing() end, "the transport was stopped")
  end)
end)

describe("StringTransportWithDisconnection", function()
  for method, class in pairs { loseConnection = "ConnectionDone", abortConnection = "ConnectionAborted" } do
    it(("tells its protocol once of %s"):format(method), function()
      local transport, peer = test.StringTransportWithDisconnection(), test.AccumulatingProtocol()
      transport.protocol = peer
      transport[method](transport)
      transport[method](transport)
      assert.equal(1, peer.closed)
      assert.is_not_nil(peer.closedReason:check(errors[class]))
      assert.is_false(transport.connected)
    end)
  end
end)

describe("AccumulatingProtocol", function()
  it("keeps what happens and fires the Deferreds that wait for it", function()
    local factory = protocol.Factory.forProtocol(test.AccumulatingProtocol)
    factory.protocolConnectionMade = defer.Deferred()
    local made = factory.protocolConnectionMade
    local peer = factory:buildProtocol()
    peer.closedDeferred = defer.Deferred()
    local closed = peer.closedDeferred
    peer:makeConnection(test.StringTransport())
    assert.equal(1, peer.made)
    assert.equal(peer, test.successResultOf(made))
    assert.is_nil(factory.protocolConnectionMade)
    peer:dataReceived("a")
    peer:dataReceived("b")
    assert.equal("ab", peer.data)
    test.assertNoResult(closed)
    peer:connectionLost("reason")
    assert.equal("reason", peer.closedReason)
    assert.is_nil(test.successResultOf(closed))
  end)
end)
