local address           = require "twistlua.address"
local async             = require("twistlua.test.async").async
local await             = require("twistlua.defer").await
local defer             = require "twistlua.defer"
local flushLoggedErrors = require("twistlua.test.async").flushLoggedErrors
local protocol          = require "twistlua.protocol"
local reactor           = require "twistlua.reactor"
local socket            = require "twistlua.socket"
local ends              = require "system.streams.pairs"

local function listen(class)
  return reactor:listenTCP(0, ends.factory(class or ends.Recorder), { interface = "127.0.0.1" })
end

local function refusedPort()
  local listening = assert(socket.listen("127.0.0.1", 0))
  local number = listening:getsockname().port
  listening:close()
  return number
end

local function finishAll(factory)
  for index = 1, #factory.made do ends.finish(await(factory:protocolMade(index))) end
end

describe("a connector", function()
  it("is connecting, connected, disconnected", async(function()
    local port, factory = listen(), ends.factory(ends.Recorder)
    local connector = ends.kinds.TCP.connect(port, factory)
    assert.equal("connecting", connector.state)
    local client = await(factory:protocolMade(1))
    assert.equal("connected", connector.state)
    assert.equal(client.transport, connector.transport)
    connector:disconnect()
    ends.isExactly(client:awaitLost(), "ConnectionDone")
    await(factory:whenNoted("lost"))
    assert.equal("disconnected", connector.state)
    assert.is_nil(connector.transport)
    connector:disconnect()
    await(port:stopListening())
    finishAll(port.factory)
  end))

  it("knows its destination", async(function()
    local port, factory = listen(), ends.factory(ends.Recorder)
    local connector = ends.kinds.TCP.connect(port, factory)
    assert.is_true(address.IPv4Address("TCP", "127.0.0.1", port:getHost().port) == connector:getDestination())
    assert.matches("connecting", tostring(connector))
    connector:stopConnecting()
    local six = reactor:connectTCP("::1", port:getHost().port, factory)
    assert.is_true(address.IPv6Address("TCP", "::1", port:getHost().port) == six:getDestination())
    six:stopConnecting()
    local unix = reactor:connectUNIX("/tmp/x", factory)
    assert.is_true(address.UNIXAddress("/tmp/x") == unix:getDestination())
    unix:stopConnecting()
    local named = reactor:connectTCP("localhost", port:getHost().port, factory)
    assert.equal("localhost", named:getDestination().host)
    named:stopConnecting()
    await(port:stopListening())
  end))

  it("fails with UserError when it is stopped", async(function()
    local port, factory = listen(), ends.factory(ends.Recorder)
    local connector = ends.kinds.TCP.connect(port, factory)
    connector:stopConnecting()
    ends.isExactly(factory.failed, "UserError")
    assert.equal("disconnected", connector.state)
    assert.equal(0, factory.numPorts)
    ends.turns(5)
    assert.same({ "failed" }, factory.events)
    assert.equal(0, #factory.made)
    await(port:stopListening())
    finishAll(port.factory)
  end))

  it("may be stopped inside startedConnecting (point 29)", async(function()
    local port, factory = listen(), ends.factory(ends.Recorder)
    function factory.startedConnecting(_, connector) connector:stopConnecting() end
    local connector = ends.kinds.TCP.connect(port, factory)
    ends.isExactly(factory.failed, "UserError")
    assert.equal("disconnected", connector.state)
    ends.turns(3)
    assert.same({ "failed" }, factory.events)
    await(port:stopListening())
    finishAll(port.factory)
  end))

  it("may be stopped while its host is looked up", async(function()
    local cancelled = 0
    local previous = reactor:installResolver {
      getHostByName = function() return defer.Deferred(function() cancelled = cancelled + 1 end) end,
    }
    local factory = ends.factory(ends.Recorder)
    local connector = reactor:connectTCP("a.name", 80, factory)
    ends.turns(2)
    connector:stopConnecting()
    reactor:installResolver(previous)
    ends.isExactly(factory.failed, "UserError")
    assert.equal(1, cancelled)
    ends.turns(2)
    assert.same({ "failed" }, factory.events)
  end))

  it("may begin again while a look-up that was stopped is still to be told", async(function()
    local port, factory = listen(), ends.factory(ends.Recorder)
    local function failOnce(self, connector, reason)
      self.failed = reason
      self.clientConnectionFailed = function() self:note("failed again") end
      connector:connect()
    end
    factory.clientConnectionFailed = failOnce
    local connector = reactor:connectTCP("localhost", port:getHost().port, factory)
    connector:stopConnecting()
    ends.isExactly(factory.failed, "UserError")
    ends.finish(await(factory:protocolMade(1)))
    ends.turns(2)
    assert.equal(1, #factory.made)
    assert.same({ "lost" }, factory.events)
    await(port:stopListening())
    finishAll(port.factory)
    assert.equal(1, #port.factory.made)
  end))

  it("fails with DNSLookupError when the resolver answers what is no address", async(function()
    for _, answer in ipairs { "nonsense", 12, false } do
      local previous = reactor:installResolver { getHostByName = function() return defer.succeed(answer) end }
      local factory = ends.factory(ends.Recorder)
      reactor:connectTCP("a.name", 80, factory)
      reactor:installResolver(previous)
      await(factory:whenNoted("failed"))
      ends.isExactly(factory.failed, "DNSLookupError")
    end
  end))

  it("asks the resolver that was installed", async(function()
    local port, factory = listen(), ends.factory(ends.Recorder)
    local looked = defer.Deferred()
    local previous = reactor:installResolver { getHostByName = function() return looked end }
    reactor:connectTCP("a.name", port:getHost().port, factory)
    ends.turns(2)
    looked:callback("127.0.0.1")
    reactor:installResolver(previous)
    ends.finish(await(factory:protocolMade(1)))
    await(port:stopListening())
    finishAll(port.factory)
  end))

  it("raises NotConnectingError when there is nothing to stop", async(function()
    local port, factory = listen(), ends.factory(ends.Recorder)
    local connector = ends.kinds.TCP.connect(port, factory)
    local client = await(factory:protocolMade(1))
    local ok, problem = pcall(connector.stopConnecting, connector)
    assert.is_false(ok)
    assert.equal("NotConnectingError", problem.__name)
    ends.finish(client)
    await(port:stopListening())
    finishAll(port.factory)
  end))

  it("raises for connect when it is connecting or connected", async(function()
    local port, factory = listen(), ends.factory(ends.Recorder)
    local connector = ends.kinds.TCP.connect(port, factory)
    local ok, problem = pcall(connector.connect, connector)
    assert.is_false(ok)
    assert.matches("the connector is connecting", problem)
    local client = await(factory:protocolMade(1))
    ok, problem = pcall(connector.connect, connector)
    assert.is_false(ok)
    assert.matches("the connector is connected", problem)
    assert.equal(1, factory.numPorts)
    ends.finish(client)
    await(port:stopListening())
    finishAll(port.factory)
  end))

  it("connects again from clientConnectionLost, without stopping its factory", async(function()
    local port, factory = listen(), ends.factory(ends.Recorder)
    local starts, stops = 0, 0
    function factory.startFactory() starts = starts + 1 end
    function factory.stopFactory()
      stops = stops + 1
      factory:wake()
    end
    function factory:clientConnectionLost(connector)
      if #self.made < 3 then connector:connect() end
    end
    ends.kinds.TCP.connect(port, factory)
    for index = 1, 3 do
      local server = await(port.factory:protocolMade(index))
      await(factory:protocolMade(index))
      assert.same({ 1, 0 }, { starts, stops })
      ends.finish(server)
    end
    await(factory:when(function() return stops > 0 end))
    assert.same({ 1, 1, 3 }, { starts, stops, #factory.made })
    await(port:stopListening())
  end))

  it("connects again from clientConnectionFailed", async(function()
    local number, factory = refusedPort(), ends.factory(ends.Recorder)
    local attempts = 0
    function factory:clientConnectionFailed(connector, reason)
      attempts = attempts + 1
      if attempts < 3 then return connector:connect() end
      self.failed = reason
      self:note("failed")
    end
    reactor:connectTCP("127.0.0.1", number, factory)
    await(factory:whenNoted("failed"))
    assert.equal(3, attempts)
    ends.turns(1)
    assert.equal(0, factory.numPorts)
  end))

  it("tells the protocol of the loss before the factory", async(function()
    local order = {}
    local port = listen()
    local factory = ends.factory(ends.recorder {
      connectionLost = function(self, reason)
        order[#order + 1] = { "protocol", reason }
        ends.Recorder.connectionLost(self, reason)
      end,
    })
    function factory:clientConnectionLost(connector, reason)
      order[#order + 1] = { "factory", reason, connector.state }
      self:note("lost")
    end
    ends.kinds.TCP.connect(port, factory)
    await(factory:protocolMade(1))
    local server = await(port.factory:protocolMade(1))
    server.transport:abortConnection()
    await(factory:whenNoted("lost"))
    assert.equal("protocol", order[1][1])
    assert.equal("factory", order[2][1])
    assert.equal("disconnected", order[2][3])
    assert.is_true(rawequal(order[1][2], order[2][2]))
    await(port:stopListening())
  end))

  it("closes the connection when the factory builds no protocol, and says that it is lost", async(function()
    local port, factory = listen(), ends.factory(ends.Recorder)
    function factory.buildProtocol() return nil end
    ends.kinds.TCP.connect(port, factory)
    await(factory:whenNoted("lost"))
    ends.isExactly(factory.lost, "ConnectionDone")
    assert.is_nil(factory.failed)
    await(port:stopListening())
    for _, server in ipairs(port.factory.made) do server:awaitLost() end
  end))

  it("fails with what buildProtocol raises", async(function()
    local port, factory = listen(), ends.factory(ends.Recorder)
    function factory.buildProtocol() error("nothing to build") end
    ends.kinds.TCP.connect(port, factory)
    await(factory:whenNoted("failed"))
    assert.matches("nothing to build", tostring(factory.failed.value))
    assert.equal(1, #flushLoggedErrors())
    ends.turns(1)
    assert.equal(0, factory.numPorts)
    await(port:stopListening())
    for _, server in ipairs(port.factory.made) do server:awaitLost() end
  end))

  for _, event in ipairs { "clientConnectionLost", "clientConnectionFailed" } do
    it(("stops the factory also when %s raises"):format(event), async(function()
      local port, factory = listen(), ends.factory(ends.Recorder)
      function factory:stopFactory() self:note("stopped") end
      factory[event] = function() error("trouble in " .. event) end
      if event == "clientConnectionLost" then
        ends.kinds.TCP.connect(port, factory)
        ends.finish(await(factory:protocolMade(1)))
      else
        reactor:connectTCP("127.0.0.1", refusedPort(), factory)
      end
      await(factory:whenNoted("stopped"))
      assert.equal(1, #flushLoggedErrors())
      await(port:stopListening())
      finishAll(port.factory)
    end))
  end

  for _, method in ipairs { "startFactory", "startedConnecting" } do
    it(("begins nothing when %s raises"):format(method), async(function()
      local port, factory = listen(), ends.factory(ends.Recorder)
      factory[method] = function() error("trouble in " .. method) end
      local ok, problem = pcall(ends.kinds.TCP.connect, port, factory)
      assert.is_false(ok)
      assert.matches("trouble in " .. method, tostring(problem))
      assert.equal(0, factory.numPorts)
      assert.is_nil(next(require("twistlua.reactor.network").connecting))
      ends.turns(3)
      assert.equal(0, #factory.made)
      await(port:stopListening())
      finishAll(port.factory)
    end))
  end
end)

describe("ClientCreator", function()
  it("gives the protocol, with its arguments, when it is connected", async(function()
    local port = listen()
    local Named = ends.recorder { init = function(self, name)
      ends.Recorder.init(self)
      self.name = name
    end }
    local creator = protocol.ClientCreator(reactor, Named, "Ada")
    local client = await(creator:connectTCP("127.0.0.1", port:getHost().port))
    assert.equal("Ada", client.name)
    assert.same({ "made" }, client.events)
    ends.finish(client)
    await(port:stopListening())
    finishAll(port.factory)
  end))

  it("connects to a UNIX socket", async(function()
    local port = ends.kinds.UNIX.listen(ends.factory(ends.Recorder))
    local creator = protocol.ClientCreator(reactor, ends.Recorder)
    local client = await(creator:connectUNIX(port:getHost().name))
    ends.finish(client)
    await(port:stopListening())
    finishAll(port.factory)
  end))

  it("fails with the reason", async(function()
    local creator = protocol.ClientCreator(reactor, ends.Recorder)
    local ok, problem = pcall(await, creator:connectTCP("127.0.0.1", refusedPort()))
    assert.is_false(ok)
    assert.equal("ConnectionRefusedError", problem.__name)
  end))

  it("is cancelled while it connects", async(function()
    local port = listen()
    local result = protocol.ClientCreator(reactor, ends.Recorder):connectTCP("127.0.0.1", port:getHost().port)
    result:cancel()
    local ok, problem = pcall(await, result)
    assert.is_false(ok)
    assert.equal("CancelledError", problem.__name)
    ends.turns(3)
    await(port:stopListening())
    finishAll(port.factory)
  end))

  it("is cancelled between the connection and its result", async(function()
    local port, result = listen(), nil
    local made = defer.Deferred()
    local Cancelling = ends.recorder {
      connectionMade = function(self)
        ends.Recorder.connectionMade(self)
        result:cancel()
        made:callback(self)
      end,
    }
    result = protocol.ClientCreator(reactor, Cancelling):connectTCP("127.0.0.1", port:getHost().port)
    local ok, problem = pcall(await, result)
    assert.is_false(ok)
    assert.equal("CancelledError", problem.__name)
    ends.isExactly(await(made):awaitLost(), "ConnectionDone")
    await(port:stopListening())
    for _, server in ipairs(port.factory.made) do server:awaitLost() end
  end))
end)
