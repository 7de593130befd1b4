local class    = require "twistlua.class"
local errors   = require "twistlua.error"
local Failure  = require("twistlua.failure").Failure
local policies = require "twistlua.protocols.policies"
local protocol = require "twistlua.protocol"
local test     = require "twistlua.test"

local Recorder = protocol.Protocol:extend("Recorder")
function Recorder:dataReceived(data) self.data = (self.data or "") .. data end
function Recorder:connectionLost(reason) self.reason = reason end

local function wrapping(protocolClass, factoryClass)
  return (factoryClass or policies.WrappingFactory)(protocol.Factory.forProtocol(protocolClass or Recorder))
end

local function connected(factory, transport)
  local wrapper = factory:buildProtocol()
  transport = transport or test.StringTransport()
  wrapper:makeConnection(transport)
  return wrapper.wrappedProtocol, wrapper, transport
end

describe("ProtocolWrapper", function()
  it("is the transport of the protocol and the protocol of the transport", function()
    local inner, wrapper, transport = connected(wrapping())
    assert.equal(wrapper, inner.transport)
    inner.transport:write("a")
    inner.transport:writeSequence { "b", "c" }
    assert.equal("abc", transport:value())
    wrapper:dataReceived("one")
    assert.equal("one", inner.data)
    assert.equal(transport:getPeer(), inner.transport:getPeer())
    assert.equal(transport:getHost(), inner.transport:getHost())
    wrapper:connectionLost(Failure(errors.ConnectionDone()))
    assert.is_not_nil(inner.reason:check(errors.ConnectionDone))
  end)

  it("answers as the transport does, through any number of wrappers", function()
    local inner, _, transport = connected(wrapping(), nil)
    local outer = policies.WrappingFactory(wrapping())
    local wrapper = outer:buildProtocol()
    wrapper:makeConnection(transport)
    transport.TLS, transport.negotiatedProtocol, transport.secret = true, "h2", "private"
    for _, seen in ipairs { inner.transport, wrapper.wrappedProtocol.wrappedProtocol.transport } do
      assert.is_true(seen.connected)
      assert.is_false(seen.disconnecting)
      seen:setTcpNoDelay(true)
      assert.is_true(seen:getTcpNoDelay())
      assert.is_true(seen.TLS)
      assert.equal("h2", seen.negotiatedProtocol)
      assert.is_nil(seen.secret)
      assert.is_nil(seen.startTLS)
    end
    inner.transport:loseConnection()
    assert.is_true(inner.transport.disconnecting)
    inner.transport:abortConnection()
    assert.is_true(transport.aborting)
  end)

  it("passes on methods of the transport that it does not know", function()
    local inner, _, transport = connected(wrapping())
    function transport:startTLS(...) return self, ... end
    assert.same({ transport, 1, 2 }, { inner.transport:startTLS(1, 2) })
  end)

  it("passes producers on, both ways", function()
    local inner, wrapper, transport = connected(wrapping())
    local producer = {}
    inner.transport:registerProducer(producer, true)
    assert.equal(producer, transport.producer)
    assert.equal(producer, wrapper.producer)
    assert.is_true(transport.streaming)
    inner.transport:unregisterProducer()
    assert.is_nil(transport.producer)
    inner.transport:pauseProducing()
    assert.equal("paused", transport.producerState)
    inner.transport:resumeProducing()
    assert.equal("producing", transport.producerState)
    inner.transport:stopProducing()
    assert.equal("stopped", transport.producerState)
  end)

  it("half-closes where the protocol does", function()
    local HalfCloser = Recorder:extend("HalfCloser")
    function HalfCloser:readConnectionLost() self.readLost = true end
    function HalfCloser:writeConnectionLost() self.writeLost = true end
    local inner, wrapper, transport = connected(wrapping(HalfCloser))
    wrapper:readConnectionLost()
    wrapper:writeConnectionLost()
    assert.is_true(inner.readLost and inner.writeLost)
    inner.transport:loseWriteConnection()
    assert.is_true(transport.writeDisconnected)
    local _, plain = connected(wrapping())
    assert.is_nil(plain.readConnectionLost)
    assert.is_nil(plain.writeConnectionLost)
  end)

  it("moves bytes and ends between two wrapped protocols", function()
    local server, client = wrapping():buildProtocol(), wrapping():buildProtocol()
    local pump = test.connect(server, client)
    client.wrappedProtocol.transport:write("hello")
    server.wrappedProtocol.transport:write("welcome")
    pump:flush()
    assert.equal("hello", server.wrappedProtocol.data)
    assert.equal("welcome", client.wrappedProtocol.data)
    client.wrappedProtocol.transport:loseConnection()
    pump:flush()
    assert.is_not_nil(server.wrappedProtocol.reason)
    assert.is_not_nil(client.wrappedProtocol.reason)
    assert.is_false(client.wrappedProtocol.transport.connected)
  end)

  it("is of its class, and a subclass keeps the parent's methods", function()
    local Sub = policies.TimeoutProtocol:extend("Sub")
    assert.is_true(class.isA(Sub, policies.ProtocolWrapper))
    local _, wrapper = connected(wrapping())
    assert.is_true(class.isA(wrapper, protocol.Protocol))
    assert.is_false(class.isA(wrapper, policies.TimeoutProtocol))
    assert.equal(policies.TimeoutProtocol.setTimeout, Sub.setTimeout)
  end)

  it("names both in the log", function()
    local inner, wrapper = connected(wrapping())
    assert.equal("Recorder (ProtocolWrapper)", wrapper:logPrefix())
    assert.equal("Factory (WrappingFactory)", wrapper.factory:logPrefix())
    assert.equal("Recorder", inner:logPrefix())
  end)
end)

describe("WrappingFactory", function()
  it("lists the protocols that are connected", function()
    local factory = wrapping()
    assert.is_nil(next(factory.protocols))
    local _, wrapper = connected(factory)
    assert.same({ [wrapper] = true }, factory.protocols)
    wrapper:connectionLost(Failure(errors.ConnectionDone()))
    assert.is_nil(next(factory.protocols))
  end)

  it("starts and stops the factory in it", function()
    local factory = wrapping()
    factory.noisy, factory.wrappedFactory.noisy = false, false
    factory:doStart()
    assert.equal(1, factory.wrappedFactory.numPorts)
    factory:doStop()
    assert.equal(0, factory.wrappedFactory.numPorts)
    assert.equal(0, factory.numPorts)
  end)

  it("refuses a connection that the factory in it refuses", function()
    local inner = protocol.Factory()
    function inner:buildProtocol() return nil end
    assert.is_nil(policies.WrappingFactory(inner):buildProtocol())
  end)

  it("tells a client's factory how its attempts go", function()
    local inner, told = protocol.ClientFactory.forProtocol(Recorder), {}
    for _, event in ipairs { "startedConnecting", "clientConnectionFailed", "clientConnectionLost" } do
      inner[event] = function(_, ...) told[event] = { ... } end
    end
    local factory = policies.WrappingFactory(inner)
    factory:startedConnecting("c")
    factory:clientConnectionFailed("c", "f")
    factory:clientConnectionLost("c", "l")
    assert.same({ startedConnecting = { "c" }, clientConnectionFailed = { "c", "f" },
                  clientConnectionLost = { "c", "l" } }, told)
    wrapping():startedConnecting("c")   -- a server's factory has none
  end)

  it("wants a factory", function()
    local ok, raised = pcall(function() policies.WrappingFactory(Recorder()) end)
    assert.is_false(ok)
    assert.matches("wrapping_spec.lua:%d+: WrappingFactory: a factory expected, got table", raised)
  end)
end)
