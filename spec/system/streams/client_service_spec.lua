local await     = require("twistlua.defer").await
local async     = require("twistlua.test.async").async
local flushLoggedErrors = require("twistlua.test.async").flushLoggedErrors
local endpoints = require "twistlua.endpoints"
local internet  = require "twistlua.application.internet"
local reactor   = require "twistlua.reactor"
local ends      = require "system.streams.pairs"

describe("ClientService on sockets", function()
  it("connects, connects again, waits for a server, and stops", async(function()
    local path = ends.path()
    local serving, calling = ends.factory(ends.Recorder), ends.factory(ends.Recorder)
    local service = internet.ClientService(endpoints.clientFromString(reactor, "unix:" .. path), calling, {
      retryPolicy = function() return 0.005 end,
      prepareConnection = function(peer)
        peer.transport:write("login")
        return calling.made[#calling.made]:whenReceived(2)
      end,
    })
    service:startService()
    local refused = pcall(await, service:whenConnected { failAfterFailures = 2 })
    assert.is_false(refused)
    local port = reactor:listenUNIX(path, serving)
    for index = 1, 3 do
      local server = await(serving:protocolMade(index))
      await(server:whenReceived(5))
      local connected = service:whenConnected()
      server.transport:write("ok")
      local client = await(connected)
      assert.equal(calling.made[index], client)
      if index == 3 then break end
      server.transport:abortConnection()
      client:awaitLost()
    end
    local client = await(service:whenConnected())
    await(service:stopService())
    ends.isExactly(client.reason, "ConnectionDone")
    serving.made[3]:awaitLost()
    await(port:stopListening())
    assert.equal(3, #calling.made)
    assert.equal(0, calling.numPorts)
  end))

  it("stops in the middle of an attempt", async(function()
    local port = reactor:listenTCP(0, ends.factory(ends.Recorder), { backlog = 1, interface = "127.0.0.1" })
    port:pauseProducing()
    local release = ends.fill(port)
    local text = "tcp:127.0.0.1:" .. port:getHost().port
    local service = internet.ClientService(endpoints.clientFromString(reactor, text), ends.factory(ends.Recorder))
    service:startService()
    ends.turns(3)
    await(service:stopService())
    await(port:stopListening())
    release()
  end))

  it("goes on when connectionLost raises", async(function()
    local Broken = ends.recorder { connectionLost = function(self)
      self.reason = true
      error("oops")
    end }
    local serving, calling = ends.factory(ends.Recorder), ends.factory(Broken)
    local port = ends.kinds.UNIX.listen(serving)
    local service = internet.ClientService(
      endpoints.UNIXClientEndpoint(reactor, port:getHost().name), calling, { retryPolicy = function() return 0 end })
    service:startService()
    for index = 1, 2 do
      ends.finish(await(serving:protocolMade(index)))
    end
    await(serving:protocolMade(3))
    await(service:stopService())
    serving.made[3]:awaitLost()
    await(port:stopListening())
    local logged = flushLoggedErrors()
    assert.equal(3, #logged)
    assert.matches("oops", tostring(logged[1].value))
  end))
end)
