local errors   = require "twistlua.error"
local Failure  = require("twistlua.failure").Failure
local basic    = require "twistlua.protocols.basic"
local policies = require "twistlua.protocols.policies"
local protocol = require "twistlua.protocol"
local task     = require "twistlua.task"
local test     = require "twistlua.test"

local DONE = Failure(errors.ConnectionDone())

describe("TimeoutMixin", function()
  local clock, shy
  local Shy = policies.TimeoutMixin.mixInto(basic.LineReceiver:extend("Shy"))
  before_each(function()
    clock = task.Clock()
    shy = Shy()
    shy.clock = clock
    shy:makeConnection(test.StringTransport())
  end)

  it("closes the connection when the time has passed", function()
    shy:setTimeout(5)
    clock:advance(4.9)
    assert.is_false(shy.transport.disconnecting)
    clock:advance(0.1)
    assert.is_true(shy.transport.disconnecting)
    assert.same({}, clock:getDelayedCalls())
  end)

  it("counts from the last resetTimeout", function()
    shy:setTimeout(5)
    for _ = 1, 4 do
      clock:advance(4)
      shy:resetTimeout()
    end
    clock:advance(4.9)
    assert.is_false(shy.transport.disconnecting)
    clock:advance(0.1)
    assert.is_true(shy.transport.disconnecting)
  end)

  it("returns the previous time, and nil cancels", function()
    assert.is_nil(shy:setTimeout(10))
    assert.equal(10, shy:setTimeout(20))
    clock:advance(19)
    assert.equal(20, shy:setTimeout(nil))
    assert.is_nil(shy:setTimeout(nil))
    shy:resetTimeout()
    clock:advance(100)
    assert.is_false(shy.transport.disconnecting)
    assert.same({}, clock:getDelayedCalls())
  end)

  it("does nothing at a resetTimeout after the end, and may be set again in it", function()
    local Again = policies.TimeoutMixin.mixInto(protocol.Protocol:extend("Again"))
    function Again:timeoutConnection()
      self.times = (self.times or 0) + 1
      self:resetTimeout()
      if self.times < 3 then self:setTimeout(2) end
    end
    local again = Again()
    again.clock = clock
    again:setTimeout(1)
    clock:pump { 1, 2, 2, 2 }
    assert.equal(3, again.times)
  end)

  it("leaves the class its own methods, and is inherited", function()
    local Own = protocol.Protocol:extend("Own")
    function Own:timeoutConnection() self.own = true end
    policies.TimeoutMixin.mixInto(Own)
    local sub = Own:extend("Sub")()
    sub.clock = clock
    sub:setTimeout(1)
    clock:advance(1)
    assert.is_true(sub.own)
  end)
end)

describe("TimeoutFactory", function()
  local clock, wrapper, transport
  before_each(function()
    clock = task.Clock()
    local factory = policies.TimeoutFactory(protocol.Factory.forProtocol(test.AccumulatingProtocol), 10)
    factory.clock = clock
    wrapper = factory:buildProtocol()
    assert.same({}, clock:getDelayedCalls())
    transport = test.StringTransport()
    wrapper:makeConnection(transport)
  end)

  it("closes a connection that is idle", function()
    clock:advance(9.9)
    assert.is_false(transport.disconnecting)
    clock:advance(0.1)
    assert.is_true(transport.disconnecting)
  end)

  it("takes bytes either way for life", function()
    local inner = wrapper.wrappedProtocol
    for _, act in ipairs {
      function() wrapper:dataReceived("x") end,
      function() inner.transport:write("x") end,
      function() inner.transport:writeSequence { "x", "y" } end,
    } do
      clock:advance(9)
      act()
    end
    clock:advance(9.9)
    assert.is_false(transport.disconnecting)
    clock:advance(0.1)
    assert.is_true(transport.disconnecting)
    assert.equal("xxy", transport:value())
    assert.equal("x", inner.data)
  end)

  it("leaves no timer behind", function()
    wrapper:connectionLost(DONE)
    assert.same({}, clock:getDelayedCalls())
    assert.equal(1, wrapper.wrappedProtocol.closed)
  end)

  it("keeps two of them around each other apart", function()
    local inner = policies.TimeoutFactory(protocol.Factory.forProtocol(test.AccumulatingProtocol), 1)
    local outer = policies.TimeoutFactory(inner, 5)
    inner.clock, outer.clock = clock, clock
    local both = outer:buildProtocol()
    both:makeConnection(test.StringTransport())
    assert.equal(3, #clock:getDelayedCalls())
    both:connectionLost(DONE)
    assert.equal(1, #clock:getDelayedCalls())
  end)

  it("waits half an hour by default", function()
    assert.equal(1800, policies.TimeoutFactory(protocol.Factory()).timeoutPeriod)
  end)
end)
