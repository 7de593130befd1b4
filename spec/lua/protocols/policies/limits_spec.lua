local address  = require "twistlua.address"
local errors   = require "twistlua.error"
local Failure  = require("twistlua.failure").Failure
local policies = require "twistlua.protocols.policies"
local protocol = require "twistlua.protocol"
local test     = require "twistlua.test"

local DONE = Failure(errors.ConnectionDone())

local function connect(factory, peer)
  local wrapper = factory:buildProtocol(peer)
  if wrapper then wrapper:makeConnection(test.StringTransport(nil, peer)) end
  return wrapper
end

describe("LimitTotalConnectionsFactory", function()
  local factory
  before_each(function()
    factory = policies.LimitTotalConnectionsFactory.forProtocol(test.AccumulatingProtocol)
  end)

  it("has no limit by itself", function()
    for _ = 1, 10 do assert.is_not_nil(connect(factory)) end
    assert.equal(10, factory.connectionCount)
  end)

  it("refuses what is beyond its limit, until a connection ends", function()
    factory.connectionLimit = 2
    local first = connect(factory)
    assert.equal(factory, first.wrappedProtocol.factory)
    connect(factory)
    assert.is_nil(connect(factory))
    assert.equal(2, factory.connectionCount)
    first:connectionLost(DONE)
    assert.equal(1, factory.connectionCount)
    assert.is_not_nil(connect(factory))
  end)

  it("gives what is beyond its limit to the overflow protocol", function()
    local Busy = protocol.Protocol:extend("Busy")
    function Busy:connectionMade()
      self.transport:write("busy")
      self.transport:loseConnection()
    end
    factory.connectionLimit, factory.overflowProtocol = 1, Busy
    connect(factory)
    local busy = connect(factory)
    assert.equal("busy", busy.transport:value())
    assert.is_true(busy.transport.disconnecting)
    assert.equal(factory, busy.wrappedProtocol.factory)
    assert.equal(2, factory.connectionCount)
  end)
end)

describe("LimitConnectionsByPeer", function()
  local function from(host, port)
    return address.IPv4Address("TCP", host, port or 1)
  end

  it("limits each host by itself", function()
    local factory = policies.LimitConnectionsByPeer(protocol.Factory.forProtocol(test.AccumulatingProtocol))
    factory.maxConnectionsPerPeer = 2
    local first = connect(factory, from("10.0.0.1", 1))
    connect(factory, from("10.0.0.1", 2))
    assert.is_nil(connect(factory, from("10.0.0.1", 3)))
    connect(factory, from("10.0.0.2"))
    assert.same({ ["10.0.0.1"] = 2, ["10.0.0.2"] = 1 }, factory.peerConnections)
    first:connectionLost(DONE)
    local again = connect(factory, from("10.0.0.1", 3))
    assert.is_not_nil(again)
    for wrapper in pairs(factory.protocols) do wrapper:connectionLost(DONE) end
    assert.is_nil(next(factory.peerConnections))
  end)

  it("allows five by default, and any number from UNIX sockets", function()
    local factory = policies.LimitConnectionsByPeer(protocol.Factory.forProtocol(test.AccumulatingProtocol))
    for _ = 1, 5 do assert.is_not_nil(connect(factory, from "10.0.0.1")) end
    assert.is_nil(connect(factory, from "10.0.0.1"))
    for _ = 1, 9 do assert.is_not_nil(connect(factory, address.UNIXAddress(nil))) end
  end)
end)
