-- poetry_spec.lua: the tests of part 15: `twistlua test scripts/poetry/poetry_spec.lua`.
local async    = require("twistlua.test").async
local defer    = require "twistlua.defer"
local errors   = require "twistlua.error"
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"
local test     = require "twistlua.test"

local POEM = "Die Dämmrung fällt.\nThis is only a test."

-- A program's classes would be required here; these are copies, so that the example is whole.
local PoetryServerProtocol = protocol.Protocol:extend("PoetryServerProtocol")

function PoetryServerProtocol:connectionMade()
  self.transport:write(self.factory.poem)
  self.transport:loseConnection()
end

local PoetryClientProtocol = protocol.Protocol:extend("PoetryClientProtocol")

PoetryClientProtocol.poem = ""

function PoetryClientProtocol:dataReceived(data) self.poem = self.poem .. data end

function PoetryClientProtocol:connectionLost() self.factory.deferred:callback(self.poem) end

local PoetryClientFactory = protocol.ClientFactory:extend("PoetryClientFactory")

PoetryClientFactory.protocol = PoetryClientProtocol

function PoetryClientFactory:init() self.deferred = defer.Deferred() end

function PoetryClientFactory:clientConnectionFailed(_, reason) self.deferred:errback(reason) end

local function getPoetry(host, port)
  local factory = PoetryClientFactory()
  reactor:connectTCP(host, port, factory)
  return factory.deferred
end

describe("getPoetry", function()
  local port

  before_each(async(function()
    local factory = protocol.ServerFactory.forProtocol(PoetryServerProtocol)
    factory.poem = POEM
    port = reactor:listenTCP(0, factory, { interface = "127.0.0.1" })
  end, { keep = true }))

  after_each(async(function() return port:stopListening() end))

  it("returns the poem", async(function()
    assert.equal(POEM, defer.await(getPoetry("127.0.0.1", port:getHost().port)))
  end))

  it("fails where there is no server", async(function()
    return test.assertFailure(getPoetry("127.0.0.1", 0), errors.ConnectError)
  end))
end)
