-- SPDX-License-Identifier: MIT
-- hostname_spec.lua -- HostnameEndpoint on a reactor in memory: which attempts it begins, and when.
local address   = require "twistlua.address"
local endpoints = require "twistlua.endpoints"
local errors    = require "twistlua.error"
local protocol  = require "twistlua.protocol"
local test      = require "twistlua.test"
local Failure   = require("twistlua.failure").Failure

describe("HostnameEndpoint", function()
  local reactor, factory, built

  before_each(function()
    reactor = test.MemoryReactor()
    built = 0
    factory = protocol.ClientFactory()
    factory.noisy = false
    function factory.buildProtocol()
      built = built + 1
      return protocol.Protocol()
    end
  end)

  local function connect(given, host, port)
    return endpoints.HostnameEndpoint(reactor, host or "host.example", port or 80, given):connect(factory)
  end

  -- The look-up's answers.
  local function answer(...)
    for _, host in ipairs { ... } do
      local class = host:find(":", 1, true) and address.IPv6Address or address.IPv4Address
      reactor.lookups[1].receiver:addressResolved(class("TCP", host, 80))
    end
  end

  local function complete(failure) reactor.lookups[1].receiver:resolutionComplete(failure) end

  local function hosts()
    local list = {}
    for i, client in ipairs(reactor.tcpClients) do list[i] = client.host end
    return list
  end

  local function fail(index, err)
    local client = reactor.tcpClients[index]
    client.connector.state = "disconnected"
    client.factory:clientConnectionFailed(client.connector, Failure(err or errors.ConnectionRefusedError()))
  end

  local function succeed(index)
    local client = reactor.tcpClients[index]
    client.connector.state = "connected"
    local made = client.factory:buildProtocol(client.connector:getDestination())
    if made then made:makeConnection(test.StringTransport()) end
    return made
  end

  local function isQuiet() assert.equal(0, #reactor:getDelayedCalls()) end

  it("looks both families up", function()
    connect():addErrback(function() end)
    assert.equal("host.example", reactor.lookups[1].name)
    assert.equal(80, reactor.lookups[1].port)
    assert.is_nil(reactor.lookups[1].types)
    assert.same({}, hosts())
  end)

  it("connects, and fires with the protocol", function()
    local result = connect()
    answer "2001:db8::1"
    complete()
    assert.same({ "2001:db8::1" }, hosts())
    assert.equal(80, reactor.tcpClients[1].port)
    test.assertNoResult(result)
    local made = succeed(1)
    assert.equal(made, test.successResultOf(result))
    isQuiet()
  end)

  it("begins with IPv6 at once, though IPv4 came first", function()
    connect():addErrback(function() end)
    answer "192.0.2.1"
    reactor:advance(0.049)
    assert.same({}, hosts())
    answer "2001:db8::1"
    assert.same({ "2001:db8::1" }, hosts())
    reactor:advance(0.25)
    assert.same({ "2001:db8::1", "192.0.2.1" }, hosts())
  end)

  it("waits 50 ms for IPv6, then begins with IPv4", function()
    connect():addErrback(function() end)
    answer("192.0.2.1", "192.0.2.2")
    reactor:advance(0.05)
    assert.same({ "192.0.2.1" }, hosts())
    answer "2001:db8::1"
    reactor:advance(0.25)
    assert.same({ "192.0.2.1", "2001:db8::1" }, hosts())
  end)

  it("does not wait for IPv6 when there is none", function()
    connect():addErrback(function() end)
    answer "192.0.2.1"
    complete()
    assert.same({ "192.0.2.1" }, hosts())
  end)

  it("takes the families by turns, 250 ms apart", function()
    local result = connect()
    answer("2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1")
    complete()
    reactor:advance(0.249)
    assert.same({ "2001:db8::1" }, hosts())
    reactor:advance(0.001)
    assert.same({ "2001:db8::1", "192.0.2.1" }, hosts())
    reactor:advance(0.25)
    reactor:advance(0.25)
    assert.same({ "2001:db8::1", "192.0.2.1", "2001:db8::2", "2001:db8::3" }, hosts())
    test.assertNoResult(result)
    local made = succeed(2)
    assert.equal(made, test.successResultOf(result))
    for index = 1, 4 do assert.equal(index ~= 2, reactor.tcpClients[index].connector.stoppedConnecting) end
    assert.equal(1, built)
    isQuiet()
  end)

  it("waits as long as it is told between attempts", function()
    connect { attemptDelay = 2 }:addErrback(function() end)
    answer("2001:db8::1", "192.0.2.1")
    reactor:advance(1.9)
    assert.equal(1, #hosts())
    reactor:advance(0.1)
    assert.equal(2, #hosts())
  end)

  it("goes on at once when an attempt fails", function()
    connect():addErrback(function() end)
    answer("2001:db8::1", "192.0.2.1", "192.0.2.2")
    fail(1)
    assert.same({ "2001:db8::1", "192.0.2.1" }, hosts())
    reactor:advance(0.2)
    fail(2)
    assert.same({ "2001:db8::1", "192.0.2.1", "192.0.2.2" }, hosts())
  end)

  it("tries an address that comes after all others have failed", function()
    local result = connect()
    answer "2001:db8::1"
    fail(1)
    test.assertNoResult(result)
    answer "192.0.2.1"
    assert.same({ "2001:db8::1", "192.0.2.1" }, hosts())
    complete()
    succeed(2)
    test.successResultOf(result)
    isQuiet()
  end)

  it("fails with the errors of all attempts", function()
    local result = connect()
    answer("2001:db8::1", "192.0.2.1")
    complete()
    fail(1, errors.NoRouteError())
    fail(2)
    local failure = test.failureResultOf(result, errors.ConnectError)
    assert.equal("ConnectError", failure.value.__name)
    assert.equal("An error occurred while connecting: 'host.example' port 80: 2001:db8::1 (No route to host), "
      .. "192.0.2.1 (Connection was refused by other side).", failure.value.message)
    assert.equal(2, #failure.value.attempts)
    assert.equal(address.IPv4Address("TCP", "192.0.2.1", 80), failure.value.attempts[2].address)
    assert.equal("ConnectionRefusedError", failure.value.attempts[2].failure.value.__name)
    isQuiet()
  end)

  it("fails with the class of its errors, if it is one", function()
    local result = connect()
    answer("2001:db8::1", "192.0.2.1")
    complete()
    fail(1)
    fail(2)
    test.failureResultOf(result, errors.ConnectionRefusedError)
  end)

  it("fails with what the look-up failed with", function()
    local result = connect()
    complete(Failure(errors.DNSLookupError("gone")))
    assert.matches("gone", test.failureResultOf(result, errors.DNSLookupError).value.message)
    local other = endpoints.HostnameEndpoint(reactor, "none.example", 80):connect(factory)
    reactor.lookups[2].receiver:resolutionComplete()   -- as resolvers of others may tell it
    assert.matches("'none.example': it has no addresses",
      test.failureResultOf(other, errors.DNSLookupError).value.message)
    isQuiet()
  end)

  it("has a time-out for everything", function()
    local result = connect { timeout = 1, attemptDelay = 0.3 }
    answer("2001:db8::1", "192.0.2.1")
    fail(1)
    reactor:advance(0.99)
    test.assertNoResult(result)
    reactor:advance(0.01)
    local failure = test.failureResultOf(result, errors.TimeoutError)
    assert.matches("2001:db8::1 %(Connection was refused by other side%), 192.0.2.1 %(User timeout",
      failure.value.message)
    assert.is_true(reactor.tcpClients[2].connector.stoppedConnecting)
    assert.is_true(reactor.lookups[1].cancelled)
    isQuiet()
  end)

  it("has a time-out for the look-up, of 30 seconds", function()
    local result = connect()
    reactor:advance(29.9)
    test.assertNoResult(result)
    reactor:advance(0.1)
    assert.matches("the look%-up has not ended", test.failureResultOf(result, errors.TimeoutError).value.message)
    assert.is_true(reactor.lookups[1].cancelled)
  end)

  it("has no time-out when that is 0", function()
    connect { timeout = 0 }:addErrback(function() end)
    isQuiet()
  end)

  it("cancels the look-up and the attempts", function()
    local result = connect()
    answer("2001:db8::1", "192.0.2.1", "192.0.2.2")
    reactor:advance(0.25)
    result:cancel()
    assert.matches("'host.example' port 80",
      test.failureResultOf(result, errors.ConnectingCancelledError).value.message)
    assert.is_true(reactor.lookups[1].cancelled)
    for _, client in ipairs(reactor.tcpClients) do assert.is_true(client.connector.stoppedConnecting) end
    isQuiet()
    answer "2001:db8::7"
    complete()
    assert.equal(2, #hosts())
  end)

  it("cancels a look-up that has told nothing", function()
    local result = connect()
    result:cancel()
    test.failureResultOf(result, errors.ConnectingCancelledError)
    assert.is_true(reactor.lookups[1].cancelled)
    isQuiet()
  end)

  it("does not try other addresses when the factory wants no connection", function()
    function factory.buildProtocol() return nil end
    local result = connect()
    answer("2001:db8::1", "192.0.2.1")
    succeed(1)
    test.failureResultOf(result, errors.NoProtocol)
    assert.equal(1, #hosts())
    isQuiet()
  end)

  it("looks no literal up", function()
    connect(nil, "192.0.2.9"):addErrback(function() end)
    connect(nil, "2001:db8::9", "http"):addErrback(function() end)
    assert.same({ "192.0.2.9", "2001:db8::9" }, hosts())
    assert.equal("http", reactor.tcpClients[2].port)
    assert.equal(0, #reactor.lookups)
  end)

  it("tries only the family that it binds to", function()
    connect { bindAddress = "127.0.0.1" }:addErrback(function() end)
    assert.same({ address.IPv4Address }, reactor.lookups[1].types)
    answer "192.0.2.1"
    complete()
    assert.equal("127.0.0.1", reactor.tcpClients[1].bindAddress)
    connect { bindAddress = { "::1", 5 } }:addErrback(function() end)
    assert.same({ address.IPv6Address }, reactor.lookups[2].types)
  end)

  it("fails when connecting raises", function()
    local raising = test.RaisingMemoryReactor(nil, errors.ConnectBindError("taken"))
    local result = endpoints.HostnameEndpoint(raising, "192.0.2.1", 80):connect(factory)
    test.failureResultOf(result, errors.ConnectBindError)
    assert.equal(0, #raising:getDelayedCalls())
  end)

  it("fails when the resolver raises", function()
    function reactor.nameResolver.resolveHostName() error "broken" end
    assert.matches("broken", tostring(test.failureResultOf(connect()).value))
    isQuiet()
  end)

  it("tells what is no error object, too", function()
    local result = connect(nil, "192.0.2.1")
    fail(1, "just words")
    local failure = test.failureResultOf(result, errors.ConnectError)
    assert.matches("192.0.2.1 %(just words%)", failure.value.message)
  end)

  it("raises for arguments that are none", function()
    for message, arguments in pairs {
      ["host must be a string, got number"] = { 5, 80 },
      ["port must be an integer or the name of a service, got nil"] = { "host" },
      ["timeout must be a number of seconds, got -1"] = { "host", 80, { timeout = -1 } },
      ["attemptDelay must be a number of seconds, got inf"] = { "host", 80, { attemptDelay = 1 / 0 } },
      ["unknown option 'delay'"] = { "host", 80, { delay = 1 } },
    } do
      local ok, problem = pcall(function()
        return (endpoints.HostnameEndpoint(reactor, table.unpack(arguments)))
      end)
      assert.is_false(ok)
      assert.matches("hostname_spec.lua:%d+: HostnameEndpoint: " .. message:gsub("%-", "%%-"), problem)
    end
  end)
end)
