-- proxy_3.lua: Poetry Proxy 3.0: a client that hangs up cancels the download that was made for it.
local defer    = require "twistlua.defer"
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"
local tutorial = require "tutorial"

local USAGE = [[
usage: proxy_3.lua [options] [HOST:]PORT

Serves the poem of another server: proxy_3.lua --port 10000 10001
  --port PORT   to listen on; a free one by default
  --iface HOST  to listen on; localhost by default]]

local options, words = tutorial.options(USAGE, { port = 0, iface = "localhost" })
if #words ~= 1 then tutorial.stop(USAGE, "Provide exactly one server address.") end
local server = tutorial.address(USAGE, words[1])

local PoetryClientProtocol = protocol.Protocol:extend("PoetryClientProtocol")

PoetryClientProtocol.poem = ""

function PoetryClientProtocol:dataReceived(data) self.poem = self.poem .. data end

function PoetryClientProtocol:connectionLost() self.factory:poemFinished(self.poem) end

local PoetryClientFactory = protocol.ClientFactory:extend("PoetryClientFactory")

PoetryClientFactory.protocol = PoetryClientProtocol

function PoetryClientFactory:init(deferred) self.deferred = deferred end

function PoetryClientFactory:poemFinished(poem)
  if self.deferred then self.deferred:callback(poem) end
end

function PoetryClientFactory:clientConnectionFailed(_, reason)
  if self.deferred then self.deferred:errback(reason) end
end

local cached

-- A Deferred of the poem.
local function getPoem()
  if cached then
    print "Using cached poem."
    return defer.succeed(cached)
  end
  print "Fetching poem from server."
  local factory, connector
  factory = PoetryClientFactory(defer.Deferred(function()
    print "Canceling poem download."
    factory.deferred = nil
    connector:disconnect()
  end))
  connector = reactor:connectTCP(server.host, server.port, factory)
  return factory.deferred:addCallback(function(poem)
    cached = poem
    return poem
  end)
end

local PoetryProxyProtocol = protocol.Protocol:extend("PoetryProxyProtocol")

function PoetryProxyProtocol:connectionMade()
  self.poem = getPoem()
  self.poem:addCallback(function(poem) self.transport:write(poem) end)
  self.poem:addBoth(function() self.transport:loseConnection() end)
end

-- Cancels nothing if the poem has come.
function PoetryProxyProtocol:connectionLost() self.poem:cancel() end

local factory = protocol.ServerFactory.forProtocol(PoetryProxyProtocol)
local port = reactor:listenTCP(options.port, factory, { interface = options.iface })
print(("Proxying ('%s', %d) on %s."):format(server.host, server.port, port:getHost()))
reactor:run()
