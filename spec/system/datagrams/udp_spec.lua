-- SPDX-License-Identifier: MIT
-- udp_spec.lua -- UDP ports and their protocols.
local address  = require "twistlua.address"
local async    = require("twistlua.test.async").async
local await    = require("twistlua.defer").await
local child    = require "system.child"
local ends     = require "system.datagrams.ends"
local flush    = require("twistlua.test.async").flushLoggedErrors
local log      = require "twistlua.log"
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"

local raised = ends.raised
local LOCAL = { interface = "127.0.0.1" }

local function listen(kind, options) return reactor:listenUDP(0, kind, options or LOCAL) end

local function pair(kind)
  local server, client = (kind or ends.Echo)(), ends.Recorder()
  return server, client, listen(server), listen(client)
end

local function stop(...)
  for _, port in ipairs { ... } do await(port:stopListening()) end
end

describe("listenUDP", function()
  for interface, class in pairs { ["127.0.0.1"] = "IPv4Address", ["::1"] = "IPv6Address" } do
    it("carries datagrams to and fro on " .. interface, async(function()
      local server, client = ends.Echo(), ends.Recorder()
      local serving = listen(server, { interface = interface })
      local calling = listen(client, { interface = interface })
      local host = serving:getHost()
      assert.equal(class, host.__name)
      assert.equal("UDP", host.type)
      assert.equal(interface, host.host)
      client.transport:write("hello", host)
      await(client:whenReceived(1))
      assert.equal("hello", client.received[1][1])
      assert.is_true(client.received[1][2] == host)
      assert.is_true(server.received[1][2] == calling:getHost())
      stop(serving, calling)
    end))
  end

  it("gives a sender's datagrams the same address object", async(function()
    local server, client, serving, calling = pair()
    for _ = 1, 2 do client.transport:write("x", serving:getHost()) end
    await(client:whenReceived(2))
    assert.is_true(rawequal(server.received[1][2], server.received[2][2]))
    stop(serving, calling)
  end))

  it("tells many senders apart, and answers the first again", async(function()
    local server = ends.Echo()
    local serving = listen(server)
    local pipe = ends.python(([[
import socket
to = ("127.0.0.1", %d)
socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for i in range(60)]
for turn in range(2):
    for i, s in enumerate(socks):
        s.sendto(b"%%d" %% i, to)
        s.settimeout(10)
        assert s.recvfrom(100) == (b"%%d" %% i, to), i
print("ok")]]):format(serving:getHost().port))
    await(server:whenReceived(120))
    assert.equal("ok\n", pipe:read("a"))
    pipe:close()
    stop(serving)
  end))

  it("takes every form of an address", async(function()
    local server, client, serving, calling = pair()
    local host = serving:getHost()
    for _, addr in ipairs { host, { host.host, host.port }, { host = host.host, port = host.port } } do
      client.transport:write("table", addr)
    end
    client.transport:write("text", host.host, host.port)
    await(client:whenReceived(4))
    assert.equal(4, #server.received)
    stop(serving, calling)
  end))

  it("carries empty datagrams, and the longest", async(function()
    local server, client, serving = pair()
    local calling = client.transport
    stop(serving)
    serving = listen(server, { interface = "127.0.0.1", maxPacketSize = 65536 })
    calling:write("", serving:getHost())
    calling:write(("x"):rep(65507), serving:getHost())
    await(server:whenReceived(2))
    assert.equal("", server.received[1][1])
    assert.equal(65507, #server.received[2][1])
    stop(serving, calling)
  end))

  it("says when a datagram was longer than maxPacketSize", async(function()
    local server, client = ends.Recorder(), ends.Recorder()
    local serving, calling = listen(server, { interface = "127.0.0.1", maxPacketSize = 4 }), listen(client)
    for _, data in ipairs { "1234", "12345" } do calling:write(data, serving:getHost()) end
    await(server:whenReceived(2))
    assert.is_nil(server.received[1][3])
    assert.equal("1234", server.received[2][1])
    assert.is_true(server.received[2][3])
    stop(serving, calling)
  end))

  it("logs what datagramReceived raises, and goes on", async(function()
    local server, client, serving, calling = pair()
    function server:datagramReceived(data, addr)
      if data == "bad" then error "no such datagram" end
      ends.Echo.datagramReceived(self, data, addr)
    end
    client.transport:write("bad", serving:getHost())
    client.transport:write("good", serving:getHost())
    await(client:whenReceived(1))
    assert.equal("good", client.received[1][1])
    assert.matches("no such datagram", flush()[1]:getErrorMessage())
    stop(serving, calling)
  end))

  it("starts the protocol with its transport, and stops it once, later", async(function()
    local server = ends.Recorder()
    function server:startProtocol() self.transportAtStart = self.transport end
    local port = listen(server)
    assert.is_true(rawequal(port, server.transportAtStart))
    local done = port:stopListening()
    assert.same({}, server.events)
    assert.is_false(port.connected)
    assert.is_nil(port:getHost())
    port:stopListening()
    await(done)
    await(port:stopListening())
    assert.same({ "stop" }, server.events)
    assert.is_nil(server.transport)
    port:startListening()
    stop(port)
    assert.same({ "stop", "stop" }, server.events)
  end))

  it("hands what stopProtocol raises to the Deferred", async(function()
    local server = ends.Recorder()
    function server.stopProtocol() error "cannot stop" end
    local port = listen(server)
    assert.matches("cannot stop", raised(await, port:stopListening()))
  end))

  it("raises what startProtocol raises, and leaves nothing open", function()
    local server = ends.Recorder()
    function server.startProtocol() error("cannot start", 0) end
    assert.matches("cannot start", raised(listen, server))
    assert.is_false(reactor:isBusy())
  end)

  it("delivers nothing once it is stopped, also from within datagramReceived", async(function()
    local server, client, serving, calling = pair(ends.Recorder)
    function server:datagramReceived(...)
      ends.Recorder.datagramReceived(self, ...)
      serving:stopListening()
    end
    for _ = 1, 3 do client.transport:write("x", serving:getHost()) end
    await(server:whenNoted "stop")
    assert.equal(1, #server.received)
    stop(calling)
  end))

  it("raises CannotListenError for a port that is taken, and for what is no address", async(function()
    local port = listen(ends.Recorder())
    local problem = raised(reactor.listenUDP, reactor, port:getHost().port, ends.Recorder(), LOCAL)
    assert.equal("CannotListenError", problem.__name)
    assert.equal("EADDRINUSE", problem.code)
    assert.matches("127.0.0.1:" .. port:getHost().port, problem.message, 1, true)
    for _, interface in ipairs { "no.such.host.invalid", "1.2.3", "192.0.2.1" } do
      assert.equal("CannotListenError",
        raised(reactor.listenUDP, reactor, 0, ends.Recorder(), { interface = interface }).__name)
    end
    stop(port)
  end))

  it("shares a port by reusePort", async(function()
    local first = listen(ends.Recorder(), { interface = "127.0.0.1", reusePort = true })
    local second = reactor:listenUDP(first:getHost().port, ends.Recorder(),
      { interface = "127.0.0.1", reusePort = true })
    stop(first, second)
  end))

  it("raises on the caller's line for arguments that cannot be", function()
    local here = "udp_spec.lua:%d+: listenUDP: "
    local function ask(...) reactor:listenUDP(...) end
    for _, port in ipairs { -1, 65536, 1.5, "53" } do
      assert.matches(here .. "port must be", raised(ask, port, ends.Recorder()))
    end
    assert.matches(here .. "a DatagramProtocol expected, got nil", raised(ask, 0))
    assert.matches(here .. "a DatagramProtocol expected", raised(ask, 0, protocol.Protocol()))
    assert.matches(here .. "unknown option 'intreface'", raised(ask, 0, ends.Recorder(), { intreface = "" }))
    for _, size in ipairs { 0, 131073 } do
      assert.matches(here .. "maxPacketSize must be", raised(ask, 0, ends.Recorder(), { maxPacketSize = size }))
    end
  end)

  it("refuses a protocol that has a port", async(function()
    local server = ends.Recorder()
    local port = listen(server)
    assert.matches("has a port already", raised(listen, server))
    stop(port)
  end))

  it("does not let a flood starve a TCP echo", async(function()
    local streams = require "system.streams.pairs"
    local server, client, serving, calling = pair(ends.Recorder)
    local echo = reactor:listenTCP(0, streams.factory(streams.Recorder), LOCAL)
    local factory = streams.factory(streams.Recorder)
    reactor:connectTCP("127.0.0.1", echo:getHost().port, factory)
    local near, far = await(factory:protocolMade(1)), await(echo.factory:protocolMade(1))
    function far:dataReceived(data) self.transport:write(data) end
    local sent, echoed, host = 0, 0, serving:getHost()
    function near:dataReceived()
      echoed = echoed + 1
      self.transport:write("x")
    end
    near.transport:write("x")
    local flood
    function flood()
      for _ = 1, 200 do client.transport:write("x", host) end
      sent = sent + 200
      if sent < 10000 then reactor:callLater(0, flood) else server:_note "flooded" end
    end
    flood()
    await(server:whenNoted "flooded")
    assert.is_true(echoed > 20)
    assert.is_true(#server.received > 1000)
    stop(serving, calling)
    await(echo:stopListening())
    streams.finish(near, far)
  end))

  it("is stopped when the reactor stops", function()
    local outcome = child.lua [[
      local reactor, protocol = require "twistlua.reactor", require "twistlua.protocol"
      local P = protocol.DatagramProtocol:extend "P"
      function P:startProtocol() print "start" end
      function P:stopProtocol() print "stop" end
      reactor:listenUDP(0, P(), { interface = "127.0.0.1" })
      reactor:callWhenRunning(reactor.stop, reactor)
    ]]
    assert.same({ status = 0, stdout = "start\nstop\n", stderr = "" }, outcome)
  end)

  it("loads nothing of it for a program without datagrams", function()
    local outcome = child.lua [[
      require "twistlua.reactor"
      require "twistlua.protocol"
      for name in pairs(package.loaded) do if name:find "datagram" then print(name) end end
    ]]
    assert.same({ status = 0, stdout = "", stderr = "" }, outcome)
  end)

  it("keeps the program running", function()
    local port = listen(ends.Recorder())
    assert.is_true(reactor:isBusy())
    port:stopListening()
    reactor:iterate()
    assert.is_false(reactor:isBusy())
  end)
end)

describe("write", function()
  it("raises InvalidAddressError for what is no IP address, or of another family", async(function()
    local port, six = listen(ends.Recorder()), listen(ends.Recorder(), { interface = "::1" })
    for _, addr in ipairs { "localhost", "", "1.2.3", "127.0.0.1\0", "::1" } do
      assert.equal("InvalidAddressError", raised(port.write, port, "x", addr, 53).__name)
      assert.equal("InvalidAddressError", raised(port.write, port, "x", { addr, 53 }).__name)
    end
    assert.equal("InvalidAddressError", raised(six.write, six, "x", "127.0.0.1", 53).__name)
    assert.equal("InvalidAddressError", raised(port.write, port, "x", six:getHost()).__name)
    assert.equal("InvalidAddressError", raised(port.write, port, "x", address.UNIXAddress "/tmp/x").__name)
    for _, addr in ipairs { 12, true, {}, print } do
      assert.equal("InvalidAddressError", raised(port.write, port, "x", addr).__name)
    end
    assert.equal("InvalidAddressError", raised(port.write, port, "x").__name)
    stop(port, six)
  end))

  it("raises on the caller's line for data that is no string and a port that is none", async(function()
    local port = listen(ends.Recorder())
    for _, data in ipairs { 12, {}, true } do
      assert.matches("udp_spec.lua:%d+: write: data must be a string", raised(function()
        port:write(data, "127.0.0.1", 53)
      end))
    end
    for _, number in ipairs { 0, 65536, -1, 1.5, "53" } do
      assert.matches("udp_spec.lua:%d+: write: port must be an integer", raised(function()
        port:write("x", "127.0.0.1", number)
      end))
    end
    assert.matches("udp_spec.lua:%d+: write: port must be an integer .* got nil", raised(function()
      port:write("x", "127.0.0.1")
    end))
    stop(port)
  end))

  it("raises MessageLengthError for 65,508 bytes", async(function()
    local port = listen(ends.Recorder())
    local problem = raised(port.write, port, ("x"):rep(65508), port:getHost())
    assert.equal("MessageLengthError", problem.__name)
    assert.equal("EMSGSIZE", problem.code)
    stop(port)
  end))

  it("raises IOError with what the system says", async(function()
    local port = listen(ends.Recorder())
    local problem = raised(port.write, port, "x", "255.255.255.255", 9)
    assert.equal("IOError", problem.__name)
    assert.equal("EACCES", problem.code)
    stop(port)
  end))

  it("drops what comes after the end", async(function()
    local port = listen(ends.Recorder())
    local host = port:getHost()
    stop(port)
    port:write("too late", host)
  end))

  it("ignores that nobody is there, where it is not connected", async(function()
    local server, client, serving, calling = pair()
    local gone = listen(ends.Recorder())
    local nowhere = gone:getHost()
    stop(gone)
    for _ = 1, 3 do client.transport:write("x", nowhere) end
    client.transport:write("x", serving:getHost())
    await(client:whenReceived(1))
    assert.same({ "start", "datagram" }, client.events)
    assert.equal(1, #server.received)
    stop(serving, calling)
  end))

  it("goes to broadcast addresses once that is allowed", async(function()
    local port = reactor:listenUDP(0, ends.Recorder())
    assert.is_false(port:getBroadcastAllowed())
    port:setBroadcastAllowed(true)
    assert.is_true(port:getBroadcastAllowed())
    port:write("to all", "127.255.255.255", port:getHost().port)
    await(port.protocol:whenReceived(1))
    assert.equal("to all", port.protocol.received[1][1])
    port:setBroadcastAllowed(false)
    assert.equal("EACCES", raised(port.write, port, "x", "127.255.255.255", 9).code)
    stop(port)
    assert.matches("the port is closed", raised(port.getBroadcastAllowed, port))
  end))
end)

describe("connect", function()
  it("writes without an address, and hears its peer only", async(function()
    local server, client, serving, calling = pair()
    local stranger = listen(ends.Recorder())
    local host = serving:getHost()
    calling:connect(host.host, host.port)
    stranger:write("strange", calling:getHost())
    client.transport:write("hello")
    client.transport:write("there", host)
    await(client:whenReceived(2))
    assert.equal("hello", client.received[1][1])
    assert.equal("there", client.received[2][1])
    assert.equal("InvalidAddressError", raised(calling.write, calling, "x", stranger:getHost()).__name)
    assert.equal(2, #server.received)
    stop(serving, calling, stranger)
  end))

  it("tells connectionRefused, later", async(function()
    local client, gone = ends.Recorder(), listen(ends.Recorder())
    local host = gone:getHost()
    stop(gone)
    local port = listen(client)
    port:connect(host.host, host.port)
    port:write("anybody?")
    assert.same({ "start" }, client.events)
    await(client:whenNoted "refused")
    stop(port)
  end))

  it("logs what connectionRefused raises", async(function()
    local client, gone = ends.Recorder(), listen(ends.Recorder())
    local host = gone:getHost()
    stop(gone)
    function client:connectionRefused()
      self:_note "refused"
      error "refused, and I mind"
    end
    local port = listen(client)
    port:connect(host.host, host.port)
    port:write("anybody?")
    await(client:whenNoted "refused")
    stop(port)
    assert.matches("and I mind", flush()[1]:getErrorMessage())
  end))

  it("raises the second time, for names, bad ports and once closed", async(function()
    local port = listen(ends.Recorder())
    assert.equal("InvalidAddressError", raised(port.connect, port, "localhost", 53).__name)
    assert.equal("InvalidAddressError", raised(port.connect, port, nil, 53).__name)
    assert.matches("port must be", raised(port.connect, port, "127.0.0.1", 0))
    port:connect("127.0.0.1", 9)
    assert.matches("connected already", raised(port.connect, port, "127.0.0.1", 9))
    stop(port)
    assert.matches("the port is closed", raised(port.connect, port, "127.0.0.1", 9))
  end))
end)

describe("a port's log", function()
  it("says where it starts and that it is closed", async(function()
    local lines = {}
    local function observe(event) lines[#lines + 1] = event.text end
    log.addObserver(observe)
    local port = listen(ends.Recorder())
    local number = port:getHost().port
    assert.matches("<DatagramPort of Recorder on " .. number .. ">", tostring(port))
    stop(port)
    log.removeObserver(observe)
    assert.same({ "Recorder starting on " .. number, ("(%d Closed)"):format(number) }, lines)
    assert.matches("not listening", tostring(port))
  end))
end)
