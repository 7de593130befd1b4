local await             = require("twistlua.defer").await
local async             = require("twistlua.test.async").async
local errors            = require "twistlua.error"
local reactor           = require "twistlua.reactor"
local ssl               = require "twistlua.ssl"
local certificates      = require "system.tls.certificates"
local ends              = require "system.streams.pairs"

-- A server that answers whatever it gets, with that certificate; its port's number.
local function serve(which, given, class)
  local factory = ends.factory(class or ends.recorder {
    dataReceived = function(self, data)
      ends.Recorder.dataReceived(self, data)
      self.transport:write("answer")
    end,
  })
  given = given or {}
  given.interface = "127.0.0.1"
  local port = reactor:listenSSL(0, factory, ends.identity(which), given)
  return factory, port:getHost().port, port
end

-- A connection on which both sides have talked; `check()` has them do so again.
local function bystander(factory, number)
  local calling = ends.factory(ends.Recorder)
  reactor:connectSSL("127.0.0.1", number, calling, ends.trust())
  local client = await(calling:protocolMade(1))
  client.transport:write("?")
  await(client:whenReceived(6))
  local server = factory.made[1]
  return function()
    local before = client.length
    client.transport:write("?")
    await(client:whenReceived(before + 6))
    ends.finish(client, server)
  end
end

describe("a TLS server", function()
  it("outlives a client that speaks no TLS", async(function()
    local factory, number, port = serve()
    local check = bystander(factory, number)
    local raw = ends.rawTo(number)
    raw:send("GET / HTTP/1.0\r\n\r\n")
    local server = await(factory:protocolMade(2))
    ends.isExactly(server:awaitLost(), "SSLError")
    assert.equal("An SSL error occurred: http request.", server.reason.value.message)
    assert.equal("ETLS", server.reason.value.code)
    assert.equal("", server:data())
    raw:close()
    check()
    await(port:stopListening())
  end))

  it("outlives a client that sends noise", async(function()
    local factory, number, port = serve()
    local check = bystander(factory, number)
    for index, noise in ipairs { "\0\0\0\0\0\0\0\0", ("\255"):rep(100000), "\22\3\1\255\255" .. ("\0"):rep(70000) } do
      local raw = ends.rawTo(number)
      raw:send(noise)
      local server = await(factory:protocolMade(index + 1))
      ends.is(server:awaitLost(), "SSLError")
      raw:close()
    end
    check()
    await(port:stopListening())
  end))

  it("gives up on a client that says nothing", async(function()
    local factory, number, port = serve("server", { handshakeTimeout = 0.05 })
    local check = bystander(factory, number)
    local raw = ends.rawTo(number)
    local server = await(factory:protocolMade(2))
    ends.isExactly(server:awaitLost(), "SSLError")
    assert.matches("handshake took too long", server.reason.value.message)
    raw:close()
    check()
    await(port:stopListening())
  end))

  it("outlives a client that leaves in the handshake", async(function()
    local factory, number, port = serve()
    local check = bystander(factory, number)
    local raw = ends.rawTo(number)
    raw:send("\22\3\1\2\0\1\0")
    local server = await(factory:protocolMade(2))
    raw:close()
    ends.is(server:awaitLost(), "ConnectionLost")
    assert.matches("ended the connection during the TLS handshake", server.reason.value.message)
    check()
    await(port:stopListening())
  end))

  it("tells an end without a close_notify from one with it", async(function()
    local factory, number, port = serve()
    local script = [[
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
for clean in (False, True):
    raw = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    tls = context.wrap_socket(raw, server_hostname="localhost")
    tls.sendall(b"hello")
    tls.recv(100)
    if clean:
        tls.unwrap()
    tls.close()
]]
    local child = ends.python(script, (certificates.of("authority")), tostring(number))
    local first = await(factory:protocolMade(1))
    ends.isExactly(first:awaitLost(), "ConnectionLost")
    assert.matches("without a TLS close_notify", first.reason.value.message)
    assert.equal("ETRUNCATED", first.reason.value.code)
    local second = await(factory:protocolMade(2))
    ends.isExactly(second:awaitLost(), "ConnectionDone")
    assert.equal("hello", second:data())
    assert.equal("", child:read("a"))
    child:close()
    await(port:stopListening())
  end))

  it("does not renegotiate", async(function()
    local factory, number, port = serve()
    local child = ends.child(("(sleep 0.3; echo R; sleep 0.5) | openssl s_client -tls1_2 -connect 127.0.0.1:%d 2>&1")
      :format(number))
    local server = await(factory:protocolMade(1))
    await(server:whenNoted("lost"))
    local output = child:read("a")
    assert.matches("RENEGOTIATING", output)
    assert.matches("no renegotiation", output)
    assert.equal("", server:data())
    child:close()
    await(port:stopListening())
  end))

  it("is not stopped by a certificate that clients refuse", async(function()
    for _, which in ipairs { "expired", "wronghost", "selfsigned" } do
      local factory, number, port = serve(which)
      local calling = ends.factory(ends.recorder { connectionMade = function(self)
        self.transport:write("secret")
        self:note("made")
      end })
      reactor:connectSSL("127.0.0.1", number, calling, ends.trust())
      local client = await(calling:protocolMade(1))
      assert.is_true(client.transport.TLS)
      ends.isExactly(client:awaitLost(), "SSLError")
      assert.is_nil(client.secured)
      local server = await(factory:protocolMade(1))
      ends.is(server:awaitLost(), "SSLError")
      assert.matches("alert", server.reason.value.message)
      -- Not a byte of the client's arrived.
      assert.equal("", server:data())
      assert.same({ "made", "lost" }, server.events)
      await(port:stopListening())
    end
  end))

  it("is not stopped by a client that takes no part of a long answer", async(function()
    local factory, number, port = serve("server", nil, ends.recorder {
      handshakeCompleted = function(self) self.transport:write(("x"):rep(20000000)) end,
    })
    local calling = ends.factory(ends.recorder { handshakeCompleted = function(self)
      self.transport:pauseProducing()
      self:note("secured")
    end })
    reactor:connectSSL("127.0.0.1", number, calling, ends.trust())
    local client = await(calling:protocolMade(1))
    await(client:whenNoted("secured"))
    client.transport:abortConnection()
    client:awaitLost()
    local server = await(factory:protocolMade(1))
    ends.is(server:awaitLost(), "ConnectionLost")
    await(port:stopListening())
  end))
end)

