local await        = require("twistlua.defer").await
local async        = require("twistlua.test.async").async
local address      = require "twistlua.address"
local certificates = require "system.tls.certificates"
local child        = require "system.child"
local endpoints    = require "twistlua.endpoints"
local haproxy      = require "twistlua.protocols.haproxy"
local reactor      = require "twistlua.reactor"
local ssl          = require "twistlua.ssl"
local ends         = require "system.streams.pairs"

local quote = endpoints.quoteStringArgument

-- "$server" in a string is that certificate, "$server.key" its key, "$PORT" the number.
local function fill(text, port)
  text = text:gsub("%$(%l+)(%.?k?e?y?)", function(name, key)
    local certificate, keyFile = certificates.of(name)
    return quote(key == ".key" and keyFile or certificate)
  end)
  return (text:gsub("%$PORT", port and tostring(port:getHost().port) or ""))
end

local function listen(text, factory)
  return await(endpoints.serverFromString(reactor, fill(text)):listen(factory))
end

local function connect(text, port, factory)
  return await(endpoints.clientFromString(reactor, fill(text, port)):connect(factory or ends.factory(ends.Recorder)))
end

local SERVER = "tls:0:127.0.0.1:certificate=$server:privateKey=$server.key"

-- Each side hears the other.
local function talk(client, server)
  client.transport:write("question")
  await(server:whenReceived(8))
  server.transport:write("answer")
  await(client:whenReceived(6))
  assert.is_true(client.transport.TLS and server.transport.TLS)
end

describe("the strings tls: and ssl:", function()
  for _, case in ipairs {
    { SERVER, "tls:localhost:$PORT:trustRoots=$authority" },
    { SERVER, "tls:127.0.0.1:$PORT:trustRoots=$authority" },
    { SERVER, "ssl:127.0.0.1:$PORT:hostname=localhost:caCertsDir=$authority" },
    { SERVER, "ssl:127.0.0.1:$PORT:insecurelySkipVerification=1" },
    { SERVER, "tls:elsewhere.example:$PORT:insecurelySkipVerification=1:endpoint=tcp\\:127.0.0.1\\:$PORT" },
    { "ssl:0:privateKey=$server.key:certKey=$server:interface=127.0.0.1", "tls:localhost:$PORT:trustRoots=$authority" },
    { SERVER .. ":trustRoots=$authority",
      "tls:localhost:$PORT:trustRoots=$authority:certificate=$client:privateKey=$client.key" },
    { SERVER .. ":trustRoots=$authority",
      "ssl:127.0.0.1:$PORT:caCertsDir=$authority:certKey=$client:privateKey=$client.key" },
  } do
    it(("connect %s and %s"):format(case[1], case[2]), async(function()
      local serving = ends.factory(ends.Recorder)
      local port = listen(case[1], serving)
      local client = connect(case[2], port)
      local server = await(serving:protocolMade(1))
      talk(client, server)
      assert.equal(case[1]:find("trustRoots") ~= nil, server.transport:getPeerCertificate() ~= nil)
      await(port:stopListening())
      client.transport:loseConnection()
      ends.isExactly(client:awaitLost(), "ConnectionDone")
      ends.isExactly(server:awaitLost(), "ConnectionDone")
    end))
  end

  for _, case in ipairs {
    { SERVER, "tls:127.0.0.1:$PORT", "a signer that nobody trusts" },
    { SERVER, "ssl:127.0.0.1:$PORT", "a signer that nobody trusts" },
    { SERVER, "ssl:127.0.0.1:$PORT:hostname=elsewhere.example:caCertsDir=$authority", "another host" },
    { "tls:0:127.0.0.1:certificate=$wronghost:privateKey=$wronghost.key", "tls:localhost:$PORT:trustRoots=$authority",
      "another host" },
    { "tls:0:127.0.0.1:certificate=$expired:privateKey=$expired.key", "tls:localhost:$PORT:trustRoots=$authority",
      "a time that is over" },
  } do
    it(("refuse the certificate of %s: %s"):format(case[3], case[2]), async(function()
      local serving = ends.factory(ends.Recorder)
      local port = listen(case[1], serving)
      local client = connect(case[2], port)
      ends.is(client:awaitLost(), "SSLError")
      ends.finish(await(serving:protocolMade(1)))
      await(port:stopListening())
    end))
  end

  it("refuse a client without the certificate that is demanded", async(function()
    local serving = ends.factory(ends.Recorder)
    local port = listen(SERVER .. ":trustRoots=$authority", serving)
    local client = connect("tls:localhost:$PORT:trustRoots=$authority", port)
    ends.is(await(serving:protocolMade(1)):awaitLost(), "SSLError")
    ends.finish(client)
    await(port:stopListening())
  end))

  it("serve openssl's client", function()
    local certificate, key = certificates.of("server")
    local code = [[
      local reactor, endpoints = require "twistlua.reactor", require "twistlua.endpoints"
      local protocol = require "twistlua.protocol"
      local Echo = protocol.Protocol:extend("Echo")
      function Echo:dataReceived(data)
        self.transport:write(data)
        self.transport:loseConnection()
      end
      endpoints.serverFromString(reactor, ...):listen(protocol.Factory.forProtocol(Echo)):addCallback(function(port)
        print(port:getHost().port)
        io.stdout:flush()
      end)
    ]]
    local process = child.start { child.program, "-e", code,
      ("tls:0:127.0.0.1:certificate=%s:privateKey=%s"):format(quote(certificate), quote(key)) }
    local port = process:line()
    local outcome = child.run({ "openssl", "s_client", "-quiet", "-verify_return_error",
      "-CAfile", (certificates.of("authority")), "-connect", "127.0.0.1:" .. port }, { stdin = "hello\n" })
    assert.equal(0, outcome.status)
    assert.equal("hello\n", outcome.stdout)
    process:signal "TERM"
    assert.equal("", process:finish().stderr)
  end)
end)

