local endpoints = require "twistlua.endpoints"
local protocol  = require "twistlua.protocol"
local test      = require "twistlua.test"

-- A reactor that keeps what it is asked to secure.
local function newReactor()
  local reactor = test.MemoryReactor()
  reactor.sslServers, reactor.sslClients = {}, {}
  function reactor.listenSSL(_, port, factory, contextFactory, given)
    reactor.sslServers[1] = { port = port, factory = factory, context = contextFactory, options = given }
  end
  function reactor.connectSSL(_, host, port, factory, contextFactory, given)
    reactor.sslClients[1] = { host = host, port = port, factory = factory, context = contextFactory, options = given }
  end
  return reactor
end

local folder

local function path(name) return folder .. "/" .. name end

setup(function()
  folder = os.tmpname()
  os.remove(folder)
  assert(os.execute(([[mkdir %s && cd %s && exec 2>/dev/null &&
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
      -keyout key.pem -out cert.pem && cat cert.pem key.pem > both.pem && : > empty.pem && echo rubbish > bad.pem &&
    mkdir roots && cp cert.pem roots]]):format(folder, folder)))
end)

teardown(function() os.execute("rm -r " .. folder) end)

describe("the strings ssl: and tls:", function()
  local reactor, factory
  before_each(function()
    reactor, factory = newReactor(), protocol.Factory.forProtocol(protocol.Protocol)
  end)

  -- "$x" in a string is the file x.
  local function fill(text)
    return (text:gsub("%$([%w.]+)", path))
  end

  local function listened(text)
    endpoints.serverFromString(reactor, fill(text)):listen(factory)
    return reactor.sslServers[1]
  end

  it("make a server", function()
    for _, text in ipairs {
      "ssl:443:privateKey=$key.pem:certKey=$cert.pem:interface=127.0.0.1:backlog=5",
      "ssl:443:$both.pem:interface=127.0.0.1:backlog=5",
      "ssl:port=443:privateKey=$both.pem:extraCertChain=$cert.pem:sslmethod=TLSv1_2_METHOD:"
        .. "interface=127.0.0.1:backlog=5",
      "tls:443:127.0.0.1:5:certificate=$cert.pem:privateKey=$key.pem",
      "tls:443:127.0.0.1:5:$both.pem:extraCertChain=$cert.pem:trustRoots=$roots",
      "tls:443:127.0.0.1:5:$both.pem:trustRoots=$cert.pem",
    } do
      local entry = listened(text)
      assert.equal(443, entry.port)
      assert.equal(factory, entry.factory)
      assert.same({ interface = "127.0.0.1", backlog = 5 }, entry.options)
      assert.is_not_nil(entry.context:getContext())
    end
  end)

  it("make a client that verifies the host", function()
    endpoints.clientFromString(reactor, "ssl:example.com:443:timeout=3"):connect(factory)
    local entry = reactor.sslClients[1]
    assert.equal("example.com", entry.host)
    assert.equal(443, entry.port)
    assert.same({ timeout = 3 }, entry.options)
    assert.equal("example.com", entry.context.hostname)
    endpoints.clientFromString(reactor,
      fill "ssl:192.0.2.1:443:hostname=example.com:caCertsDir=$roots:privateKey=$both.pem"):connect(factory)
    assert.equal("example.com", reactor.sslClients[1].context.hostname)
  end)

  it("put TLS on top of what tcp: would connect, or of another endpoint", function()
    for _, text in ipairs {
      "tls:192.0.2.1:443:timeout=3:bindAddress=127.0.0.1:certificate=$cert.pem:privateKey=$key.pem:trustRoots=$roots",
      "tls:example.com:443:endpoint=tcp\\:192.0.2.1\\:443\\:timeout=3\\:bindAddress=127.0.0.1:trustRoots=$cert.pem",
    } do
      endpoints.clientFromString(reactor, fill(text)):connect(factory)
      local entry = table.remove(reactor.tcpClients)
      assert.equal("192.0.2.1", entry.host)
      assert.equal(443, entry.port)
      assert.equal(3, entry.timeout)
      assert.equal("127.0.0.1", entry.bindAddress)
    end
    endpoints.clientFromString(reactor, "tls:example.com:443"):connect(factory):addErrback(function() end)
    assert.equal("example.com", reactor.lookups[1].name)
    reactor:advance(30)
  end)

  it("say what is wrong, and where", function()
    for text, message in pairs {
      ["ssl:443:privateKey=$nosuch.pem"]                   = "nosuch%.pem.*, at position 9$",
      ["ssl:443:$both.pem:extraCertChain=$empty.pem"]      = "empty%.pem",
      ["ssl:443:$bad.pem"]                                 = "bad%.pem.*, at position 9$",
      ["ssl:443:$cert.pem"]                                = "cert%.pem.*, at position 9$",
      ["ssl:443:$both.pem:dhParameters=$bad.pem"]          = "bad%.pem",
      ["ssl:443:$both.pem:sslmethod=SSLv3_METHOD"]         =
        "argument 'sslmethod' must be TLS_METHOD, TLSv1_2_METHOD or TLSv1_3_METHOD, not 'SSLv3_METHOD'",
      ["ssl:"]                                             = "argument 'port' must be a port",
      ["ssl:443:crtKey=x"]                                 = "unknown argument 'crtKey'",
      ["tls:443"]                                          = "argument 'certificate' is missing",
      ["tls:443:certificate=$both.pem:trustRoots=$nosuch"] = "nosuch.*, at position",
    } do
      local ok, raised = pcall(function() endpoints.serverFromString(reactor, fill(text)) end)
      assert.is_false(ok, text)
      assert.matches("endpoints_ssl_spec.lua:%d+: serverFromString: '", raised)
      assert.matches(message, raised)
    end
    for text, message in pairs {
      ["tls:example.com"]                                = "argument 'port' is missing",
      ["tls:example.com:99999"]                          = "argument 'port' must be a port",
      ["tls:example.com:443:trustRoots=$bad.pem"]        = "bad%.pem.*, at position 21$",
      ["tls:example.com:443:certificate=$cert.pem:privateKey=$nosuch.pem"] = "nosuch%.pem",
      ["tls:example.com:443:endpoint=xyz\\:1"]           = "clientFromString: 'xyz:1': unknown type 'xyz'",
      ["tls:example.com:443:verify=0"]                   = "unknown argument 'verify'",
      ["ssl:example.com:443:insecurelySkipVerification=yes"] = "must be 0 or 1, not 'yes'",
      ["tls:exämple.com:443"]                            = "the host name must be an IP address or a name in ASCII",
    } do
      local ok, raised = pcall(function() endpoints.clientFromString(reactor, fill(text)) end)
      assert.is_false(ok, text)
      assert.matches("endpoints_ssl_spec.lua:%d+: clientFromString: '", raised)
      assert.matches(message, raised)
    end
  end)
end)

