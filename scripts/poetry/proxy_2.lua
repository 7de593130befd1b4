-- proxy_2.lua: Poetry Proxy 2.0: getPoem always returns a Deferred; a poem that is there already is one that has fired.
local defer    = require "twistlua.defer"
local log      = require "twistlua.log"
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"
local tutorial = require "tutorial"

local USAGE = [[
usage: proxy_2.lua [options] [HOST:]PORT

Serves the poem of another server: proxy_2.lua --port 10000 10001
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

-- A Deferred of the poem.
local function getPoem()
  if cached then
    print "Using cached poem."
    return defer.succeed(cached)
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
  getPoem()
    :addCallbacks(function(poem) self.transport:write(poem) end, log.err)
    :addBoth(function() self.transport:loseConnection() end)
end

local factory = protocol.ServerFactory.forProtocol(PoetryProxyProtocol)
local port = reactor:listenTCP(options.port, factory, { interface = options.iface })
print(("Proxying ('%s', %d) on %s."):format(server.host, server.port, port:getHost()))
reactor:run()
