-- proxy_1.lua: Poetry Proxy 1.0: gets a poem once, and serves it from then on. getPoem returns the poem or a Deferred
-- of it; maybeDeferred makes the two alike.
local defer    = require "twistlua.defer"
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"
local tutorial = require "tutorial"

local USAGE = [[
usage: proxy_1.lua [options] [HOST:]PORT

Serves the poem of another server: proxy_1.lua --port 10000 10001
  --port PORT   to listen on; a free one by default
  --iface HOST  to listen on; localhost by default]]

local options, words = tutorial.options(USAGE, { port = 0, iface = "localhost" })
if #words ~= 1 then tutorial.stop(USAGE, "Provide exactly one server address.") end
local server = tutorial.address(USAGE, words[1])

local PoetryClientProtocol = protocol.Protocol:extend("PoetryClientProtocol")

PoetryClientProtocol.poem = ""

function PoetryClientProtocol:dataReceived(data) self.poem = self.poem .. data end

function PoetryClientProtocol:connectionLost() self.factory.deferred:callback(self.poem) end

local PoetryClientFactory = protocol.ClientFactory:extend("PoetryClientFactory")

PoetryClientFactory.protocol = PoetryClientProtocol

function PoetryClientFactory:init() self.deferred = defer.Deferred() end

function PoetryClientFactory:clientConnectionFailed(_, reason) self.deferred:errback(reason) end

local cached

-- The poem, or a Deferred of it.
local function getPoem()
  if cached then
    print "Using cached poem."
    return cached
  end
  print "Fetching poem from server."
  local factory = PoetryClientFactory()
  reactor:connectTCP(server.host, server.port, factory)
  return factory.deferred:addCallback(function(poem)
    cached = poem
    return poem
  end)
end

local PoetryProxyProtocol = protocol.Protocol:extend("PoetryProxyProtocol")

function PoetryProxyProtocol:connectionMade()
  defer.maybeDeferred(getPoem)
    :addCallback(function(poem) self.transport:write(poem) end)
    :addBoth(function() self.transport:loseConnection() end)
end

local factory = protocol.ServerFactory.forProtocol(PoetryProxyProtocol)
local port = reactor:listenTCP(options.port, factory, { interface = options.iface })
print(("Proxying ('%s', %d) on %s."):format(server.host, server.port, port:getHost()))
reactor:run()
