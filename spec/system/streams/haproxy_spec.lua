local await        = require("twistlua.defer").await
local async        = require("twistlua.test.async").async
local certificates = require "system.tls.certificates"
local child        = require "system.child"
local endpoints    = require "twistlua.endpoints"
local haproxy      = require "twistlua.protocols.haproxy"
local reactor      = require "twistlua.reactor"
local ends         = require "system.streams.pairs"

-- HAProxy gets listening sockets that exist: no port can be taken by another meanwhile.
local START = [==[
import os, socket, sys
sockets = [socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0)),
           socket.create_server(("::1", 0), family=socket.AF_INET6)]
text = open(sys.argv[1]).read()
for i, s in enumerate(sockets):
    s.set_inheritable(True)
    text = text.replace("FD%d" % (i + 1), str(s.fileno()))
open(sys.argv[1], "w").write(text)
print(*[s.getsockname()[1] for s in sockets], flush=True)
os.execvp("haproxy", ["haproxy", "-db", "-f", sys.argv[1]])
]==]

local CONFIG = [[
global
  maxconn 50
defaults
  mode tcp
  timeout connect 10s
  timeout client 10s
  timeout server 10s
listen one
  bind fd@FD1
  server s 127.0.0.1:%d send-proxy %s
listen two
  bind fd@FD2
  server s 127.0.0.1:%d send-proxy-v2 proxy-v2-options crc32c %s
listen two6
  bind fd@FD3
  server s 127.0.0.1:%d send-proxy-v2 %s
]]

-- Starts HAProxy in front of a port, with more words for it; returns what ends it and its three ports.
local function proxied(port, words)
  local number = port:getHost().port
  local config = child.file(CONFIG:format(number, words or "", number, words or "", number, words or ""))
  local process = child.start { "python3", "-c", START, config }
  local ports = {}
  for word in process:line():gmatch("%d+") do ports[#ports + 1] = math.tointeger(tonumber(word)) end
  return function()
    process:signal "TERM"
    process:finish()
    os.remove(config)
  end, ports
end

local function listen(class, changes)
  local serving = ends.factory(class or ends.Recorder)
  local factory = haproxy.HAProxyWrappingFactory(serving)
  factory.noisy = false
  for name, value in pairs(changes or {}) do factory[name] = value end
  return reactor:listenTCP(0, factory, { interface = "127.0.0.1" }), serving
end

describe("a server behind HAProxy", function()
  it("knows who connected to it, by either version", async(function()
    local port, serving = listen()
    local stop, ports = proxied(port)
    for index, host in ipairs { "127.0.0.1", "127.0.0.1", "::1" } do
      local calling = ends.factory(ends.Recorder)
      reactor:connectTCP(host, ports[index], calling)
      local client = await(calling:protocolMade(1))
      client.transport:write("hello")
      local server = await(serving:protocolMade(index))
      await(server:whenReceived(5))
      assert.equal(client.transport:getHost(), server.transport:getPeer())
      assert.equal(client.transport:getPeer(), server.transport:getHost())
      assert.equal(math.min(index, 2), server.transport.proxyHeader.version)
      assert.equal(index == 2 and 3 or nil, (server.transport.proxyHeader.tlvs[1] or {}).type)   -- the checksum
      server.transport:write("welcome")
      await(client:whenReceived(7))
      client.transport:loseConnection()
      ends.isExactly(server:awaitLost(), "ConnectionDone")
    end
    stop()
    await(port:stopListening())
  end))
end)

describe("a TLS server behind HAProxy", function()
  it("reads the header in clear, by either version", async(function()
    local certificate, key = certificates.of("server")
    local serving = ends.factory(ends.Recorder)
    local port = await(endpoints.serverFromString(reactor, ("haproxy:tls:0:127.0.0.1:certificate=%s:privateKey=%s")
      :format(endpoints.quoteStringArgument(certificate), endpoints.quoteStringArgument(key))):listen(serving))
    local stop, ports = proxied(port, "ssl verify none")
    for index, host in ipairs { "127.0.0.1", "127.0.0.1", "::1" } do
      local calling = ends.factory(ends.Recorder)
      reactor:connectTCP(host, ports[index], calling)
      local client = await(calling:protocolMade(1))
      client.transport:write("hello")
      local server = await(serving:protocolMade(index))
      await(server:whenReceived(5))
      assert.is_true(server.transport.TLS)
      assert.equal(client.transport:getHost(), server.transport:getPeer())
      server.transport:write("welcome")
      await(client:whenReceived(7))
      client.transport:loseConnection()
      server:awaitLost()
    end
    stop()
    await(port:stopListening())
  end))
end)

describe("a server that wants a PROXY header", function()
  it("closes a connection that does not begin with one", async(function()
    local port, serving = listen()
    local raw = ends.rawTo(port:getHost().port)
    raw:send("GET / HTTP/1.0\r\n\r\n")
    local _, ending = ends.receive(raw)
    assert.is_true(ending == "EOF" or ending == "ECONNRESET")
    raw:close()
    assert.equal(0, #serving.made)
    await(port:stopListening())
  end))

  it("closes a connection that sends nothing for too long", async(function()
    local port = listen(nil, { headerTimeout = 0.02 })
    local raw = ends.rawTo(port:getHost().port)
    local _, ending = ends.receive(raw)
    assert.equal("EOF", ending)
    raw:close()
    await(port:stopListening())
  end))

  it("takes a header of its own making, byte by byte, and half-closes", async(function()
    local port, serving = listen(ends.HalfCloser)
    local raw = ends.rawTo(port:getHost().port)
    local peer = require("twistlua.address").IPv6Address("TCP", "2001:db8::1", 7)
    local header = haproxy.makeHeader(peer, peer)
    for index = 1, #header do
      raw:send(header:sub(index, index))
      ends.turns(1)
    end
    raw:send("bye")
    raw:shutdown()
    local server = await(serving:protocolMade(1))
    await(server:whenNoted("read lost"))
    assert.equal("bye", server:data())
    assert.equal(peer, server.transport:getPeer())
    server.transport:write("good bye")
    server.transport:loseConnection()
    assert.equal("good bye", (ends.receive(raw)))
    raw:close()
    server:awaitLost()
    await(port:stopListening())
  end))
end)
