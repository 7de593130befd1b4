local address   = require "twistlua.address"
local endpoints = require "twistlua.endpoints"
local errors    = require "twistlua.error"
local failures  = require "twistlua.failure"
local protocol  = require "twistlua.protocol"
local test      = require "twistlua.test"

local function outcomeOf(deferred)
  local outcome = {}
  deferred:addCallbacks(
    function(value) outcome.value = value end,
    function(failure) outcome.failure = failure end)
  return outcome
end

describe("serverFromString", function()
  local reactor, factory
  before_each(function()
    reactor = test.MemoryReactor()
    factory = protocol.Factory.forProtocol(protocol.Protocol)
  end)

  local function listened(text, list)
    endpoints.serverFromString(reactor, text):listen(factory)
    local entry = table.remove(reactor[list or "tcpServers"])
    entry.listener, entry.factory = nil, nil
    return entry
  end

  it("listens before listen returns", function()
    local outcome = outcomeOf(endpoints.serverFromString(reactor, "tcp:1025"):listen(factory))
    assert.equal(factory, reactor.tcpServers[1].factory)
    assert.equal(reactor.tcpServers[1].listener, outcome.value)
  end)

  it("reads tcp", function()
    assert.same({ port = 80, interface = "" }, listened("tcp:80"))
    local local80 = { port = 80, interface = "127.0.0.1", backlog = 5 }
    assert.same(local80, listened("tcp:80:interface=127.0.0.1:backlog=5"))
    assert.same(local80, listened("tcp:80:127.0.0.1:5"))
    assert.same({ port = 80, interface = "" }, listened("tcp:port=80"))
  end)

  it("reads tcp6", function()
    assert.same({ port = 80, interface = "::" }, listened("tcp6:80"))
    assert.same({ port = 80, interface = "::1" }, listened("tcp6:80:interface=\\:\\:1"))
  end)

  it("reads unix", function()
    assert.same({ path = "/tmp/x" }, listened("unix:/tmp/x", "unixServers"))
    assert.same({ path = "/tmp/x", mode = tonumber("660", 8), backlog = 5, wantPID = true },
      listened("unix:/tmp/x:mode=660:backlog=5:lockfile=1", "unixServers"))
  end)

  it("unescapes and splits a name at its first equals sign only", function()
    assert.same({ path = "/tmp/a:b\\c" }, listened("unix:/tmp/a\\:b\\\\c", "unixServers"))
    assert.same({ path = "/tmp/a=b=c" }, listened("unix:address=/tmp/a=b=c", "unixServers"))
    assert.same({ path = "/tmp/a=b" }, listened("unix:/tmp/a\\=b", "unixServers"))
  end)

  it("shows the string and the place of an error", function()
    for text, message in pairs {
      ["xyz:1"]            = "unknown type 'xyz' %(known: .*tcp, tcp6, tls, unix%), at position 1$",
      ["tcp"]              = "an endpoint begins with its type and a colon, such as 'tcp:', at position 4$",
      [""]                 = "an endpoint begins with its type and a colon, such as 'tcp:', at position 1$",
      ["tcp:"]             = "argument 'port' must be a port between 0 and 65535, not '', at position 5$",
      ["tcp:http"]         = "argument 'port' must be a port between 0 and 65535, not 'http', at position 5$",
      ["tcp:65536"]        = "argument 'port' must be a port .*, not '65536', at position 5$",
      ["tcp:-1"]           = "argument 'port' must be a port",
      ["tcp:interface=x"]  = "argument 'port' is missing, at position 16$",
      ["tcp:80:backlog=x"] = "argument 'backlog' must be a whole number, not 'x', at position 8$",
      ["tcp:80:bcklog=1"]  = "unknown argument 'bcklog' %(known: port, interface, backlog%), at position 8$",
      ["tcp:80:port=81"]   = "argument 'port' is given twice, at position 8$",
      ["tcp:80:a:1:b"]     = "'tcp:' takes no more than 3 arguments, at position 12$",
      ["unix:/x:mode=888"] = "argument 'mode' must be a mode in octal, such as 660, not '888'",
      ["unix:/x:lockfile=y"] = "argument 'lockfile' must be 0 or 1, not 'y'",
    } do
      local ok, raised = pcall(function() endpoints.serverFromString(reactor, text) end)
      assert.is_false(ok, text)
      local quoted = text:gsub("%p", "%%%0")
      assert.matches("endpoints_spec.lua:%d+: serverFromString: '" .. quoted .. "': ", raised)
      assert.matches(message, raised)
    end
    assert.error_matches(function() endpoints.serverFromString(reactor, 80) end,
      "expected a string, got number")
  end)

  it("takes what stands behind haproxy: for another server's string", function()
    local endpoint = endpoints.serverFromString(reactor, "haproxy:tcp:80:interface=127.0.0.1")
    endpoint:listen(factory)
    assert.equal(80, reactor.tcpServers[1].port)
    assert.equal("127.0.0.1", reactor.tcpServers[1].interface)
    assert.equal(factory, reactor.tcpServers[1].factory.wrappedFactory)
    for text, message in pairs {
      ["haproxy:"]       = "serverFromString: '': an endpoint begins with its type",
      ["haproxy:xyz:1"]  = "serverFromString: 'xyz:1': unknown type 'xyz'",
      ["haproxy:tcp:no"] = "serverFromString: 'tcp:no': argument 'port' must be a port",
    } do
      local ok, raised = pcall(function() endpoints.serverFromString(reactor, text) end)
      assert.is_false(ok)
      assert.matches("endpoints_spec.lua:%d+: " .. message, raised)
    end
  end)

  it("wants nothing behind stdio:", function()
    assert.error_matches(function() endpoints.serverFromString(reactor, "stdio:x") end,
      "'stdio:' takes no more than 0 arguments, at position 7")
    assert.error_matches(function() endpoints.serverFromString(reactor, "stdio:x=1") end, "unknown argument 'x'")
  end)

  it("fails with what listening raises", function()
    reactor = test.RaisingMemoryReactor()
    local outcome = outcomeOf(endpoints.serverFromString(reactor, "tcp:80"):listen(factory))
    assert.is_not_nil(outcome.failure:check(errors.CannotListenError))
  end)

  it("knows the prefixes that others have registered", function()
    endpoints.registerServerPrefix("spec", function(given, description)
      return { given, description.rest, description:read { { "word", function(text) return text end } }.word }
    end)
    assert.same({ reactor, "a\\:b", "a:b" }, endpoints.serverFromString(reactor, "spec:a\\:b"))
    assert.error_matches(function() endpoints.registerServerPrefix("spec") end,
      "expected a function, got nil")
    assert.error_matches(function() endpoints.registerClientPrefix("", print) end, "expected a prefix")
    assert.error_matches(function() endpoints.serverFromString(reactor, "nil:") end, "known: .*, spec, ")
  end)

  it("knows the prefixes of modules twistlua_endpoints.PREFIX", function()
    local folder, path = os.tmpname(), package.path
    os.remove(folder)
    assert(os.execute("mkdir -p " .. folder .. "/twistlua_endpoints"))
    local function module(name, code)
      local file <close> = assert(io.open(("%s/twistlua_endpoints/%s.lua"):format(folder, name), "w"))
      file:write(code)
    end
    module("plugged", "return { server = function(_, described) return described.rest end }")
    module("broken", "error 'oops'")
    package.path = folder .. "/?.lua;" .. path
    assert.equal("it", endpoints.serverFromString(reactor, "plugged:it"))
    assert.error_matches(function() endpoints.clientFromString(reactor, "plugged:it") end, "unknown type 'plugged'")
    assert.error_matches(function() endpoints.serverFromString(reactor, "broken:it") end, "oops")
    assert.error_matches(function() endpoints.serverFromString(reactor, "../x:it") end, "unknown type '../x'", 1, true)
    package.path = path
    os.execute("rm -r " .. folder)
  end)
end)

