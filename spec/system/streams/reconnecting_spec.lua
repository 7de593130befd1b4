local async    = require("twistlua.test.async").async
local await    = require("twistlua.defer").await
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"
local socket   = require "twistlua.socket"
local ends     = require "system.streams.pairs"

local Quick = protocol.ReconnectingClientFactory:extend("Quick")

Quick.initialDelay, Quick.delay, Quick.maxDelay, Quick.jitter = 0.001, 0.001, 0.01, 0

-- A reconnecting factory with what ends.factory() has.
local function reconnecting(class)
  local noting, factory = ends.factory(class or ends.Recorder), Quick()
  factory.noisy = false
  factory.made, factory.events, factory.waiting = {}, {}, {}
  for _, name in ipairs { "buildProtocol", "protocolMade", "when", "wake", "note", "whenNoted" } do
    factory[name] = noting[name]
  end
  return factory
end

local function listen(number)
  return reactor:listenTCP(number or 0, ends.factory(ends.Recorder), { interface = "127.0.0.1" })
end

describe("ReconnectingClientFactory", function()
  it("connects again each time that the connection is lost", async(function()
    local port, factory = listen(), reconnecting()
    ends.kinds.TCP.connect(port, factory)
    for index = 1, 4 do
      await(factory:protocolMade(index))
      local server = await(port.factory:protocolMade(index))
      if index == 4 then factory:stopTrying() end
      server.transport:abortConnection()
      server:awaitLost()
    end
    factory.made[4]:awaitLost()
    ends.turns(3)
    assert.equal(4, #factory.made)
    assert.equal(0, factory.numPorts)
    await(port:stopListening())
  end))

  it("goes on until somebody listens", async(function()
    local listening = assert(socket.listen("127.0.0.1", 0))
    local number = listening:getsockname().port
    listening:close()
    local factory = reconnecting()
    reactor:connectTCP("127.0.0.1", number, factory)
    while factory.retries < 3 do ends.turns(1) end
    local port = listen(number)
    local client = await(factory:protocolMade(1))
    factory:resetDelay()
    assert.equal(0, factory.retries)
    factory:stopTrying()
    ends.finish(client)
    await(port:stopListening())
    for _, server in ipairs(port.factory.made) do ends.finish(server) end
  end))

  it("waits longer each time, up to its maximum", async(function()
    local listening = assert(socket.listen("127.0.0.1", 0))
    local number = listening:getsockname().port
    listening:close()
    local factory, delays = reconnecting(), {}
    factory.maxRetries = 4
    function factory:retry(connector)
      Quick.retry(self, connector)
      delays[#delays + 1] = self.delay
      self:wake()
    end
    reactor:connectTCP("127.0.0.1", number, factory)
    await(factory:when(function() return #delays == 5 end))
    ends.turns(3)
    assert.equal(5, #delays)
    assert.is_true(delays[1] < delays[2])
    assert.equal(0.01, delays[4])
    assert.equal(4, factory.retries)
  end))

  it("ends an attempt that is under way when it is told to stop", async(function()
    local port, factory = listen(), reconnecting()
    ends.kinds.TCP.connect(port, factory)
    await(factory:protocolMade(1))
    local connecting
    function factory:startedConnecting(connector)
      connecting = connector
      self:stopTrying()
      self:wake()
    end
    ends.finish(await(port.factory:protocolMade(1)))
    await(factory:when(function() return connecting end))
    assert.equal("disconnected", connecting.state)
    ends.turns(5)
    assert.equal(1, #factory.made)
    await(port:stopListening())
    for _, server in ipairs(port.factory.made) do ends.finish(server) end
  end))
end)
