-- SPDX-License-Identifier: MIT
-- hostname_spec.lua -- HostnameEndpoint with a real resolver and real sockets.
local async     = require("twistlua.test").async
local child     = require "system.child"
local core      = require "twistlua.core"
local defer     = require "twistlua.defer"
local endpoints = require "twistlua.endpoints"
local ends      = require "system.streams.pairs"
local errors    = require "twistlua.error"
local fixture   = require "system.names.fixture"
local reactor   = require "twistlua.reactor"

local await = defer.await

describe("HostnameEndpoint", function()
  local server, hosts

  setup(function() server = fixture.server() end)
  teardown(function()
    server.stop()
    fixture.restore()
  end)
  before_each(function()
    -- "dual" has a server at most on one side; nothing listens on 127.0.0.2 and 127.0.0.3.
    hosts = child.file("::1 dual\n127.0.0.1 dual\n127.0.0.2 dead\n127.0.0.3 dead\n"
      .. "127.0.0.2 second\n127.0.0.1 second\n127.0.0.1 busy\n127.0.0.2 busy\n")
    fixture.configure({ server.place }, { hosts = hosts })
  end)
  after_each(function() os.remove(hosts) end)

  local function listen(interface, port)
    return reactor:listenTCP(port or 0, ends.factory(ends.Recorder), { interface = interface })
  end

  local function connect(host, port, given)
    return endpoints.HostnameEndpoint(reactor, host, port, given):connect(ends.factory(ends.Recorder))
  end

  -- Connect, and end it; returns the peer's address.
  local function reach(host, port, given)
    local client = await(connect(host, port:getHost().port, given))
    local peer = client.transport:getPeer().host
    ends.finish(client, await(port.factory:protocolMade(1)))
    return peer
  end

  local function failure(d, class)
    return await(d:addCallbacks(function() error("no failure", 0) end, function(reason)
      reason:trap(class)
      return reason.value
    end))
  end

  it("connects by IPv6 where there is a choice", async(function()
    local four = listen "127.0.0.1"
    local six = listen("::1", four:getHost().port)
    assert.equal("::1", reach("dual", six))
    assert.equal(0, #four.factory.made)
    await(six:stopListening())
    await(four:stopListening())
  end))

  it("falls back to the family that answers", async(function()
    local port = listen "127.0.0.1"
    assert.equal("127.0.0.1", reach("dual", port))
    await(port:stopListening())
    port = listen "::1"
    assert.equal("::1", reach("dual", port))
    await(port:stopListening())
  end))

  it("falls back to the next address", async(function()
    local port = listen "127.0.0.1"
    assert.equal("127.0.0.1", reach("second", port))
    await(port:stopListening())
  end))

  it("does not wait for an address that gives no answer", async(function()
    local silent = reactor:listenTCP(0, ends.factory(ends.Recorder), { interface = "127.0.0.1", backlog = 1 })
    silent:pauseProducing()
    local drain = ends.fill(silent)
    local port = listen("127.0.0.2", silent:getHost().port)
    assert.equal("127.0.0.2", reach("busy", port, { attemptDelay = 0.02 }))
    failure(connect("busy", port:getHost().port, { attemptDelay = 5, timeout = 0.05 }), errors.TimeoutError)
    await(port:stopListening())
    silent:resumeProducing()
    drain()
    await(silent:stopListening())
  end))

  it("lists the addresses that failed", async(function()
    local port = listen "127.0.0.1"
    local number = port:getHost().port
    await(port:stopListening())
    local problem = failure(connect("dead", number), errors.ConnectionRefusedError)
    assert.matches("'dead' port " .. number .. ": 127.0.0.2 %(.*refused.*%), 127.0.0.3 %(.*refused", problem.message)
    assert.equal(2, #problem.attempts)
    assert.equal("127.0.0.3", problem.attempts[2].address.host)
  end))

  it("fails as the look-up does", async(function()
    assert.equal("ENXDOMAIN", failure(connect("nx.test", 80), errors.DNSLookupError).code)
    assert.matches("two dots in a row", failure(connect("a..b", 80), errors.DNSLookupError).message)
    assert.matches("not ASCII", failure(connect("\xC3\xA4.test", 80), errors.DNSLookupError).message)
  end))

  it("ends the look-up with its time, or when cancelled", async(function()
    failure(connect("silent.test", 80, { timeout = 0.03 }), errors.TimeoutError)
    assert.equal(0, #core.resolver.live())
    local connecting = connect("silent.test", 80)
    assert.equal(2, #core.resolver.live())
    connecting:cancel()
    failure(connecting, errors.ConnectingCancelledError)
    assert.equal(0, #core.resolver.live())
  end))

  it("begins with the family that is known first, while the other is looked up", async(function()
    local port = listen "127.0.0.1"
    assert.equal("127.0.0.1", reach("v6slow-5000.loop.test", port))
    assert.equal(0, #core.resolver.live())
    await(port:stopListening())
    port = listen "::1"
    assert.equal("::1", reach("v4slow-5000.loop.test", port))
    await(port:stopListening())
  end))
end)
