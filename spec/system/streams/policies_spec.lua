local await    = require("twistlua.defer").await
local async    = require("twistlua.test.async").async
local policies = require "twistlua.protocols.policies"
local ends     = require "system.streams.pairs"

-- A connection whose server's protocol is wrapped by a factory of `factoryClass(serving, ...)`.
local function joined(serverClass, clientClass, factoryClass, ...)
  local serving, calling = ends.factory(serverClass), ends.factory(clientClass)
  local wrapping = factoryClass(serving, ...)
  wrapping.noisy = false
  local port = ends.kinds.TCP.listen(wrapping)
  ends.kinds.TCP.connect(port, calling)
  local server, client = await(serving:protocolMade(1)), await(calling:protocolMade(1))
  await(port:stopListening())
  return server, client, wrapping
end

describe("a wrapped protocol on a socket", function()
  it("reads, writes, produces and half-closes as without the wrapper", async(function()
    local server, client = joined(ends.HalfCloser, ends.HalfCloser, policies.WrappingFactory)
    local transport, left, asked = server.transport, 20, 0
    transport:registerProducer({
      pauseProducing = function() asked = asked + 1 end,
      resumeProducing = function()
        left = left - 1
        transport:write(("x"):rep(100000))
        if left == 0 then transport:unregisterProducer() end
      end,
      stopProducing = function() end,
    }, true)
    transport:write(("x"):rep(100000))
    await(client:whenReceived(2000000))
    assert.is_true(asked > 10)
    client.transport:write("bye")
    client.transport:loseWriteConnection()
    await(server:whenNoted("read lost"))
    assert.equal("bye", server:data())
    assert.is_false(transport.disconnecting)
    transport:loseConnection()
    assert.is_true(transport.disconnecting)
    ends.isExactly(server:awaitLost(), "ConnectionDone")
    ends.isExactly(client:awaitLost(), "ConnectionDone")
    assert.is_false(transport.connected)
    assert.equal(server.transport:getHost(), client.transport:getPeer())
  end))

  it("that raises costs its own connection, for that reason", async(function()
    local Broken = ends.recorder { dataReceived = function() error("broken") end }
    local server, client, factory = joined(Broken, ends.Recorder, policies.WrappingFactory)
    client.transport:write("x")
    assert.matches("broken", tostring(server:awaitLost().value))
    client:awaitLost()
    assert.is_nil(next(factory.protocols))
    assert.equal(1, #require("twistlua.test.async").flushLoggedErrors())
  end))

  it("is closed when it was idle", async(function()
    local server, client = joined(ends.Recorder, ends.Recorder, policies.TimeoutFactory, 0.02)
    ends.isExactly(client:awaitLost(), "ConnectionDone")
    ends.isExactly(server:awaitLost(), "ConnectionDone")
  end))
end)