describe("clientFromString", function()
  local reactor, factory
  before_each(function()
    reactor = test.MemoryReactor()
    factory = protocol.Factory.forProtocol(protocol.Protocol)
  end)

  local function connected(text, list)
    endpoints.clientFromString(reactor, text):connect(factory)
    local entry = table.remove(reactor[list or "tcpClients"])
    entry.connector, entry.factory = nil, nil
    return entry
  end

  it("reads tcp", function()
    local plain = { host = "192.0.2.1", port = 80 }
    assert.same(plain, connected("tcp:192.0.2.1:80"))
    assert.same(plain, connected("tcp:host=192.0.2.1:port=80"))
    assert.same({ host = "192.0.2.1", port = "http", timeout = 2.5, bindAddress = "127.0.0.1" },
      connected("tcp:192.0.2.1:http:timeout=2.5:bindAddress=127.0.0.1"))
    assert.same({ host = "::1", port = 80 }, connected("tcp:\\:\\:1:80"))
    assert.same({ host = "::1", port = 80 }, connected("tcp6:\\:\\:1:80"))
  end)

  it("connects to a name by any of its addresses", function()
    local endpoint = endpoints.clientFromString(reactor, "tcp:example.com:80:timeout=2.5:bindAddress=127.0.0.1")
    assert.is_true(endpoint:is(endpoints.HostnameEndpoint))
    endpoint:connect(factory):addErrback(function() end)
    assert.equal("example.com", reactor.lookups[1].name)
    assert.same({ address.IPv4Address }, reactor.lookups[1].types)
    reactor:advance(2.5)
    assert.is_true(reactor.lookups[1].cancelled)
    endpoints.clientFromString(reactor, "tcp6:example.com:80"):connect(factory):addErrback(function() end)
    assert.same({ address.IPv6Address }, reactor.lookups[2].types)
    reactor:advance(30)
  end)

  it("reads unix", function()
    assert.same({ path = "/tmp/x", timeout = 9, checkPID = true },
      connected("unix:/tmp/x:timeout=9:lockfile=1", "unixClients"))
  end)

  it("shows the string and the place of an error", function()
    assert.error_matches(function() endpoints.clientFromString(reactor, "tcp:h") end,
      "clientFromString: 'tcp:h': argument 'port' is missing, at position 6")
    assert.error_matches(function() endpoints.clientFromString(reactor, "tcp:h:99999") end,
      "argument 'port' must be a port between 0 and 65535")
    assert.error_matches(function() endpoints.clientFromString(reactor, "unix:timeout=1") end,
      "argument 'path' is missing, at position 15")
    assert.error_matches(function() endpoints.clientFromString(reactor, "tcp:h:1:timeout=x") end,
      "argument 'timeout' must be a number of seconds, not 'x', at position 9")
  end)
end)

