local await        = require("twistlua.defer").await
local async        = require("twistlua.test.async").async
local basic        = require "twistlua.protocols.basic"
local reactor      = require "twistlua.reactor"
local ssl          = require "twistlua.ssl"
local certificates = require "system.tls.certificates"
local ends         = require "system.streams.pairs"

local HOST = { hostname = "localhost" }

-- Start TLS on both ends of a plain connection, and wait for it.
local function secureBoth(server, client)
  server.secured, client.secured = nil, nil
  server.transport:startTLS(ends.identity())
  client.transport:startTLS(ends.trust(), HOST)
  local function secured(recorder) return recorder.secured end
  await(server:when(secured))
  await(client:when(secured))
end

local function talk(server, client, text)
  local before = { server.length, client.length }
  server.transport:write(text)
  client.transport:write(text)
  await(server:whenReceived(before[1] + #text))
  await(client:whenReceived(before[2] + #text))
  assert.equal(text, server:data():sub(-#text))
  assert.equal(text, client:data():sub(-#text))
end

for _, kind in ipairs { "TCP", "TCP6", "UNIX" } do
  describe(("startTLS on %s"):format(kind), function()
    it("secures a connection that has been plain", ends.joined(kind, nil, nil, function(server, client)
      assert.is_false(client.transport.TLS)
      assert.is_nil(client.transport:getTLSVersion())
      talk(server, client, "plain")
      secureBoth(server, client)
      assert.is_true(client.transport.TLS)
      assert.is_true(server.transport.TLS)
      if kind ~= "UNIX" then assert.is_true(server.transport:getTcpNoDelay()) end
      assert.equal("TLSv1.3", client.transport:getTLSVersion())
      assert.equal(client.transport:getTLSCipher(), server.transport:getTLSCipher())
      assert.is_false(client.transport:isTLSResumed())
      assert.equal("<Certificate O=twistlua, CN=server>", tostring(client.transport:getPeerCertificate()))
      assert.is_nil(server.transport:getPeerCertificate())
      talk(server, client, ("secret"):rep(100000))
      client.transport:loseConnection()
      ends.isExactly(server:awaitLost(), "ConnectionDone")
      ends.isExactly(client:awaitLost(), "ConnectionDone")
      ends.turns(1)
      assert.is_false(client.transport.TLS)
      assert.is_nil(client.transport:getTLSVersion())
    end))

    it("runs inside what was started before", ends.joined(kind, nil, nil, function(server, client)
      for depth = 1, 3 do
        secureBoth(server, client)
        talk(server, client, ("x"):rep(50000 * depth))
      end
      client.transport:loseConnection()
      ends.isExactly(server:awaitLost(), "ConnectionDone")
      ends.isExactly(client:awaitLost(), "ConnectionDone")
    end))

    it("takes the other role where it is told to", ends.joined(kind, nil, nil, function(server, client)
      server.transport:startTLS(ends.trust(), { isClient = true, hostname = "localhost" })
      client.transport:startTLS(ends.identity(), { isClient = false })
      talk(server, client, "roles")
    end))
  end)
end

describe("startTLS", function()
  local Server = basic.LineReceiver:extend("Server")

  function Server:connectionMade() self.lines = {} end

  function Server:lineReceived(line)
    self.lines[#self.lines + 1] = line
    if line == "STARTTLS" then
      self:sendLine("go ahead")
      self:startTLS(ends.identity())
      self:sendLine("welcome")
    end
  end

  function Server:connectionLost(reason) self.reason = reason end

  -- Python's ssl writes the ClientHello into memory, and sends it with the line.
  local CLIENT = [[
import socket, ssl, sys
cafile, port, hello = sys.argv[1], int(sys.argv[2]), sys.argv[3]
context = ssl.create_default_context(cafile=cafile)
into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
tls = context.wrap_bio(into, out, server_hostname="localhost")
raw = socket.create_connection(("127.0.0.1", port))
plain = b""
def step(call):
    while True:
        try:
            return call()
        except ssl.SSLWantReadError:
            raw.sendall(out.read())
            data = raw.recv(1 if hello == "slow" else 65536)
            if not data: sys.exit("cut")
            into.write(data)
try:
    tls.do_handshake()
except ssl.SSLWantReadError:
    pass
if hello == "together":
    raw.sendall(b"STARTTLS\r\n" + out.read())
elif hello == "smuggle":
    raw.sendall(b"STARTTLS\r\nEVIL\r\n" + out.read())
else:
    raw.sendall(b"STARTTLS\r\n")
while not plain.endswith(b"\r\n"):
    plain += raw.recv(1)
print(plain.decode().strip())
step(tls.do_handshake)
raw.sendall(out.read())
print(step(lambda: tls.read(100)).decode().strip(), tls.version())
for byte in b"over TLS\r\n":
    tls.write(bytes([byte]))
    for piece in out.read():
        raw.sendall(bytes([piece]))
try:
    step(tls.unwrap)
except (ssl.SSLError, SystemExit):
    pass
]]

  local function converse(hello)
    local factory = ends.factory(Server)
    local port = ends.kinds.TCP.listen(factory)
    local child = ends.python(CLIENT, (certificates.of("authority")), tostring(port:getHost().port), hello)
    await(factory:when(function() return factory.made[1] end))
    local server = factory.made[1]
    while not server.reason do ends.turns() end
    local output = child:read("a")
    child:close()
    await(port:stopListening())
    return server, output
  end

  it("follows a line that asks for it", async(function()
    local server, output = converse("apart")
    assert.equal("go ahead\nwelcome TLSv1.3\n", output)
    assert.same({ "STARTTLS", "over TLS" }, server.lines)
  end))

  it("takes a ClientHello that came with the line", async(function()
    local server, output = converse("together")
    assert.equal("go ahead\nwelcome TLSv1.3\n", output)
    assert.same({ "STARTTLS", "over TLS" }, server.lines)
    ends.isExactly(server.reason, "ConnectionDone")
  end))

  it("reads and writes one byte at a time", async(function()
    local server, output = converse("slow")
    assert.equal("go ahead\nwelcome TLSv1.3\n", output)
    assert.same({ "STARTTLS", "over TLS" }, server.lines)
  end))

  it("does not take what was smuggled in before it", async(function()
    local server = converse("smuggle")
    assert.same({ "STARTTLS" }, server.lines)
    ends.isExactly(server.reason, "SSLError")
  end))

  it("carries the producer over", ends.joined("TCP", nil, nil, function(server, client)
    local block, sent, producer = ("x"):rep(100000), 0, { stopProducing = function() end }
    function producer.pauseProducing() producer.paused = true end
    function producer.resumeProducing()
      producer.paused = false
      while not producer.paused and sent < 20000000 do
        server.transport:write(block)
        sent = sent + #block
      end
      if sent >= 20000000 then server.transport:unregisterProducer() end
    end
    server.transport:registerProducer(producer, true)
    server.transport:write(("p"):rep(65537))   -- it is paused by what is plain
    assert.is_true(producer.paused)
    server.transport:startTLS(ends.identity())
    await(client:whenReceived(65537))
    assert.equal(65537, client.length)
    client.transport:startTLS(ends.trust(), HOST)
    await(client:whenReceived(65537 + 20000000))
  end))

  it("raises at once for a context of no use", ends.joined("TCP", nil, nil, function(server, client)
    local ok, err = pcall(server.transport.startTLS, server.transport, ends.trust())
    assert.is_false(ok)
    assert.equal("SSLError", err.__name)
    assert.matches("needs a certificate", err.message)
    ok, err = pcall(client.transport.startTLS, client.transport, ends.trust())
    assert.is_false(ok)
    assert.matches("host name", err.message)
    assert.has_error(function() client.transport:startTLS() end)
    assert.has_error(function() client.transport:startTLS(ends.trust(), { hostnam = "x" }) end)
    assert.matches("start_spec.lua:%d+: startTLS: a context factory", tostring(select(2, pcall(function()
      client.transport:startTLS("nonsense")
    end))))
    assert.is_false(client.transport.TLS)
    talk(server, client, "as before")
    client.transport:loseConnection()
    ok, err = pcall(client.transport.startTLS, client.transport, ends.trust(), HOST)
    assert.is_false(ok)
    assert.equal("SSLError", err.__name)
  end))
end)

describe("handshakeCompleted", function()
  it("comes once, after connectionMade and before any byte", ends.joined("TLS",
    ends.recorder { handshakeCompleted = function(self)
      self:note("secured")
      ends.Recorder.handshakeCompleted(self)
    end, dataReceived = function(self, data)
      if self.length == 0 then self:note("data") end
      ends.Recorder.dataReceived(self, data)
    end }, ends.recorder { connectionMade = function(self)
      self.transport:write("early")
      self:note("made")
    end }, function(server)
      await(server:whenReceived(5))
      assert.same({ "made", "secured", "data" }, server.events)
    end))

  it("may abort before anything has left", async(function()
    local serving = ends.factory(ends.Recorder)
    local port = ends.kinds.TLS.listen(serving)
    local calling = ends.factory(ends.recorder {
      connectionMade = function(self)
        self.transport:write("secret")
        self:note("made")
      end,
      handshakeCompleted = function(self) self.transport:abortConnection() end,
    })
    ends.kinds.TLS.connect(port, calling)
    local client = await(calling:protocolMade(1))
    ends.isExactly(client:awaitLost(), "ConnectionAborted")
    local server = await(serving:protocolMade(1))
    ends.is(server:awaitLost(), "ConnectionLost")
    assert.equal("", server:data())
    await(port:stopListening())
  end))

  it("that raises costs its connection", async(function()
    local serving = ends.factory(ends.recorder { handshakeCompleted = function() error("no", 0) end })
    local port = ends.kinds.TLS.listen(serving)
    local calling = ends.factory(ends.Recorder)
    ends.kinds.TLS.connect(port, calling)
    local server = await(serving:protocolMade(1))
    assert.equal("no", server:awaitLost().value)
    local client = await(calling:protocolMade(1))
    ends.is(client:awaitLost(), "ConnectionLost")
    assert.equal(1, #require("twistlua.test.async").flushLoggedErrors())
    await(port:stopListening())
  end))

  it("knows what was agreed on by ALPN", async(function()
    local certificate, key = certificates.of("server")
    local serving, calling = ends.factory(ends.Recorder), ends.factory(ends.Recorder)
    local port = reactor:listenSSL(0, serving, ssl.CertificateOptions {
      certificateFile = certificate, privateKeyFile = key, acceptableProtocols = { "h2", "http/1.1" },
    }, { interface = "127.0.0.1" })
    local root = ssl.trustRootFromFile((certificates.of("authority")))
    reactor:connectSSL("127.0.0.1", port:getHost().port, calling, ssl.optionsForClientTLS("localhost", {
      trustRoot = root, acceptableProtocols = { "http/1.1", "h2" },
    }))
    local server, client = await(serving:protocolMade(1)), await(calling:protocolMade(1))
    assert.is_nil(client.transport.negotiatedProtocol)
    local function secured(recorder) return recorder.secured end
    await(server:when(secured))
    await(client:when(secured))
    assert.equal("h2", client.transport.negotiatedProtocol)
    assert.equal("h2", server.transport.negotiatedProtocol)
    ends.finish(server, client)
    await(port:stopListening())
  end))
end)

describe("TLS", function()
  it("talks to openssl s_client", async(function()
    local factory = ends.factory(ends.recorder { dataReceived = function(self, data)
      self.transport:write(data:upper())
      self.transport:loseConnection()
    end })
    local port = ends.kinds.TLS.listen(factory)
    local child = ends.child(("echo hello | openssl s_client -quiet -verify_return_error -CAfile %s"
      .. " -servername localhost -connect 127.0.0.1:%d"):format((certificates.of("authority")), port:getHost().port))
    local server = await(factory:protocolMade(1))
    ends.isExactly(server:awaitLost(), "ConnectionDone")
    assert.matches("HELLO", child:read("a"))
    child:close()
    await(port:stopListening())
  end))

  it("moves much in both directions at once", ends.joined("TLS", nil, nil, function(server, client)
    local much = ("0123456789abcdef"):rep(1000000)
    server.transport:write(much)
    client.transport:writeSequence { much:sub(1, 8000000), much:sub(8000001) }
    await(server:whenReceived(#much))
    await(client:whenReceived(#much))
    assert.equal(much, server:data())
    assert.equal(much, client:data())
  end))

  it("does not grow with the number of handshakes #big", async(function()
    local factory = ends.factory(ends.Recorder)
    local port = ends.kinds.TLS.listen(factory)
    local context = ends.trust()
    local function resident()
      local file <close> = assert(io.open("/proc/self/statm"))
      return select(2, file:read("n", "n")) * 4096
    end
    local function shake(count)
      for _ = 1, count do
        local calling = ends.factory(ends.Recorder)
        reactor:connectSSL("127.0.0.1", port:getHost().port, calling, context)
        local client = await(calling:protocolMade(1))
        await(client:when(function() return client.secured end))
        client.transport:loseConnection()
        client:awaitLost()
        factory.made[1]:awaitLost()
        factory.made = {}
      end
      collectgarbage()
      collectgarbage()
    end
    shake(500)
    local before = resident()
    shake(2000)
    assert.is_true(resident() - before < 4 * 1024 * 1024, "grew by " .. resident() - before)
    await(port:stopListening())
  end, { timeout = 100 }))
end)