describe("wrapClientTLS", function()
  it("puts TLS on top of a UNIX socket", async(function()
    local serving, path = ends.factory(ends.recorder {
      connectionMade = function(self)
        self.transport:startTLS(ends.identity())
        self:note("made")
      end,
    }), ends.path()
    local port = reactor:listenUNIX(path, serving)
    local options = ssl.optionsForClientTLS("localhost", {
      trustRoot = ssl.trustRootFromFile((certificates.of("authority"))),
    })
    for index, endpoint in ipairs {
      endpoints.wrapClientTLS(options, endpoints.UNIXClientEndpoint(reactor, path)),
      endpoints.clientFromString(reactor,
        fill("tls:localhost:1:trustRoots=$authority:endpoint=") .. quote("unix:" .. quote(path))),
    } do
      local client = await(endpoint:connect(ends.factory(ends.Recorder)))
      local server = await(serving:protocolMade(index))
      talk(client, server)
      ends.finish(client, server)
    end
    await(port:stopListening())
  end))
end)

describe("haproxy: in front of tls:", function()
  it("reads the header in clear and begins TLS behind it", async(function()
    local serving = ends.factory(ends.Recorder)
    local port = listen("haproxy:" .. SERVER, serving)
    local peer = address.IPv4Address("TCP", "192.0.2.7", 7)
    local options = ssl.optionsForClientTLS("localhost", {
      trustRoot = ssl.trustRootFromFile((certificates.of("authority"))),
    })
    local client = await(endpoints.clientFromString(reactor, fill("tcp:127.0.0.1:$PORT", port)):connect(
      ends.factory(ends.recorder {
        connectionMade = function(self)
          self.transport:write(haproxy.makeHeader(peer, peer))
          self.transport:startTLS(options)
        end,
      })))
    local server = await(serving:protocolMade(1))
    assert.equal(peer, server.transport:getPeer())
    talk(client, server)
    await(port:stopListening())
    ends.finish(client, server)
  end))
end)
