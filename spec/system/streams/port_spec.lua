local async             = require("twistlua.test.async").async
local await             = require("twistlua.defer").await
local core              = require "twistlua.core"
local flushLoggedErrors = require("twistlua.test.async").flushLoggedErrors
local network           = require "twistlua.reactor.network"
local reactor           = require "twistlua.reactor"
local socket            = require "twistlua.socket"
local ends              = require "system.streams.pairs"

local LOCAL = { interface = "127.0.0.1" }

-- A factory that notes its start and stop.
local function noting()
  local factory = ends.factory(ends.Recorder)
  function factory:startFactory() self:note("start") end
  function factory:stopFactory() self:note("stop") end
  return factory
end

local function listen(factory) return reactor:listenTCP(0, factory or noting(), LOCAL) end

-- How a raw connection to `number` comes out: true, or the error's name.
local function connectOutcome(number)
  local raw, pending, name = socket.connect("127.0.0.1", number)
  if not raw then return name end
  if pending then await(ends.writable(raw)) end
  local ok, _, outcome = raw:outcome()
  raw:close()
  return ok or outcome
end

describe("a port", function()
  it("is closed when stopListening returns, and says so later", async(function()
    local port = listen()
    local number = port:getHost().port
    local stopped, fired = port:stopListening(), false
    stopped:addCallback(function() fired = true end)
    assert.is_false(fired)
    assert.is_false(port.connected)
    assert.equal("ECONNREFUSED", connectOutcome(number))
    await(stopped)
    assert.is_true(fired)
  end))

  it("leaves the connections that it accepted alone", async(function()
    local port, calling = listen(), ends.factory(ends.Recorder)
    ends.kinds.TCP.connect(port, calling)
    local client, server = await(calling:protocolMade(1)), await(port.factory:protocolMade(1))
    await(port:stopListening())
    client.transport:write("still here")
    await(server:whenReceived(10))
    ends.finish(client, server)
  end))

  it("can be stopped twice, and when it is stopped", async(function()
    local port = listen()
    local first, second = port:stopListening(), port:stopListening()
    await(first)
    await(second)
    await(port:stopListening())
    assert.same({ "start", "stop" }, port.factory.events)
  end))

  it("listens again after startListening", async(function()
    local port = listen()
    await(port:stopListening())
    assert.equal(port, port:startListening())
    assert.is_true(connectOutcome(port:getHost().port))
    await(port:stopListening())
    assert.same({ "start", "stop", "start", "stop" }, port.factory.events)
    for _, server in ipairs(port.factory.made) do ends.finish(server) end
  end))

  it("may be stopped and started in one turn", async(function()
    local port = listen()
    port:stopListening()
    port:startListening()
    ends.turns(2)
    assert.equal(1, port.factory.numPorts)
    assert.is_true(connectOutcome(port:getHost().port))
    await(port:stopListening())
    assert.equal(0, port.factory.numPorts)
    for _, server in ipairs(port.factory.made) do ends.finish(server) end
  end))

  it("may be stopped by the protocol that it just accepted", async(function()
    local port
    local factory = ends.factory(ends.recorder {
      connectionMade = function(self)
        port:stopListening()
        ends.Recorder.connectionMade(self)
      end,
    })
    port = listen(factory)
    local calling = ends.factory(ends.Recorder)
    for _ = 1, 5 do ends.kinds.TCP.connect(port, calling) end
    await(factory:protocolMade(1))
    await(calling:when(function() return #calling.made + #calling.events >= 5 end))
    assert.is_nil(port:getHost())
    for _, protocol in ipairs(factory.made) do ends.finish(protocol) end
    for index = 1, #calling.made do ends.finish(await(calling:protocolMade(index))) end
    assert.equal(1, #factory.made)
  end))

  it("has no address once it is stopped", async(function()
    local port = listen()
    assert.matches("on %d+", tostring(port))
    await(port:stopListening())
    assert.is_nil(port:getHost())
    assert.equal(-1, port:fileno())
    assert.matches("not listening", tostring(port))
  end))

  it("accepts nothing while it is paused", async(function()
    local port, calling = listen(), ends.factory(ends.Recorder)
    port:pauseProducing()
    ends.kinds.TCP.connect(port, calling)
    local client = await(calling:protocolMade(1))
    ends.turns(5)
    assert.equal(0, #port.factory.made)
    port:resumeProducing()
    local server = await(port.factory:protocolMade(1))
    await(port:stopListening())
    port:pauseProducing()
    port:resumeProducing()
    ends.finish(client, server)
  end))

  it("fails the Deferred of stopListening with what stopFactory raises", async(function()
    local factory = ends.factory(ends.Recorder)
    function factory.stopFactory() error("will not stop") end
    local port = listen(factory)
    local ok, problem = pcall(await, port:stopListening())
    assert.is_false(ok)
    assert.matches("will not stop", tostring(problem))
    assert.is_nil(port:getHost())
  end))

  it("is closed again when startFactory raises", async(function()
    local port = listen()
    local number = port:getHost().port
    await(port:stopListening())
    local factory = ends.factory(ends.Recorder)
    function factory.startFactory() error("will not start") end
    local ok, problem = pcall(reactor.listenTCP, reactor, number, factory, LOCAL)
    assert.is_false(ok)
    assert.matches("will not start", tostring(problem))
    assert.equal(0, factory.numPorts)
    assert.is_nil(next(network.ports))
    assert.equal("ECONNREFUSED", connectOutcome(number))
  end))
end)

describe("a factory", function()
  it("is started by its first port and stopped by its last", async(function()
    local factory = noting()
    local first, second = listen(factory), listen(factory)
    assert.same({ "start" }, factory.events)
    assert.equal(2, factory.numPorts)
    await(first:stopListening())
    assert.same({ "start" }, factory.events)
    await(second:stopListening())
    assert.same({ "start", "stop" }, factory.events)
  end))

  it("of a port and a connector is stopped when both have ended", async(function()
    local factory = noting()
    local port = listen(factory)
    ends.kinds.TCP.connect(port, factory)
    await(factory:protocolMade(2))
    local one, other = factory.made[1], factory.made[2]
    await(port:stopListening())
    assert.same({ "start" }, factory.events)
    one.transport:loseConnection()
    one:awaitLost()
    other:awaitLost()
    await(factory:whenNoted("stop"))
    assert.same({ "start", "lost", "stop" }, factory.events)
  end))

  it("that builds nil refuses the connection quietly", async(function()
    local factory = ends.factory(ends.Recorder)
    local peer
    function factory.buildProtocol(_, address)
      peer = address
      return nil
    end
    local port = listen(factory)
    local raw = ends.rawTo(port:getHost().port)
    local mine = raw:getsockname()
    assert.same({ "", "EOF" }, { ends.receive(raw) })
    assert.is_true(mine == peer)
    raw:close()
    await(port:stopListening())
  end))

  for what, build in pairs {
    ["that raises"] = function() error("no protocol today") end,
    ["that builds a number"] = function() return 5 end,
    ["that builds true"] = function() return true end,
    ["that builds what has no methods"] = function() return {} end,
  } do
    it(what .. " costs that connection, is logged, and the port goes on", async(function()
      local factory = ends.factory(ends.Recorder)
      local good = factory.buildProtocol
      factory.buildProtocol = build
      local port = listen(factory)
      local raw = ends.rawTo(port:getHost().port)
      local _, ending = ends.receive(raw)
      assert.equal("EOF", ending)
      raw:close()
      ends.turns(3)
      assert.equal(0, #core.transport.live())
      assert.is_true(#flushLoggedErrors() >= 1)
      factory.buildProtocol = good
      raw = ends.rawTo(port:getHost().port)
      local server = await(factory:protocolMade(1))
      raw:close()
      server:awaitLost()
      await(port:stopListening())
    end))
  end

  it("gets the address of the peer", async(function()
    local factory = ends.factory(ends.Recorder)
    local build, given = factory.buildProtocol, nil
    function factory:buildProtocol(address)
      given = address
      return build(self, address)
    end
    local port = listen(factory)
    local raw = ends.rawTo(port:getHost().port)
    local server = await(factory:protocolMade(1))
    assert.is_true(given == raw:getsockname())
    assert.is_true(given == server.transport:getPeer())
    raw:close()
    server:awaitLost()
    await(port:stopListening())
  end))
end)

describe("a protocol", function()
  it("has its events in order, each once but for data", async(function()
    local order = {}
    local Ordered = ends.recorder {
      makeConnection = function(self, transport)
        order[#order + 1] = "makeConnection"
        ends.Recorder.makeConnection(self, transport)
      end,
      connectionMade = function(self)
        order[#order + 1] = ("connectionMade, connected %s, transport %s, factory %s"):format(
          self.connected, self.transport ~= nil, self.factory ~= nil)
        ends.Recorder.connectionMade(self)
      end,
      dataReceived = function(self, data)
        order[#order + 1] = "dataReceived " .. data
        ends.Recorder.dataReceived(self, data)
      end,
      connectionLost = function(self, reason)
        order[#order + 1] = "connectionLost, transport " .. tostring(self.transport ~= nil)
        ends.Recorder.connectionLost(self, reason)
      end,
    }
    local server, client = ends.join("TCP", Ordered)
    client.transport:write("one")
    await(server:whenReceived(3))
    client.transport:write("two")
    await(server:whenReceived(6))
    client.transport:loseConnection()
    server:awaitLost()
    client:awaitLost()
    assert.same({
      "makeConnection", "connectionMade, connected true, transport true, factory true",
      "dataReceived one", "dataReceived two", "connectionLost, transport true",
    }, order)
  end))
end)
