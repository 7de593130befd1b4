local address  = require "twistlua.address"
local async    = require("twistlua.test.async").async
local await    = require("twistlua.defer").await
local core     = require "twistlua.core"
local errors   = require "twistlua.error"
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"
local socket   = require "twistlua.socket"
local ends     = require "system.streams.pairs"

local LOCAL = { interface = "127.0.0.1" }

local function listen(options) return reactor:listenTCP(0, ends.factory(ends.Recorder), options or LOCAL) end

-- The class and message of what `f` raises.
local function raised(f, ...)
  local ok, problem = pcall(f, ...)
  assert.is_false(ok)
  return problem
end

-- What remains as it was when a call is refused.
local function state()
  return { #core.transport.live(), #reactor:getDelayedCalls(), reactor:isBusy() }
end

describe("listenTCP", function()
  it("listens on return, and tells which port it took", async(function()
    local port = listen()
    local host = port:getHost()
    assert.is_true(host.port > 0)
    assert.is_true(address.IPv4Address("TCP", "127.0.0.1", host.port) == host)
    local raw, pending = socket.connect("127.0.0.1", host.port)
    if pending then await(ends.writable(raw)) end
    assert.is_true(raw:outcome())
    raw:close()
    await(port:stopListening())
  end))

  it("takes the port that it is told", async(function()
    local first = listen()
    local number = first:getHost().port
    await(first:stopListening())
    local second = reactor:listenTCP(number, ends.factory(ends.Recorder), LOCAL)
    assert.equal(number, second:getHost().port)
    await(second:stopListening())
  end))

  it("listens on every IPv4 address without an interface", async(function()
    local port = listen {}
    assert.equal("0.0.0.0", port:getHost().host)
    await(port:stopListening())
  end))

  it("listens on an IPv6 interface, and not on IPv4 with it", async(function()
    local port = listen { interface = "::" }
    local host = port:getHost()
    assert.is_true(address.IPv6Address("TCP", "::", host.port) == host)
    local second = reactor:listenTCP(host.port, ends.factory(ends.Recorder))
    await(second:stopListening())
    await(port:stopListening())
  end))

  it("takes a name for the interface", async(function()
    local port = listen { interface = "localhost" }
    assert.equal("127.0.0.1", port:getHost().host)
    await(port:stopListening())
  end))

  it("raises CannotListenError with the system's error for a port in use", async(function()
    local port = listen()
    local number = port:getHost().port
    local factory = ends.factory(ends.Recorder)
    local before = state()
    local problem = raised(reactor.listenTCP, reactor, number, factory, LOCAL)
    assert.equal("CannotListenError", problem.__name)
    assert.equal("EADDRINUSE", problem.code)
    assert.matches("127.0.0.1:" .. number, problem.message)
    assert.equal(0, factory.numPorts)
    assert.same(before, state())
    await(port:stopListening())
  end))

  it("raises CannotListenError for an address that is not ours", function()
    local problem = raised(reactor.listenTCP, reactor, 0, ends.factory(ends.Recorder),
      { interface = "192.0.2.1" })
    assert.equal("CannotListenError", problem.__name)
    assert.equal("EADDRNOTAVAIL", problem.code)
  end)

  it("raises CannotListenError for what is no address", function()
    for _, interface in ipairs { "no.such.host.invalid", "1.2.3.456", "::zz", "127.0.0.1\0", "1.2.3" } do
      local before = state()
      local factory = ends.factory(ends.Recorder)
      local problem = raised(reactor.listenTCP, reactor, 0, factory, { interface = interface })
      assert.equal("CannotListenError", problem.__name)
      assert.equal(0, factory.numPorts)
      assert.same(before, state())
    end
  end)

  it("raises CannotListenError for a backlog that is none", function()
    for _, backlog in ipairs { 0, -1 } do
      local factory = ends.factory(ends.Recorder)
      local problem = raised(reactor.listenTCP, reactor, 0, factory, { backlog = backlog })
      assert.equal("CannotListenError", problem.__name)
    end
  end)

  it("raises for a port out of range, and for what is no port, where it was called", function()
    for _, port in ipairs { -1, 65536, 80.5, "80", math.huge, false } do
      local before = state()
      local problem = raised(reactor.listenTCP, reactor, port, ends.factory(ends.Recorder))
      assert.matches("port must be an integer between 0 and 65535", problem)
      assert.same(before, state())
    end
    local problem = raised(function() reactor:listenTCP(-1, ends.factory(ends.Recorder)) end)
    assert.matches("tcp_spec.lua:%d+:", problem)
  end)

  it("raises for what is no factory, and for an unknown option", function()
    assert.matches("a factory expected", raised(reactor.listenTCP, reactor, 0, nil))
    assert.matches("a factory expected", raised(reactor.listenTCP, reactor, 0, {}))
    assert.matches("unknown option 'backlogg'",
      raised(reactor.listenTCP, reactor, 0, ends.factory(ends.Recorder), { backlogg = 3 }))
  end)

  it("lets several listen on one port with reusePort", async(function()
    local first = listen { interface = "127.0.0.1", reusePort = true }
    local number = first:getHost().port
    local second = reactor:listenTCP(number, ends.factory(ends.Recorder), {
      interface = "127.0.0.1", reusePort = true,
    })
    assert.equal(number, second:getHost().port)
    local problem = raised(reactor.listenTCP, reactor, number, ends.factory(ends.Recorder), LOCAL)
    assert.equal("EADDRINUSE", problem.code)
    await(first:stopListening())
    await(second:stopListening())
  end))

  it("may take a port again at once that has connections in TIME_WAIT", async(function()
    local port = listen()
    local number = port:getHost().port
    local calling = ends.factory(ends.Recorder)
    reactor:connectTCP("127.0.0.1", number, calling)
    local server = await(port.factory:protocolMade(1))
    server.transport:loseConnection()
    server:awaitLost()
    await(calling:whenNoted("lost"))
    await(port:stopListening())
    await(reactor:listenTCP(number, ends.factory(ends.Recorder), LOCAL):stopListening())
  end))

  it("keeps no more connections waiting than the backlog says", async(function()
    local port = listen { interface = "127.0.0.1", backlog = 1 }
    port:pauseProducing()
    local release = ends.fill(port)
    local factory = ends.factory(ends.Recorder)
    local connector = ends.kinds.TCP.connect(port, factory)
    ends.turns(5)
    assert.equal("connecting", connector.state)
    connector:stopConnecting()
    release()
    await(port:stopListening())
  end))

  it("accepts a burst of connections", async(function()
    local port = listen { interface = "127.0.0.1", backlog = 500 }
    local factory = ends.factory(ends.Recorder)
    for _ = 1, 300 do ends.kinds.TCP.connect(port, factory) end
    await(port.factory:protocolMade(300))
    await(factory:protocolMade(300))
    assert.equal(300, #port.factory.made)
    ends.finish(table.unpack(factory.made))
    ends.finish(table.unpack(port.factory.made))
    await(port:stopListening())
  end))
end)

describe("connectTCP", function()
  local function refusedPort()
    local listening = assert(socket.listen("127.0.0.1", 0))
    local number = listening:getsockname().port
    listening:close()
    return number
  end

  it("returns a connector at once and calls nothing before (point 29)", async(function()
    local factory = ends.factory(ends.Recorder)
    local order = {}
    function factory.startedConnecting(_, connector) order[#order + 1] = connector.state end
    local connector = reactor:connectTCP("127.0.0.1", refusedPort(), factory)
    order[#order + 1] = "returned"
    await(factory:whenNoted("failed"))
    assert.same({ "connecting", "returned" }, order)
    assert.equal("disconnected", connector.state)
  end))

  it("fails with ConnectionRefusedError and the system's error", async(function()
    local factory = ends.factory(ends.Recorder)
    reactor:connectTCP("127.0.0.1", refusedPort(), factory)
    await(factory:whenNoted("failed"))
    ends.isExactly(factory.failed, "ConnectionRefusedError")
    assert.equal("ECONNREFUSED", factory.failed.value.code)
    assert.is_number(factory.failed.value.errno)
    ends.turns(1)
    assert.equal(0, factory.numPorts)
  end))

  it("fails with a ConnectError for port 0", async(function()
    local factory = ends.factory(ends.Recorder)
    reactor:connectTCP("127.0.0.1", 0, factory)
    await(factory:whenNoted("failed"))
    ends.is(factory.failed, "ConnectError")
  end))

  it("connects to a name of /etc/hosts", async(function()
    local port = listen()
    local factory = ends.factory(ends.Recorder)
    reactor:connectTCP("localhost", port:getHost().port, factory)
    local client = await(factory:protocolMade(1))
    assert.equal("127.0.0.1", client.transport:getPeer().host)
    local server = await(port.factory:protocolMade(1))
    ends.finish(client, server)
    await(port:stopListening())
  end))

  it("fails with DNSLookupError for an unknown name, later", async(function()
    for _, host in ipairs { "no.such.host.invalid", "1.2.3.456", "::zz", "1.2.3", "a b" } do
      local factory = ends.factory(ends.Recorder)
      reactor:connectTCP(host, 80, factory)
      assert.is_nil(factory.failed)
      await(factory:whenNoted("failed"))
      ends.isExactly(factory.failed, "DNSLookupError")
      ends.turns(1)
      assert.equal(0, factory.numPorts)
    end
  end))

  it("takes the port by its service's name", async(function()
    local connector = reactor:connectTCP("127.0.0.1", "http", ends.factory(ends.Recorder))
    await(connector.factory:when(function()
      return connector.factory.failed or connector.factory.made[1]
    end))
    if connector.factory.failed then
      assert.is_not.equal("ServiceNameUnknownError", connector.factory.failed.value.__name)
    else
      ends.finish(await(connector.factory:protocolMade(1)))
    end
  end))

  it("fails with ServiceNameUnknownError for a service that is unknown", async(function()
    local factory = ends.factory(ends.Recorder)
    reactor:connectTCP("127.0.0.1", "no-such-service", factory)
    await(factory:whenNoted("failed"))
    ends.isExactly(factory.failed, "ServiceNameUnknownError")
  end))

  it("connects from bindAddress", async(function()
    local port = listen()
    for _, bindAddress in ipairs { "127.0.0.1", { "127.0.0.1" }, { "127.0.0.1", 0 } } do
      local factory = ends.factory(ends.Recorder)
      reactor:connectTCP("127.0.0.1", port:getHost().port, factory, { bindAddress = bindAddress })
      local client = await(factory:protocolMade(1))
      assert.equal("127.0.0.1", client.transport:getHost().host)
      ends.finish(client)
    end
    await(port:stopListening())
    for _, server in ipairs(port.factory.made) do ends.finish(server) end
  end))

  it("connects from the port of bindAddress", async(function()
    local port, free = listen(), refusedPort()
    local factory = ends.factory(ends.Recorder)
    reactor:connectTCP("127.0.0.1", port:getHost().port, factory, { bindAddress = { "127.0.0.1", free } })
    local server = await(port.factory:protocolMade(1))
    assert.equal(free, server.transport:getPeer().port)
    ends.finish(server, await(factory:protocolMade(1)))
    await(port:stopListening())
  end))

  it("fails with ConnectBindError for an address not ours, taken, or none (point 29)", async(function()
    local port = listen()
    local taken = { "127.0.0.1", port:getHost().port }
    for _, bindAddress in ipairs { "192.0.2.1", taken, "nonsense", "::1" } do
      local factory = ends.factory(ends.Recorder)
      reactor:connectTCP("127.0.0.1", port:getHost().port, factory, { bindAddress = bindAddress })
      assert.is_nil(factory.failed)
      await(factory:whenNoted("failed"))
      ends.isExactly(factory.failed, "ConnectBindError")
      ends.turns(1)
      assert.equal(0, factory.numPorts)
    end
    await(port:stopListening())
  end))

  it("raises for a port out of range, a bad timeout, a bad bindAddress, and nothing has begun", function()
    local function refused(pattern, host, port, options)
      local factory = ends.factory(ends.Recorder)
      local before = state()
      local ok, problem = pcall(function() reactor:connectTCP(host, port, factory, options) end)
      assert.is_false(ok)
      assert.matches(pattern, problem)
      assert.matches("tcp_spec.lua:%d+:", problem)
      assert.equal(0, factory.numPorts)
      assert.same(before, state())
    end
    refused("port must be", "127.0.0.1", 65536)
    refused("port must be", "127.0.0.1", -1)
    refused("port must be", "127.0.0.1", 1.5)
    refused("port must be", "127.0.0.1", "65536")
    refused("port must be", "127.0.0.1", "-1")
    refused("port must be", "127.0.0.1", nil)
    refused("host must be a string", nil, 80)
    refused("host must be a string", 127, 80)
    refused("timeout must be", "127.0.0.1", 80, { timeout = -1 })
    refused("timeout must be", "127.0.0.1", 80, { timeout = 0 / 0 })
    refused("timeout must be", "127.0.0.1", 80, { timeout = math.huge })
    refused("option 'timeout' must be", "127.0.0.1", 80, { timeout = "1" })
    refused("bindAddress must be", "127.0.0.1", 80, { bindAddress = 12 })
    refused("bindAddress must be", "127.0.0.1", 80, { bindAddress = {} })
    refused("port of bindAddress must be", "127.0.0.1", 80, { bindAddress = { "127.0.0.1", 70000 } })
  end)

  it("gives up after its timeout with a TimeoutError", async(function()
    local port = listen { interface = "127.0.0.1", backlog = 1 }
    port:pauseProducing()
    local release = ends.fill(port)
    local factory = ends.factory(ends.Recorder)
    local connector = reactor:connectTCP("127.0.0.1", port:getHost().port, factory, { timeout = 0.1 })
    await(factory:whenNoted("failed"))
    ends.isExactly(factory.failed, "TimeoutError")
    ends.is(factory.failed, "UserError")
    ends.is(factory.failed, "ConnectError")
    assert.equal("disconnected", connector.state)
    await(port:stopListening())
    release()
  end))
end)

describe("a connection to oneself", function()
  it("sees the same protocols and events on IPv6 as on IPv4", async(function()
    local server, client = ends.join("TCP6")
    assert.equal(address.IPv6Address, getmetatable(client.transport:getPeer()))
    client.transport:write("six")
    await(server:whenReceived(3))
    client.transport:loseConnection()
    ends.isExactly(server:awaitLost(), "ConnectionDone")
    client:awaitLost()
    assert.same({ "made", "lost" }, server.events)
  end))
end)

describe("an error class", function()
  it("of a failed connect is a ConnectError, of a lost connection a ConnectionClosed", function()
    assert.is_true(require("twistlua.class").isA(errors.ConnectionRefusedError(), errors.ConnectError))
    assert.is_true(protocol.connectionDone:check(errors.ConnectionClosed) ~= nil)
  end)
end)