describe("a TLS client", function()
  it("refuses a server that speaks no TLS", async(function()
    local serving = ends.factory(ends.recorder { connectionMade = function(self)
      self:note("made")
      self.transport:write("220 hello\r\n")
    end })
    local port = ends.kinds.TCP.listen(serving)
    local calling = ends.factory(ends.Recorder)
    reactor:connectSSL("127.0.0.1", port:getHost().port, calling, ends.trust())
    await(serving:protocolMade(1))
    local client = await(calling:protocolMade(1))
    ends.isExactly(client:awaitLost(), "SSLError")
    assert.matches("wrong version number", client.reason.value.message)
    await(calling:whenNoted("lost"))
    serving.made[1]:awaitLost()
    await(port:stopListening())
  end))

  it("gives up on a server that says nothing", async(function()
    local serving = ends.factory(ends.Recorder)
    local port = ends.kinds.TCP.listen(serving)
    local calling = ends.factory(ends.Recorder)
    reactor:connectSSL("127.0.0.1", port:getHost().port, calling, ends.trust(), { handshakeTimeout = 0.05 })
    local client = await(calling:protocolMade(1))
    ends.isExactly(client:awaitLost(), "SSLError")
    serving.made[1]:awaitLost()
    await(port:stopListening())
  end))

  it("is told when the server cuts the connection short", async(function()
    local certificate, key = certificates.of("server")
    local script = [[
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
for clean in (False, True):
    tls = context.wrap_socket(listener.accept()[0], server_side=True)
    tls.recv(100)
    tls.sendall(b"half of it")
    if clean:
        tls.unwrap()
    tls.close()
]]
    local child = ends.python(script, certificate, key)
    local number = child:read("n")
    for _, outcome in ipairs { "ConnectionLost", "ConnectionDone" } do
      local calling = ends.factory(ends.Recorder)
      reactor:connectSSL("127.0.0.1", number, calling, ends.trust())
      local client = await(calling:protocolMade(1))
      client.transport:write("hello")
      ends.isExactly(client:awaitLost(), outcome)
      assert.equal("half of it", client:data())
    end
    child:close()
  end))

  it("hears of a context of no use before anything is tried", function()
    local factory = ends.factory(ends.Recorder)
    local ok, err = pcall(reactor.listenSSL, reactor, 0, factory, ends.trust())
    assert.is_false(ok)
    assert.is_true(err:is(errors.SSLError))
    assert.matches("needs a certificate", err.message)
    for _, nonsense in ipairs { "no", {}, 1 } do
      ok, err = pcall(reactor.connectSSL, reactor, "127.0.0.1", 1, factory, nonsense)
      assert.is_false(ok)
      assert.matches("connectSSL: a context factory .* expected", tostring(err))
      assert.matches("faults_spec.lua:%d+:", tostring(select(2, pcall(function()
        reactor:connectSSL("127.0.0.1", 1, factory, nonsense)
      end))))
    end
    assert.has_error(function()
      reactor:listenSSL(0, factory, ends.identity(), { handshakeTimeout = -1 })
    end)
    assert.has_error(function()
      reactor:listenSSL(0, factory, ends.identity(), { mode = 1 })
    end)
    assert.has_error(function() reactor:connectSSL("127.0.0.1", 70000, factory, ssl.CertificateOptions()) end)
  end)
end)