describe("ClientEndpoint", function()
  local reactor, outcome, deferred, entry
  local Peer = protocol.Protocol:extend("Peer")

  local function connect(factory)
    reactor = test.MemoryReactor()
    deferred = endpoints.TCP4ClientEndpoint(reactor, "10.0.0.1", 80):connect(factory)
    outcome = outcomeOf(deferred)
    entry = reactor.tcpClients[1]
  end

  it("fires with the protocol itself, once connectionMade has run", function()
    local made
    local Greeter = Peer:extend("Greeter")
    function Greeter:connectionMade() made = outcome.value == nil end
    connect(protocol.Factory.forProtocol(Greeter))
    local built = entry.factory:buildProtocol()
    assert.is_nil(outcome.value)
    built:makeConnection(test.StringTransport())
    assert.is_true(made)
    assert.equal(built, outcome.value)
    assert.is_nil(rawget(built, "makeConnection"))
    assert.is_true(built.connected)
  end)

  it("starts and stops the factory that it was given", function()
    local factory = protocol.Factory.forProtocol(Peer)
    connect(factory)
    entry.factory:doStart()
    assert.equal(1, factory.numPorts)
    entry.factory:doStop()
    assert.equal(0, factory.numPorts)
  end)

  it("fails with the connector's reason", function()
    connect(protocol.Factory.forProtocol(Peer))
    local reason = failures.Failure(errors.ConnectionRefusedError())
    entry.factory:clientConnectionFailed(entry.connector, reason)
    assert.is_not_nil(outcome.failure:check(errors.ConnectionRefusedError))
  end)

  it("fails with NoProtocol when the factory builds none", function()
    local factory = protocol.Factory()
    function factory:buildProtocol() end
    connect(factory)
    assert.is_nil(entry.factory:buildProtocol())
    assert.is_not_nil(outcome.failure:check(errors.NoProtocol))
  end)

  it("fails with what buildProtocol raises", function()
    connect(protocol.Factory.forProtocol(function() error(errors.UserError()) end))
    assert.is_nil(entry.factory:buildProtocol())
    assert.is_not_nil(outcome.failure:check(errors.UserError))
  end)

  it("fails when connectionMade has raised and the connection is gone", function()
    local Broken = Peer:extend("Broken")
    function Broken:connectionMade() error("oops") end
    connect(protocol.Factory.forProtocol(Broken))
    pcall(function() entry.factory:buildProtocol():makeConnection(test.StringTransport()) end)
    entry.factory:clientConnectionLost(entry.connector, failures.Failure(errors.ConnectionLost()))
    assert.is_not_nil(outcome.failure:check(errors.ConnectionLost))
  end)

  it("fails with what connecting raises", function()
    local endpoint = endpoints.UNIXClientEndpoint(test.RaisingMemoryReactor(), "/tmp/x")
    outcome = outcomeOf(endpoint:connect(protocol.Factory.forProtocol(Peer)))
    assert.is_not_nil(outcome.failure:check(errors.ConnectError))
  end)

  it("ends the attempt when cancelled", function()
    connect(protocol.Factory.forProtocol(Peer))
    deferred:cancel()
    assert.is_true(entry.connector.stoppedConnecting)
    assert.is_not_nil(outcome.failure:check(errors.ConnectingCancelledError))
    assert.matches("host='10.0.0.1', port=80", outcome.failure.value.message)
    entry.factory:clientConnectionFailed(entry.connector, failures.Failure(errors.UserError()))
  end)

  it("refuses options that it does not know", function()
    local ok, raised = pcall(function() endpoints.TCP4ClientEndpoint(reactor, "h", 1, { timout = 3 }) end)
    assert.is_false(ok)
    assert.matches("endpoints_spec.lua:%d+: TCP4ClientEndpoint: unknown option 'timout'", raised)
  end)
end)