describe("wrapClientTLS", function()
  it("starts TLS before the protocol begins", function()
    local reactor, events = test.MemoryReactor(), {}
    local Peer = protocol.Protocol:extend("Peer")
    function Peer:connectionMade() events[#events + 1] = "made" end
    local context = {}
    local endpoint = endpoints.wrapClientTLS(context, endpoints.TCP4ClientEndpoint(reactor, "192.0.2.1", 443))
    assert.equal("TLS over tcp:192.0.2.1:443", tostring(endpoint))
    local result
    endpoint:connect(protocol.Factory.forProtocol(Peer)):addCallback(function(made) result = made end)
    local transport = test.StringTransport()
    function transport:startTLS(given, options)
      assert.equal(context, given)
      assert.same({ isClient = true }, options)
      events[#events + 1] = "TLS"
    end
    local peer = reactor.tcpClients[1].factory:buildProtocol()
    peer:makeConnection(transport)
    assert.same({ "TLS", "made" }, events)
    assert.equal(peer, result)
    assert.is_nil(rawget(peer, "makeConnection"))
  end)

  it("fails where TLS cannot be", function()
    local reactor = test.MemoryReactor()
    endpoints.wrapClientTLS({}, endpoints.TCP4ClientEndpoint(reactor, "192.0.2.1", 443))
      :connect(protocol.Factory.forProtocol(protocol.Protocol))
    local peer = reactor.tcpClients[1].factory:buildProtocol()
    assert.error_matches(function() peer:makeConnection(test.StringTransport()) end, "the transport has no startTLS")
  end)
end)

describe("haproxy: around ssl:", function()
  it("reads the header in clear, then starts TLS with what came behind it", function()
    local reactor = newReactor()
    local text = ("haproxy:ssl:443:%s/both.pem:interface=127.0.0.1"):format(folder)
    endpoints.serverFromString(reactor, text):listen(protocol.Factory.forProtocol(test.AccumulatingProtocol))
    local entry = reactor.tcpServers[1]
    assert.equal(443, entry.port)
    assert.equal("127.0.0.1", entry.interface)
    local wrapper, transport, started = entry.factory:buildProtocol(), test.StringTransport(), nil
    function transport:startTLS(context, options)
      assert.is_not_nil(context:getContext())
      started = options
    end
    entry.factory.headerTimeout = nil
    wrapper:makeConnection(transport)
    wrapper:dataReceived("PROXY UNKNOWN\r\nhello")
    assert.same({ isClient = false, received = "hello" }, started)
    assert.equal("", wrapper.wrappedProtocol.data)
    wrapper:dataReceived("plain")
    assert.equal("plain", wrapper.wrappedProtocol.data)
  end)
end)
