local errors = require "twistlua.error"
local test   = require "twistlua.test"

describe("MemoryReactor", function()
  local reactor, order
  before_each(function()
    reactor, order = test.MemoryReactor(), {}
  end)
  local function note(name) order[#order + 1] = name end

  it("keeps what it was asked to listen to", function()
    local port = reactor:listenTCP(80, "factory", { backlog = 5, interface = "127.0.0.1" })
    local entry = reactor.tcpServers[1]
    assert.same({ 80, "factory", 5, "127.0.0.1" },
      { entry.port, entry.factory, entry.backlog, entry.interface })
    assert.equal("IPv4Address(type='TCP', host='127.0.0.1', port=80)", tostring(port:getHost()))
    assert.is_true(port.listening)
    assert.is_nil(test.successResultOf(port:stopListening()))
    assert.is_false(port.listening)
    assert.equal("UNIXAddress('/x')", tostring(reactor:listenUNIX("/x", "factory"):getHost()))
  end)

  it("keeps what it was asked to connect to", function()
    local factory = {
      startedConnecting = function(_, connector) note(tostring(connector:getDestination())) end,
    }
    local connector = reactor:connectTCP("::1", 80, factory, { timeout = 5 })
    reactor:connectUNIX("/x", factory)
    assert.equal(5, reactor.tcpClients[1].timeout)
    assert.equal(connector, reactor.tcpClients[1].connector)
    assert.same({ "IPv6Address(type='TCP', host='::1', port=80)", "UNIXAddress('/x')" }, order)
    assert.is_false(connector.stoppedConnecting)
    connector:stopConnecting()
    assert.is_true(connector.stoppedConnecting)
    connector:connect()
    assert.equal(1, connector.connects)
    connector:disconnect()
    assert.equal("disconnected", connector.state)
    local ok, raised = pcall(connector.stopConnecting, connector)
    assert.is_false(ok)
    assert.is_true(raised:is(errors.NotConnectingError))
  end)

  it("refuses options that the real one does not know", function()
    assert.error_matches(function() reactor:listenTCP(80, {}, { backlgo = 5 }) end,
      "unknown option 'backlgo'")
    assert.error_matches(function() reactor:connectTCP("h", 80, {}, { timout = 5 }) end,
      "unknown option 'timout'")
  end)

  it("runs from delayed call to delayed call until it is stopped", function()
    reactor:callWhenRunning(note, "running")
    reactor:callLater(1000, function()
      note(reactor:seconds())
      reactor:callWhenRunning(note, "at once")
      reactor:stop()
    end)
    reactor:callLater(2000, note, "never")
    reactor:addSystemEventTrigger("after", "shutdown", note, "after")
    reactor:addSystemEventTrigger("before", "shutdown", note, "before")
    reactor:addSystemEventTrigger("before", "startup", note, "startup")
    reactor:run()
    assert.same({ "startup", "running", 1000, "at once", "before", "after" }, order)
    assert.is_true(reactor.hasRun)
    assert.is_true(reactor.hasStopped)
    assert.is_false(reactor.running)
  end)

  it("returns from run when nothing is left to do", function()
    reactor:callLater(1, note, "x")
    reactor:run()
    assert.same({ "x" }, order)
    assert.is_false(reactor.hasStopped)
  end)

  it("refuses to stop when it does not run, and a trigger of no phase", function()
    local ok, raised = pcall(reactor.stop, reactor)
    assert.is_false(ok)
    assert.is_true(raised:is(errors.ReactorNotRunning))
    assert.error_matches(function() reactor:addSystemEventTrigger("amid", "shutdown", note) end,
      "unknown phase amid")
  end)

  it("keeps ports for datagrams, and what was sent by them", function()
    local protocol = require "twistlua.protocol"
    local Echo = protocol.DatagramProtocol:extend("Echo")
    local events = {}
    Echo.noisy = false
    function Echo.startProtocol() events[#events + 1] = "start" end
    function Echo.stopProtocol() events[#events + 1] = "stop" end
    function Echo:datagramReceived(data, addr) self.transport:write(data, addr) end
    local echo = Echo()
    local port = reactor:listenUDP(53, echo, { interface = "127.0.0.1" })
    assert.equal(echo, reactor.udpPorts[1].protocol)
    assert.equal("127.0.0.1", reactor.udpPorts[1].interface)
    assert.equal("UDP", port:getHost().type)
    echo:datagramReceived("x", port:getHost())
    port:write("y", "127.0.0.1", 54)
    assert.equal("x", port.sent[1][1])
    assert.equal(port:getHost(), port.sent[1][2])
    assert.equal(54, port.sent[2][2].port)
    port:stopListening()
    port:stopListening()
    assert.same({ "start", "stop" }, events)
  end)
end)

describe("RaisingMemoryReactor", function()
  it("raises what it was made with", function()
    local listenError, connectError = errors.CannotListenError(), errors.ConnectError()
    local reactor = test.RaisingMemoryReactor(listenError, connectError)
    for method, raised in pairs {
      listenTCP = listenError, listenUNIX = listenError, listenUDP = listenError,
      connectTCP = connectError, connectUNIX = connectError,
    } do
      local ok, got = pcall(reactor[method], reactor)
      assert.is_false(ok)
      assert.equal(raised, got)
    end
  end)
end)
