local defer    = require "twistlua.defer"
local errors   = require "twistlua.error"
local Failure  = require("twistlua.failure").Failure
local internet = require "twistlua.application.internet"
local protocol = require "twistlua.protocol"
local task     = require "twistlua.task"
local test     = require "twistlua.test"

local REFUSED = errors.ConnectionRefusedError()

-- An endpoint whose attempts the test decides.
local function newEndpoint()
  local endpoint = { attempts = {} }
  function endpoint:connect(factory)
    local attempt = {}
    attempt.result = defer.Deferred(function()
      attempt.cancelled = true
      if attempt.late then attempt.succeed() end
    end)
    function attempt.succeed()
      local made = factory:buildProtocol()
      local transport = test.StringTransportWithDisconnection()
      transport.protocol = made
      if attempt.lingering then
        function transport:loseConnection() self.disconnecting = true end
      end
      made:makeConnection(transport)
      attempt.protocol, attempt.transport = made, transport
      attempt.result:callback(made)
      return made
    end
    function attempt.fail(reason) attempt.result:errback(Failure(reason or REFUSED)) end
    function attempt.lose() attempt.protocol:connectionLost(Failure(errors.ConnectionLost())) end
    self.attempts[#self.attempts + 1] = attempt
    return attempt.result
  end
  return endpoint
end

describe("ClientService", function()
  local clock, endpoint, factory, service

  local function newService(given)
    clock, endpoint = task.Clock(), newEndpoint()
    factory = protocol.Factory.forProtocol(test.AccumulatingProtocol)
    given = given or {}
    given.clock = clock
    given.retryPolicy = given.retryPolicy or function(failures) return failures end
    service = internet.ClientService(endpoint, factory, given)
  end

  local function attempt(number)
    assert.equal(number or #endpoint.attempts, #endpoint.attempts)
    return endpoint.attempts[#endpoint.attempts]
  end

  before_each(function() newService() end)

  it("connects when it is started, and gives the connection to those who wait", function()
    assert.is_false(service.running)
    local early = service:whenConnected()
    service:startService()
    assert.is_true(service.running)
    local waiting = service:whenConnected()
    test.assertNoResult(early)
    local peer = attempt(1).succeed()
    assert.equal(peer, test.successResultOf(early))
    assert.equal(peer, test.successResultOf(waiting))
    assert.equal(peer, test.successResultOf(service:whenConnected()))
    assert.equal(factory, peer.factory)
    assert.equal(1, peer.made)
  end)

  it("is started once", function()
    service:startService()
    service:startService()
    attempt(1)
  end)

  it("connects again when the connection is lost, and counts the failures from there", function()
    service:startService()
    local first = attempt(1).succeed()
    attempt().lose()
    assert.equal(1, first.closed)
    local waiting = service:whenConnected()
    clock:advance(0.9)
    attempt(1)
    clock:advance(0.1)
    attempt(2).fail()
    clock:pump { 1, 0.9 }
    attempt(2)
    clock:advance(0.1)
    attempt(3).fail()
    clock:advance(3)
    local second = attempt(4).succeed()
    assert.equal(second, test.successResultOf(waiting))
    attempt().lose()
    clock:advance(1)
    attempt(5)
  end)

  it("takes what the endpoint raises for a failure", function()
    function endpoint:connect() error("broken") end
    service:startService()
    assert.equal(1, #clock:getDelayedCalls())
    assert.is_nil(test.successResultOf(service:stopService()))
  end)

  it("starts and stops the factory as the endpoint asks", function()
    factory.noisy = false
    function endpoint:connect(given)
      given:doStart()
      assert.equal(1, factory.numPorts)
      given:doStop()
      assert.equal("Factory", given:logPrefix())
      return defer.Deferred()
    end
    service:startService()
    assert.equal(0, factory.numPorts)
    service:stopService()
  end)

  it("fails with NoProtocol as an attempt does when the factory builds none", function()
    function factory:buildProtocol() return nil end
    function endpoint:connect(given)
      assert.is_nil(given:buildProtocol())
      return defer.fail(errors.NoProtocol())
    end
    local waiting = service:whenConnected { failAfterFailures = 1 }
    service:startService()
    test.failureResultOf(waiting, errors.NoProtocol)
    service:stopService()
  end)

  describe("whenConnected", function()
    it("fails after as many failures as it bears", function()
      service:startService()
      local one, two = service:whenConnected { failAfterFailures = 1 }, service:whenConnected { failAfterFailures = 2 }
      local ever = service:whenConnected()
      attempt(1).fail()
      assert.equal(REFUSED, test.failureResultOf(one, errors.ConnectionRefusedError).value)
      test.assertNoResult(two)
      local later = service:whenConnected { failAfterFailures = 1 }
      clock:advance(1)
      attempt(2).fail()
      test.failureResultOf(two, errors.ConnectionRefusedError)
      test.failureResultOf(later, errors.ConnectionRefusedError)
      test.assertNoResult(ever)
      clock:advance(2)
      assert.equal(attempt(3).succeed(), test.successResultOf(ever))
    end)

    it("may be cancelled", function()
      service:startService()
      local cancelled, other = service:whenConnected(), service:whenConnected()
      cancelled:cancel()
      test.failureResultOf(cancelled, defer.CancelledError)
      assert.equal(attempt(1).succeed(), test.successResultOf(other))
    end)

    it("fails when the service stops, and when it has stopped", function()
      service:startService()
      local waiting = service:whenConnected()
      service:stopService()
      attempt(1)
      test.failureResultOf(waiting, defer.CancelledError)
      test.failureResultOf(service:whenConnected(), defer.CancelledError)
    end)
  end)

  describe("stopService", function()
    it("is done at once where nothing was started", function()
      local waiting = service:whenConnected()
      assert.is_nil(test.successResultOf(service:stopService()))
      test.failureResultOf(waiting, defer.CancelledError)
    end)

    it("cancels the attempt", function()
      service:startService()
      local done = service:stopService()
      assert.is_true(attempt(1).cancelled)
      assert.is_false(service.running)
      assert.is_nil(test.successResultOf(done))
      assert.same({}, clock:getDelayedCalls())
    end)

    it("closes what still comes of an attempt that it cancels, and waits until that is gone", function()
      service:startService()
      attempt(1).late, attempt(1).lingering = true, true
      local waiting, done = service:whenConnected(), service:stopService()
      assert.is_true(attempt().transport.disconnecting)
      test.assertNoResult(done)
      attempt().lose()
      assert.is_nil(test.successResultOf(done))
      test.failureResultOf(waiting, defer.CancelledError)
    end)

    it("cancels the retry", function()
      service:startService()
      attempt(1).fail()
      assert.is_nil(test.successResultOf(service:stopService()))
      assert.same({}, clock:getDelayedCalls())
    end)

    it("closes the connection, and waits until it is gone", function()
      service:startService()
      attempt(1).lingering = true
      local peer = attempt().succeed()
      local done, again = service:stopService(), service:stopService()
      assert.is_true(attempt().transport.disconnecting)
      test.assertNoResult(done)
      local waiting = service:whenConnected()
      attempt().lose()
      assert.equal(1, peer.closed)
      assert.is_nil(test.successResultOf(done))
      assert.is_nil(test.successResultOf(again))
      test.failureResultOf(waiting, defer.CancelledError)
      clock:advance(1000)
      attempt(1)
    end)

    it("is waited for by a startService that follows", function()
      service:startService()
      attempt(1).lingering = true
      attempt().succeed()
      local done = service:stopService()
      service:startService()
      local waiting = service:whenConnected()
      clock:advance(1000)
      attempt(1).lose()
      assert.is_nil(test.successResultOf(done))
      assert.equal(attempt(2).succeed(), test.successResultOf(waiting))
    end)

    it("takes back a startService that waits", function()
      service:startService()
      attempt(1).lingering = true
      attempt().succeed()
      local done = service:stopService()
      service:startService()
      local again = service:stopService()
      attempt(1).lose()
      assert.is_nil(test.successResultOf(done))
      assert.is_nil(test.successResultOf(again))
      attempt(1)
    end)

    it("is followed by a fresh start", function()
      service:startService()
      attempt(1).fail()
      clock:advance(1)
      attempt(2).fail()
      service:stopService()
      service:startService()
      local waiting = service:whenConnected()
      attempt(3).fail()
      clock:advance(1)
      assert.equal(attempt(4).succeed(), test.successResultOf(waiting))
    end)
  end)

  describe("prepareConnection", function()
    local prepared
    before_each(function()
      newService { prepareConnection = function(peer)
        prepared = { peer = peer, done = defer.Deferred(function() prepared.cancelled = true end) }
        return prepared.done
      end }
      service:startService()
    end)

    it("comes before anybody gets the connection", function()
      local waiting = service:whenConnected()
      local peer = attempt(1).succeed()
      assert.equal(peer, prepared.peer)
      test.assertNoResult(waiting)
      prepared.done:callback("ignored")
      assert.equal(peer, test.successResultOf(waiting))
    end)

    it("rejects the connection by failing", function()
      local waiting, one = service:whenConnected(), service:whenConnected { failAfterFailures = 1 }
      attempt(1).succeed()
      prepared.done:errback(errors.UserError())
      test.failureResultOf(one, errors.UserError)
      assert.equal(1, attempt().protocol.closed)
      clock:advance(1)
      local peer = attempt(2).succeed()
      prepared.done:callback()
      assert.equal(peer, test.successResultOf(waiting))
    end)

    it("rejects it by raising", function()
      newService { prepareConnection = function() error(errors.UserError()) end }
      service:startService()
      local one = service:whenConnected { failAfterFailures = 1 }
      attempt(1).succeed()
      test.failureResultOf(one, errors.UserError)
      assert.equal(1, #clock:getDelayedCalls())
    end)

    it("is cancelled when the connection is lost meanwhile", function()
      local one = service:whenConnected { failAfterFailures = 1 }
      attempt(1).succeed()
      attempt().lose()
      assert.is_true(prepared.cancelled)
      test.failureResultOf(one, errors.ConnectionLost)
      clock:advance(1)
      attempt(2)
    end)

    it("is cancelled when the service stops, which waits for the connection", function()
      attempt(1).lingering = true
      attempt().succeed()
      local done = service:stopService()
      assert.is_true(prepared.cancelled)
      assert.is_true(attempt().transport.disconnecting)
      test.assertNoResult(done)
      attempt().lose()
      assert.is_nil(test.successResultOf(done))
    end)
  end)

  it("treats a connection that is lost before the attempt has a result as a failure", function()
    service:startService()
    local one = service:whenConnected { failAfterFailures = 1 }
    local Brief = test.AccumulatingProtocol:extend("Brief")
    function Brief:connectionMade() self.transport:loseConnection() end
    factory.protocol = Brief
    attempt(1).succeed()
    test.failureResultOf(one, errors.ConnectionDone)
    clock:advance(1)
    attempt(2)
  end)

  it("refuses options that it does not know", function()
    local ok, raised = pcall(function() internet.ClientService(endpoint, factory, { retry = 3 }) end)
    assert.is_false(ok)
    assert.matches("client_service_spec.lua:%d+: ClientService: unknown option 'retry'", raised)
  end)
end)

describe("backoffPolicy", function()
  local function none() return 0 end

  it("grows by its factor up to its maximum", function()
    local policy = internet.backoffPolicy { initialDelay = 2, maxDelay = 20, factor = 3, jitter = none }
    assert.same({ 6, 18, 20, 20 }, { policy(1), policy(2), policy(3), policy(10000) })
  end)

  it("begins with a second, grows by half, and ends at a minute", function()
    local policy = internet.backoffPolicy { jitter = none }
    assert.equal(1.5, policy(1))
    assert.equal(2.25, policy(2))
    assert.equal(60, policy(100000))
  end)

  it("adds its jitter, by default less than a second", function()
    assert.equal(1.5 + 7, internet.backoffPolicy { jitter = function() return 7 end }(1))
    local policy = internet.backoffPolicy()
    local seen = {}
    for _ = 1, 100 do
      local delay = policy(1)
      assert.is_true(delay >= 1.5 and delay < 2.5)
      seen[delay] = true
    end
    assert.is_not_nil(next(seen, next(seen)))
  end)
end)
