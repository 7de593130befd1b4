-- client_8.lua: Get Poetry Now! 8.0: a DeferredList waits for all of them.
local basic    = require "twistlua.protocols.basic"
local defer    = require "twistlua.defer"
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"
local tutorial = require "tutorial"
local await    = defer.await

local USAGE = [[
usage: client_8.lua [HOST:]TRANSFORM-PORT [HOST:]PORT...

Gets poetry from servers, and has the first one transform it: client_8.lua 11000 10001 10002]]

local PoetryProtocol = protocol.Protocol:extend("PoetryProtocol")

PoetryProtocol.poem = ""

function PoetryProtocol:dataReceived(data) self.poem = self.poem .. data end

function PoetryProtocol:connectionLost() self.factory:poemFinished(self.poem) end

local PoetryClientFactory = protocol.ClientFactory:extend("PoetryClientFactory")

PoetryClientFactory.protocol = PoetryProtocol

function PoetryClientFactory:init(deferred) self.deferred = deferred end

-- The Deferred, once: it cannot be fired a second time.
function PoetryClientFactory:takeDeferred()
  local d = self.deferred
  self.deferred = nil
  return d
end

function PoetryClientFactory:poemFinished(poem)
  local d = self:takeDeferred()
  if d then d:callback(poem) end
end

function PoetryClientFactory:clientConnectionFailed(_, reason)
  local d = self:takeDeferred()
  if d then d:errback(reason) end
end

-- Download a poem: a Deferred of its text, or of the reason why there is none.
local function getPoetry(host, port)
  local d = defer.Deferred()
  reactor:connectTCP(host, port, PoetryClientFactory(d))
  return d
end

local TransformClientProtocol = basic.NetstringReceiver:extend("TransformClientProtocol")

function TransformClientProtocol:connectionMade()
  self:sendString(self.factory.transform .. "." .. self.factory.poem)
end

function TransformClientProtocol:stringReceived(poem)
  self.transport:loseConnection()
  self.factory:poemFinished(poem)
end

-- Of a connection that ends without an answer it hears as of one that fails.
local TransformClientFactory = PoetryClientFactory:extend("TransformClientFactory")

TransformClientFactory.protocol = TransformClientProtocol
TransformClientFactory.clientConnectionLost = PoetryClientFactory.clientConnectionFailed

function TransformClientFactory:init(transform, poem)
  self.transform, self.poem, self.deferred = transform, poem, defer.Deferred()
end

-- Have a server transform a poem: a Deferred of the new one.
local function transform(server, name, poem)
  local factory = TransformClientFactory(name, poem)
  local d = factory.deferred
  reactor:connectTCP(server.host, server.port, factory)
  return d
end

local _, words = tutorial.options(USAGE, {})
local addresses = tutorial.addresses(USAGE, words, 2)
local transformer = table.remove(addresses, 1)

local getTransformedPoem = defer.inlineCallbacks(function(host, port)
  local ok, poem = pcall(await, getPoetry(host, port))
  if not ok then
    io.stderr:write("The poem download failed: ", tostring(poem), "\n")
    error(poem)
  end
  local transformed, new = pcall(await, transform(transformer, "cummingsify", poem))
  if transformed then return new end
  io.stderr:write("Cummingsify failed!\n")
  return poem
end)

local poems = {}
for i, address in ipairs(addresses) do
  poems[i] = getTransformedPoem(address.host, address.port):addCallback(print)
end
defer.DeferredList(poems, { consumeErrors = true }):addCallback(function() reactor:stop() end)
reactor:run()