describe("quoteStringArgument", function()
  it("makes one argument of any text", function()
    local reactor, factory = test.MemoryReactor(), protocol.Factory.forProtocol(protocol.Protocol)
    for _, path in ipairs { "/a:b", "/a\\b", "a=b", "\\:=\\", "" } do
      for _, form in ipairs { "unix:%s", "unix:address=%s:mode=660" } do
        local text = form:format((endpoints.quoteStringArgument(path):gsub("%%", "%%%%")))
        endpoints.serverFromString(reactor, text):listen(factory)
        assert.equal(path, table.remove(reactor.unixServers).path)
      end
    end
  end)
end)

describe("an endpoint as a string", function()
  it("says what it is", function()
    local reactor = test.MemoryReactor()
    for _, text in ipairs { "tcp:80", "tcp6:80", "unix:/tmp/a\\:b" } do
      assert.equal(text, tostring(endpoints.serverFromString(reactor, text)))
    end
    for _, text in ipairs { "tcp:192.0.2.1:80", "tcp6:\\:\\:1:80", "unix:/tmp/x" } do
      assert.equal(text, tostring(endpoints.clientFromString(reactor, text)))
    end
  end)

  it("is of a class that endpoints has, and nothing else is there", function()
    assert.equal("TCP4ServerEndpoint", endpoints.TCP4ServerEndpoint.__name)
    assert.equal("SSL4ClientEndpoint", endpoints.SSL4ClientEndpoint.__name)
    assert.equal("HostnameEndpoint", endpoints.HostnameEndpoint.__name)
    assert.is_nil(endpoints.TCP5ServerEndpoint)
  end)
end)

describe("connectProtocol", function()
  it("connects the protocol that it is given", function()
    local reactor, peer = test.MemoryReactor(), protocol.Protocol()
    local outcome = outcomeOf(endpoints.connectProtocol(endpoints.TCP4ClientEndpoint(reactor, "h", 1), peer))
    assert.equal(peer, reactor.tcpClients[1].factory:buildProtocol())
    peer:makeConnection(test.StringTransport())
    assert.equal(peer, outcome.value)
  end)
end)
