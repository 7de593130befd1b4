local class    = require "twistlua.class"
local errors   = require "twistlua.error"
local protocol = require "twistlua.protocol"
local log      = require "twistlua.log"
local Failure  = require("twistlua.failure").Failure
local Clock    = require("twistlua.task").Clock

local function logged(f)
  local lines = {}
  local function observer(event) lines[#lines + 1] = log.eventAsText(event) end
  log.addObserver(observer)
  local ok, message = pcall(f)
  log.removeObserver(observer)
  assert(ok, message)
  return lines
end

describe("Protocol", function()
  it("has its transport when connectionMade runs", function()
    local Greeter = protocol.Protocol:extend("Greeter")
    local seen
    function Greeter:connectionMade() seen = { self.transport, self.connected } end
    local greeter = Greeter()
    assert.is_false(greeter.connected)
    greeter:makeConnection("transport")
    assert.same({ "transport", true }, seen)
  end)

  it("holds three fields when connected", function()
    local idle = protocol.Factory.forProtocol(protocol.Protocol):buildProtocol()
    idle:makeConnection("transport")
    local names = {}
    for name in pairs(idle) do names[#names + 1] = name end
    table.sort(names)
    assert.same({ "connected", "factory", "transport" }, names)
  end)

  it("takes its class name for log lines", function()
    assert.equal("Echo", protocol.Protocol:extend("Echo")():logPrefix())
  end)

  it("shares one reason for every clean end", function()
    assert.equal(errors.ConnectionDone, protocol.connectionDone:check(errors.ConnectionDone))
  end)
end)

describe("Factory", function()
  local Echo = protocol.Protocol:extend("Echo")

  it("builds a protocol that knows it", function()
    local factory = protocol.Factory()
    factory.protocol = Echo
    local built = factory:buildProtocol("address")
    assert.is_true(built:is(Echo))
    assert.equal(factory, built.factory)
  end)

  it("says what is missing when it has no protocol", function()
    assert.error_matches(function() protocol.Factory():buildProtocol() end,
      "Factory has no protocol: set its 'protocol'")
  end)

  it("builds its protocols with any callable", function()
    local factory = protocol.Factory.forProtocol(function() return Echo() end)
    assert.is_true(factory:buildProtocol():is(Echo))
  end)

  describe("forProtocol", function()
    local Room = protocol.ServerFactory:extend("Room")
    function Room:init(...) self.arguments = { ... } end

    it("makes a factory of its own class when called by dot", function()
      assert.equal(protocol.Factory, class.classOf(protocol.Factory.forProtocol(Echo)))
      assert.equal(protocol.ClientFactory, class.classOf(protocol.ClientFactory.forProtocol(Echo)))
      local room = Room.forProtocol(Echo, "a", "b")
      assert.equal(Room, class.classOf(room))
      assert.equal(Echo, room.protocol)
      assert.same({ "a", "b" }, room.arguments)
    end)

    it("makes a factory of its own class when called by colon", function()
      local room = Room:forProtocol(Echo, "a", "b")
      assert.equal(Room, class.classOf(room))
      assert.equal(Echo, room.protocol)
      assert.same({ "a", "b" }, room.arguments)
    end)

    it("refuses what is no class", function()
      assert.error_matches(function() protocol.Factory.forProtocol(nil) end,
        "expected a protocol class, got nil")
      assert.error_matches(function() Room:forProtocol("Echo") end, "expected a protocol class, got string")
    end)
  end)

  describe("start and stop", function()
    local Counter = protocol.Factory:extend("Counter")
    local events, factory
    function Counter:startFactory() events[#events + 1] = "start" end
    function Counter:stopFactory() events[#events + 1] = "stop" end
    before_each(function()
      events, factory = {}, Counter.forProtocol(Echo)
    end)

    it("come with the first and the last port only", function()
      factory:doStart()
      factory:doStart()
      assert.same({ "start" }, events)
      factory:doStop()
      assert.same({ "start" }, events)
      factory:doStop()
      assert.same({ "start", "stop" }, events)
      factory:doStart()
      assert.same({ "start", "stop", "start" }, events)
    end)

    it("survive a stop too many", function()
      factory:doStop()
      assert.equal(0, factory.numPorts)
      assert.same({}, events)
    end)

    it("are logged unless the factory is quiet", function()
      assert.same({ "Starting factory Counter", "Stopping factory Counter" }, logged(function()
        factory:doStart()
        factory:doStop()
      end))
      factory.noisy = false
      assert.same({}, logged(function()
        factory:doStart()
        factory:doStop()
      end))
    end)
  end)
end)

-- A connector that only counts.
local function fakeConnector()
  local connector = { connects = 0, stops = 0 }
  function connector:connect() self.connects = self.connects + 1 end
  function connector:getDestination() return "there" end
  function connector:stopConnecting()
    self.stops = self.stops + 1
    if self.stopError then error(self.stopError) end
  end
  return connector
end

describe("ReconnectingClientFactory", function()
  local clock, connector, factory
  local lost = Failure(errors.ConnectionLost())

  before_each(function()
    clock, connector = Clock(), fakeConnector()
    factory = protocol.ReconnectingClientFactory()
    factory.clock, factory.noisy, factory.jitter = clock, false, 0
    factory.factor = 2
  end)

  it("connects again after a failure and after a loss", function()
    factory:clientConnectionFailed(connector, lost)
    clock:advance(1.5)
    assert.equal(0, connector.connects)
    clock:advance(0.5)
    assert.equal(1, connector.connects)
    factory:clientConnectionLost(connector, lost)
    clock:advance(4)
    assert.equal(2, connector.connects)
  end)

  it("waits longer each time, up to maxDelay", function()
    factory.maxDelay = 5
    local delays = {}
    for n = 1, 4 do
      factory:clientConnectionFailed(connector, lost)
      delays[n] = factory.delay
    end
    assert.same({ 2, 4, 5, 5 }, delays)
  end)

  it("begins anew after resetDelay", function()
    factory:clientConnectionFailed(connector, lost)
    factory:clientConnectionFailed(connector, lost)
    factory:resetDelay()
    assert.equal(0, factory.retries)
    factory:clientConnectionFailed(connector, lost)
    assert.equal(2, factory.delay)
  end)

  it("gives up after maxRetries", function()
    factory.maxRetries = 2
    for _ = 1, 3 do
      factory:clientConnectionFailed(connector, lost)
      clock:advance(100)
    end
    assert.equal(2, connector.connects)
  end)

  it("draws the delay around its mean, without letting jitter compound", function()
    factory.jitter = 0.5
    local drawn
    factory.random = function(mean, deviation)
      drawn = { mean, deviation }
      return mean + 1
    end
    factory:clientConnectionFailed(connector, lost)
    assert.same({ 2, 1 }, drawn)
    assert.equal(3, clock:getDelayedCalls()[1]:getTime())
    factory:clientConnectionFailed(connector, lost)
    assert.same({ 4, 2 }, drawn)
  end)

  it("never draws a time in the past", function()
    factory.jitter = 1
    factory.random = function() return -5 end
    factory:clientConnectionFailed(connector, lost)
    clock:advance(0)
    assert.equal(1, connector.connects)
  end)

  it("draws from a normal distribution by default", function()
    local sum, squares, count = 0, 0, 4000
    for _ = 1, count do
      local value = protocol.ReconnectingClientFactory.random(10, 2)
      sum, squares = sum + value, squares + (value - 10) ^ 2
    end
    assert.is_true(math.abs(sum / count - 10) < 0.3)
    assert.is_true(math.abs(math.sqrt(squares / count) - 2) < 0.3)
  end)

  it("never reconnects after stopTrying", function()
    factory:clientConnectionFailed(connector, lost)
    factory:stopTrying()
    assert.equal(1, connector.stops)
    assert.same({}, clock:getDelayedCalls())
    factory:clientConnectionLost(connector, lost)
    factory:retry(connector)
    clock:advance(100)
    assert.equal(0, connector.connects)
  end)

  it("stops after a retry has begun", function()
    factory:clientConnectionFailed(connector, lost)
    clock:advance(2)
    factory:stopTrying()
    assert.equal(1, connector.connects)
    assert.equal(1, connector.stops)
  end)

  it("says what it does", function()
    factory.noisy, factory.maxRetries = true, 1
    local lines = logged(function()
      factory:clientConnectionFailed(connector, lost)
      factory:clientConnectionFailed(connector, lost)
      factory:stopTrying()
      factory:retry(connector)
    end)
    assert.same({
      "ReconnectingClientFactory: retrying there in 2.00 seconds",
      "ReconnectingClientFactory: giving up after 1 retries",
      "ReconnectingClientFactory: not retrying, as it was told to stop",
    }, lines)
  end)

  it("stops when there is no attempt to stop", function()
    connector.stopError = errors.NotConnectingError()
    factory:clientConnectionFailed(connector, lost)
    factory:stopTrying()
    connector.stopError = "something else"
    assert.error_matches(function() factory:stopTrying() end, "something else")
  end)

  it("cannot retry what it never met", function()
    assert.error_matches(function() factory:retry() end, "there is no connector yet")
  end)
end)

describe("ClientCreator", function()
  local clock, connector, single, address, options, creator, result
  local Peer = protocol.Protocol:extend("Peer")
  function Peer:init(...) self.arguments = { ... } end

  before_each(function()
    clock, result = Clock(), nil
    connector = { disconnects = 0 }
    function connector:disconnect() self.disconnects = self.disconnects + 1 end
    function clock:connectTCP(host, port, factory, given)
      address, single, options = { host, port }, factory, given
      return connector
    end
    function clock:connectUNIX(path, factory, given)
      address, single, options = { path }, factory, given
      return connector
    end
    creator = protocol.ClientCreator(clock, Peer, "a", "b")
  end)

  it("fires with the protocol once connectionMade has run", function()
    creator:connectTCP("h", 1, { timeout = 5 }):addCallback(function(peer) result = peer end)
    assert.same({ "h", 1 }, address)
    assert.same({ timeout = 5 }, options)
    local peer = single:buildProtocol()
    assert.same({ "a", "b" }, peer.arguments)
    assert.is_nil(result)
    clock:advance(0)
    assert.equal(peer, result)
  end)

  it("connects to paths", function()
    creator:connectUNIX("/tmp/x"):addCallback(function(peer) result = peer end)
    assert.same({ "/tmp/x" }, address)
    local peer = single:buildProtocol()
    clock:advance(0)
    assert.equal(peer, result)
  end)

  it("fails with the reason", function()
    creator:connectTCP("h", 1):addErrback(function(failure) result = failure end)
    local reason = Failure(errors.ConnectionRefusedError())
    single:clientConnectionFailed(connector, reason)
    clock:advance(0)
    assert.equal(reason, result)
  end)

  it("disconnects when cancelled before there is a connection", function()
    local attempt = creator:connectTCP("h", 1):addErrback(function(failure) result = failure end)
    attempt:cancel()
    assert.equal(1, connector.disconnects)
    assert.equal("CancelledError", class.classOf(result.value).__name)
  end)

  it("disconnects when cancelled between the connection and the result", function()
    local attempt = creator:connectTCP("h", 1):addBoth(function(value) result = value end)
    single:buildProtocol()
    attempt:cancel()
    assert.equal(1, connector.disconnects)
    assert.same({}, clock:getDelayedCalls())
    assert.equal("CancelledError", class.classOf(result.value).__name)
  end)
end)
