local async             = require("twistlua.test.async").async
local await             = require("twistlua.defer").await
local endpoints         = require "twistlua.endpoints"
local flushLoggedErrors = require("twistlua.test.async").flushLoggedErrors
local reactor           = require "twistlua.reactor"
local ends              = require "system.streams.pairs"

local function server(text) return endpoints.serverFromString(reactor, text) end
local function client(text) return endpoints.clientFromString(reactor, text) end

-- The class name of what the Deferred fails with.
local function failure(deferred)
  local ok, problem = pcall(await, deferred)
  assert.is_false(ok)
  return problem.__name
end

-- A colon in an argument is escaped.
local function escaped(path) return (path:gsub("[\\:]", "\\%0")) end

local ways = {
  tcp = function()
    local port = await(server("tcp:0:interface=127.0.0.1"):listen(ends.factory(ends.Recorder)))
    return port, ("tcp:127.0.0.1:%d"):format(port:getHost().port)
  end,
  tcp6 = function()
    local port = await(server([[tcp6:0:interface=\:\:1]]):listen(ends.factory(ends.Recorder)))
    return port, ([[tcp6:\:\:1:%d]]):format(port:getHost().port)
  end,
  unix = function()
    local text = "unix:" .. escaped(ends.path() .. ":colon")
    local port = await(server(text .. ":mode=600:lockfile=1"):listen(ends.factory(ends.Recorder)))
    return port, text .. ":lockfile=1"
  end,
}

for prefix, open in pairs(ways) do
  describe(("a %s: endpoint"):format(prefix), function()
    it("connects to another", async(function()
      local port, text = open()
      local calling = ends.factory(ends.Recorder)
      local mine = await(client(text):connect(calling))
      assert.equal(calling.made[1], mine)
      assert.same({ "made" }, mine.events)
      local theirs = await(port.factory:protocolMade(1))
      mine.transport:write("hello")
      await(theirs:whenReceived(5))
      await(port:stopListening())
      ends.finish(mine, theirs)
    end))

    it("connects a protocol that exists", async(function()
      local port, text = open()
      local mine = ends.Recorder()
      assert.equal(mine, await(endpoints.connectProtocol(client(text), mine)))
      ends.finish(mine, await(port.factory:protocolMade(1)))
      await(port:stopListening())
    end))

    it("fails with NoProtocol when the factory builds none, and closes", async(function()
      local port, text = open()
      local calling = ends.factory(ends.Recorder)
      function calling.buildProtocol() return nil end
      assert.equal("NoProtocol", failure(client(text):connect(calling)))
      local theirs = await(port.factory:protocolMade(1))
      ends.isExactly(theirs:awaitLost(), "ConnectionDone")
      await(port:stopListening())
    end))

    it("fails with what buildProtocol and connectionMade raise", async(function()
      local port, text = open()
      local calling = ends.factory(ends.Recorder)
      function calling.buildProtocol() error("cannot build") end
      local ok, problem = pcall(await, client(text):connect(calling))
      assert.is_false(ok)
      assert.matches("cannot build", tostring(problem))
      calling = ends.factory(ends.recorder { connectionMade = function() error("cannot begin") end })
      ok, problem = pcall(await, client(text):connect(calling))
      assert.is_false(ok)
      assert.matches("cannot begin", tostring(problem))
      flushLoggedErrors()
      await(port:stopListening())
      for _, theirs in ipairs(port.factory.made) do ends.finish(theirs) end
    end))

    it("fails with ConnectingCancelledError when it is cancelled, and connects nothing", async(function()
      local port, text = open()
      local calling = ends.factory(ends.Recorder)
      local connecting = client(text):connect(calling)
      connecting:cancel()
      assert.equal("ConnectingCancelledError", failure(connecting))
      ends.turns(5)
      assert.equal(0, #calling.made)
      assert.equal(0, calling.numPorts)
      await(port:stopListening())
      for _, theirs in ipairs(port.factory.made) do ends.finish(theirs) end
    end))

    it("fails with a ConnectError when nobody listens", async(function()
      local port, text = open()
      await(port:stopListening())
      local name = failure(client(text):connect(ends.factory(ends.Recorder)))
      assert.is_true(name == "ConnectionRefusedError" or name == "ConnectError")
    end))
  end)
end

describe("a server endpoint", function()
  it("fails its Deferred for a place that is taken", async(function()
    local port = await(server("tcp:0:interface=127.0.0.1"):listen(ends.factory(ends.Recorder)))
    local text = ("tcp:%d:interface=127.0.0.1"):format(port:getHost().port)
    assert.equal("CannotListenError", failure(server(text):listen(ends.factory(ends.Recorder))))
    await(port:stopListening())
  end))

  it("fails its Deferred for an interface that is none", async(function()
    assert.equal("CannotListenError",
      failure(server("tcp:0:interface=no.such.host.invalid"):listen(ends.factory(ends.Recorder))))
    assert.equal("CannotListenError",
      failure(server("unix:/no/such/directory/x"):listen(ends.factory(ends.Recorder))))
  end))

  it("listens twice when it is asked twice", async(function()
    local endpoint = server("tcp:0:interface=127.0.0.1:backlog=5")
    local first = await(endpoint:listen(ends.factory(ends.Recorder)))
    local second = await(endpoint:listen(ends.factory(ends.Recorder)))
    assert.is_true(first:getHost().port ~= second:getHost().port)
    await(first:stopListening())
    await(second:stopListening())
  end))
end)

describe("a client endpoint", function()
  it("fails its Deferred for a name that is unknown", async(function()
    assert.equal("DNSLookupError", failure(client("tcp:no.such.host.invalid:80"):connect(ends.factory(ends.Recorder))))
  end))

  it("fails its Deferred with TimeoutError after its timeout", async(function()
    local port = await(server("tcp:0:interface=127.0.0.1:backlog=1"):listen(ends.factory(ends.Recorder)))
    port:pauseProducing()
    local release = ends.fill(port)
    local text = ("tcp:127.0.0.1:%d:timeout=0.1"):format(port:getHost().port)
    assert.equal("TimeoutError", failure(client(text):connect(ends.factory(ends.Recorder))))
    await(port:stopListening())
    release()
  end))

  it("connects from its bindAddress, and fails with ConnectBindError from another's", async(function()
    local port = await(server("tcp:0:interface=127.0.0.1"):listen(ends.factory(ends.Recorder)))
    local text = ("tcp:127.0.0.1:%d:bindAddress="):format(port:getHost().port)
    local mine = await(client(text .. "127.0.0.1"):connect(ends.factory(ends.Recorder)))
    assert.equal("ConnectBindError", failure(client(text .. "192.0.2.1"):connect(ends.factory(ends.Recorder))))
    ends.finish(mine, await(port.factory:protocolMade(1)))
    await(port:stopListening())
  end))
end)
