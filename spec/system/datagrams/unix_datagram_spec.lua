-- SPDX-License-Identifier: MIT
-- unix_datagram_spec.lua -- datagrams by UNIX sockets, and sockets that exist already.
local async    = require("twistlua.test.async").async
local await    = require("twistlua.defer").await
local ends     = require "system.datagrams.ends"
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"

local raised = ends.raised

local Caller = protocol.ConnectedDatagramProtocol:extend("Caller")
for name, method in pairs(ends.Recorder) do
  if type(method) == "function" and name:sub(1, 2) ~= "__" then Caller[name] = method end
end
Caller.noisy = false

local function stop(...)
  for _, port in ipairs { ... } do await(port:stopListening()) end
end

local function exists(path) return os.execute(("test -S '%s'"):format(path)) == true end

describe("listenUNIXDatagram", function()
  it("carries datagrams to and fro, and removes its file", async(function()
    local path, ours = ends.path(), ends.path()
    local server, client = ends.Echo(), Caller()
    local serving = reactor:listenUNIXDatagram(path, server)
    assert.equal(path, serving:getHost().name)
    local calling = reactor:connectUNIXDatagram(path, client, { bindAddress = ours })
    client.transport:write("hello")
    await(client:whenReceived(1))
    assert.equal(ours, server.received[1][2].name)
    assert.equal("hello", client.received[1][1])
    assert.equal(path, client.received[1][2].name)
    assert.is_true(exists(path) and exists(ours))
    stop(serving, calling)
    assert.is_false(exists(path) or exists(ours))
  end))

  it("writes to a path, and hears those that have none", async(function()
    local path = ends.path()
    local server = ends.Recorder()
    local serving = reactor:listenUNIXDatagram(path, server)
    local calling = reactor:connectUNIXDatagram(path, Caller())
    calling:write("nameless")
    serving:write("to myself", path)
    serving:write("to myself", { path })
    await(server:whenReceived(3))
    assert.is_nil(server.received[1][2].name)
    assert.equal(path, server.received[2][2].name)
    assert.equal("InvalidAddressError", raised(serving.write, serving, "x", server.received[1][2]).__name)
    assert.equal("InvalidAddressError", raised(serving.write, serving, "x", ("x"):rep(200)).__name)
    assert.equal("ENOENT", raised(serving.write, serving, "x", path .. "-not").code)
    stop(serving, calling)
  end))

  it("gives the file the mode that it is told, and serves abstract names", async(function()
    local path = ends.path()
    local port = reactor:listenUNIXDatagram(path, ends.Recorder(), { mode = tonumber("600", 8) })
    local pipe = io.popen("stat -c %a " .. path)
    assert.equal("600", pipe:read "l")
    pipe:close()
    stop(port)
    local name = "\0" .. path
    port = reactor:listenUNIXDatagram(name, ends.Echo())
    local client = Caller()
    local calling = reactor:connectUNIXDatagram(name, client, { bindAddress = name .. "2" })
    calling:write("abstract")
    await(client:whenReceived(1))
    stop(port, calling)
  end))

  it("meets socat", async(function()
    local path = ends.path()
    local server = ends.Recorder()
    local port = reactor:listenUNIXDatagram(path, server)
    os.execute(("printf 'from socat' | timeout 10 socat - UNIX-SENDTO:%s"):format(path))
    await(server:whenReceived(1))
    assert.equal("from socat", server.received[1][1])
    stop(port)
  end))

  it("drops, counts and logs what too slow a receiver leaves no room for, and keeps the order", async(function()
    local log, lines = require "twistlua.log", {}
    local function observe(event) lines[#lines + 1] = event.text end
    local path, ours = ends.path(), ends.path()
    local pipe = ends.python(([[
import os, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("%s"); print(os.getpid(), flush=True)
got = 0
while True:
    d, sender = s.recvfrom(9999)
    if d == b"end": break
    assert int(d) == got, (d, got)
    got += 1
s.sendto(b"%%d" %% got, sender)]]):format(path))
    local pid = pipe:read "n"
    local client = Caller()
    local calling = reactor:connectUNIXDatagram(path, client, { bindAddress = ours })
    assert(os.execute("kill -STOP " .. pid))
    log.addObserver(observe)
    local sent = 0
    while calling.dropped == 0 do
      calling:write(("0"):rep(990) .. ("%06d"):format(sent))
      sent = sent + 1
    end
    for _ = 1, 9 do calling:write(("x"):rep(996)) end
    assert.equal(10, calling.dropped)
    log.removeObserver(observe)
    assert.equal(1, #lines)
    assert.matches("1 datagrams dropped so far", lines[1])
    assert(os.execute("kill -CONT " .. pid))
    local function finish()
      local before = calling.dropped
      calling:write "end"
      if calling.dropped > before then reactor:callLater(0.001, finish) end
    end
    finish()
    await(client:whenReceived(1))
    assert.equal(tostring(sent - 1), client.received[1][1])
    pipe:close()
    os.remove(path)
    stop(calling)
  end))

  it("raises CannotListenError for a path that is taken, and for what is no path", async(function()
    local path = ends.path()
    local port = reactor:listenUNIXDatagram(path, ends.Recorder())
    local problem = raised(reactor.listenUNIXDatagram, reactor, path, ends.Recorder())
    assert.equal("CannotListenError", problem.__name)
    assert.equal("EADDRINUSE", problem.code)
    assert.matches(path, problem.message, 1, true)
    for _, bad in ipairs { "", ("x"):rep(200), "/no/such/directory/socket" } do
      assert.equal("CannotListenError", raised(reactor.listenUNIXDatagram, reactor, bad, ends.Recorder()).__name)
    end
    assert.matches("path must be a string", raised(reactor.listenUNIXDatagram, reactor, 12, ends.Recorder()))
    assert.equal("IOError", raised(port.setBroadcastAllowed, port, true).__name)
    stop(port)
  end))
end)

describe("connectUNIXDatagram", function()
  it("tells connectionFailed, later, where nobody is", async(function()
    local client = Caller()
    local path = ends.path()
    reactor:connectUNIXDatagram(path, client)
    assert.same({}, client.events)
    await(client:whenNoted "failed")
    assert.same({ "failed" }, client.events)
    assert.equal("ENOENT", client.failed.value.code)
  end))

  it("tells connectionRefused when the peer has gone", async(function()
    local path = ends.path()
    local serving = reactor:listenUNIXDatagram(path, ends.Recorder())
    local client = Caller()
    local calling = reactor:connectUNIXDatagram(path, client)
    stop(serving)
    calling:write "anybody?"
    assert.same({ "start" }, client.events)
    await(client:whenNoted "refused")
    calling:write "still nobody?"
    await(client:when(function() return #client.events == 3 end))
    assert.same({ "start", "refused", "refused" }, client.events)
    stop(calling)
  end))
end)

describe("adoptDatagramPort", function()
  it("serves a duplicate of a socket, which the first may close", async(function()
    local first = reactor:listenUDP(0, ends.Recorder(), { interface = "127.0.0.1" })
    local host = first:getHost()
    local server, client = ends.Echo(), ends.Recorder()
    local second = reactor:adoptDatagramPort(first:fileno(), "AF_INET", server, { maxPacketSize = 5 })
    assert.is_true(second:fileno() ~= first:fileno())
    stop(first)
    assert.is_true(host == second:getHost())
    local calling = reactor:listenUDP(0, client, { interface = "127.0.0.1" })
    calling:write("adopted", host)
    await(client:whenReceived(1))
    assert.equal("adopt", client.received[1][1])
    stop(second, calling)
  end))

  it("raises for a descriptor that is closed, no socket for datagrams, or none", async(function()
    local stream = reactor:listenTCP(0, protocol.Factory(), { interface = "127.0.0.1" })
    for _, fd in ipairs { 999, stream:fileno() } do
      assert.equal("CannotListenError",
        raised(reactor.adoptDatagramPort, reactor, fd, "AF_INET", ends.Recorder()).__name)
    end
    await(stream:stopListening())
    for _, fd in ipairs { -1, 1.5, "x" } do
      assert.matches("fd must be a descriptor",
        raised(reactor.adoptDatagramPort, reactor, fd, "AF_INET", ends.Recorder()))
    end
    assert.matches("family must be", raised(reactor.adoptDatagramPort, reactor, 0, "AF_X25", ends.Recorder()))
    assert.matches("DatagramProtocol expected", raised(reactor.adoptDatagramPort, reactor, 0, "AF_INET"))
  end))
end)
