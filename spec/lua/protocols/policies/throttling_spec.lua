local errors   = require "twistlua.error"
local Failure  = require("twistlua.failure").Failure
local policies = require "twistlua.protocols.policies"
local protocol = require "twistlua.protocol"
local task     = require "twistlua.task"
local test     = require "twistlua.test"

local DONE = Failure(errors.ConnectionDone())

describe("ThrottlingFactory", function()
  local clock, factory
  local function throttling(...)
    clock = task.Clock()
    factory = policies.ThrottlingFactory(protocol.Factory.forProtocol(test.AccumulatingProtocol), ...)
    factory.clock = clock
  end

  local function connect()
    local wrapper = factory:buildProtocol()
    wrapper:makeConnection(test.StringTransport())
    return wrapper, wrapper.transport, wrapper.wrappedProtocol
  end

  local function producer()
    local asked = {}
    return {
      asked = asked,
      pauseProducing = function() asked[#asked + 1] = "pause" end,
      resumeProducing = function() asked[#asked + 1] = "resume" end,
      stopProducing = function() asked[#asked + 1] = "stop" end,
    }
  end

  it("refuses connections beyond the number, until one ends", function()
    throttling(2)
    local first = connect()
    connect()
    assert.is_nil(factory:buildProtocol())
    assert.equal(2, factory.connectionCount)
    first:connectionLost(DONE)
    connect()
    assert.is_nil(factory:buildProtocol())
  end)

  it("does not count a connection that the factory in it refuses", function()
    throttling(1)
    function factory.wrappedFactory:buildProtocol() return nil end
    for _ = 1, 3 do assert.is_nil(factory:buildProtocol()) end
    assert.equal(0, factory.connectionCount)
  end)

  it("pauses all reading for as long as the second was over its limit", function()
    throttling(nil, 10)
    local one, first = connect()
    local _, second = connect()
    one:dataReceived(("x"):rep(25))
    clock:advance(0.9)
    assert.equal("producing", first.producerState)
    clock:advance(0.1)
    assert.equal("paused", first.producerState)
    assert.equal("paused", second.producerState)
    clock:pump { 0.5, 0.5, 0.4 }       -- 25 / 10 - 1 = 1.5 seconds
    assert.equal("paused", first.producerState)
    clock:advance(0.1)
    assert.equal("producing", first.producerState)
    assert.equal("producing", second.producerState)
  end)

  it("does not pause at the limit", function()
    throttling(nil, 10)
    local one, first = connect()
    one:dataReceived(("x"):rep(10))
    clock:advance(1)
    one:dataReceived(("x"):rep(10))
    clock:advance(1)
    assert.equal("producing", first.producerState)
  end)

  it("pauses a connection that comes meanwhile", function()
    throttling(nil, 10)
    connect():dataReceived(("x"):rep(20))
    clock:advance(1)
    local _, late = connect()
    assert.equal("paused", late.producerState)
    clock:advance(1)
    assert.equal("producing", late.producerState)
  end)

  it("keeps a pause that the protocol wanted", function()
    throttling(nil, 10)
    local one, transport, inner = connect()
    one:dataReceived(("x"):rep(20))
    clock:advance(1)
    inner.transport:pauseProducing()
    clock:advance(1)
    assert.equal("paused", transport.producerState)
    inner.transport:resumeProducing()
    assert.equal("producing", transport.producerState)
    one:dataReceived(("x"):rep(20))
    clock:advance(1)
    inner.transport:resumeProducing()
    assert.equal("paused", transport.producerState)
    clock:advance(1)
    assert.equal("producing", transport.producerState)
  end)

  it("pauses push producers for as long as the writing was over its limit", function()
    throttling(nil, nil, 10)
    local _, _, inner = connect()
    local source = producer()
    inner.transport:registerProducer(source, true)
    inner.transport:write(("x"):rep(10))
    inner.transport:writeSequence { ("x"):rep(4), "x" }
    clock:advance(1)
    assert.same({ "pause" }, source.asked)
    clock:advance(0.5)
    assert.same({ "pause", "resume" }, source.asked)
    inner.transport:unregisterProducer()
    inner.transport:write(("x"):rep(20))
    clock:pump { 0.5, 1 }
    assert.same({ "pause", "resume" }, source.asked)
  end)

  it("keeps a pause that the transport wanted", function()
    throttling(nil, nil, 10)
    local _, transport, inner = connect()
    local source = producer()
    inner.transport:registerProducer(source, true)
    transport.producer:pauseProducing()
    inner.transport:write(("x"):rep(20))
    clock:pump { 1, 1 }
    assert.same({ "pause" }, source.asked)
    transport.producer:resumeProducing()
    assert.same({ "pause", "resume" }, source.asked)
    inner.transport:write(("x"):rep(20))
    clock:advance(1)
    transport.producer:pauseProducing()
    transport.producer:resumeProducing()
    assert.same({ "pause", "resume", "pause" }, source.asked)
    clock:advance(1)
    assert.same({ "pause", "resume", "pause", "resume" }, source.asked)
    transport.producer:stopProducing()
    assert.equal("stop", source.asked[5])
  end)

  it("asks a pull producer when both want it to go on", function()
    throttling(nil, nil, 10)
    local _, transport, inner = connect()
    local source = producer()
    inner.transport:registerProducer(source, false)
    transport.producer:resumeProducing()
    assert.same({ "resume" }, source.asked)
    inner.transport:write(("x"):rep(20))
    clock:advance(1)
    transport.producer:resumeProducing()
    assert.same({ "resume" }, source.asked)
    clock:advance(1)
    assert.same({ "resume", "resume" }, source.asked)
    inner.transport:write(("x"):rep(20))
    clock:pump { 1, 1 }
    assert.same({ "resume", "resume" }, source.asked)   -- the transport has not asked
  end)

  it("pauses a producer that is registered meanwhile", function()
    throttling(nil, nil, 10)
    local _, _, inner = connect()
    inner.transport:write(("x"):rep(20))
    clock:advance(1)
    local source = producer()
    inner.transport:registerProducer(source, true)
    assert.same({ "pause" }, source.asked)
    clock:advance(1)
    assert.same({ "pause", "resume" }, source.asked)
  end)

  it("counts nothing and leaves no timer while there is no connection", function()
    throttling(nil, 10, 10)
    assert.same({}, clock:getDelayedCalls())
    for _ = 1, 2 do
      local one, transport = connect()
      one:dataReceived(("x"):rep(30))
      one:write(("x"):rep(30))
      clock:advance(1)
      assert.equal("paused", transport.producerState)
      one:connectionLost(DONE)
      assert.same({}, clock:getDelayedCalls())
      assert.is_false(factory.readsThrottled or factory.writesThrottled)
    end
  end)
end)
