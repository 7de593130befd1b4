-- client_2_simple.lua: Get Poetry Now! 2.1: no more than what it is about: the poems, printed at the end.
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"
local tutorial = require "tutorial"

local USAGE = [[
usage: client_2_simple.lua [HOST:]PORT...

Gets poetry from servers: client_2_simple.lua 10001 10002 10003]]

local PoetryProtocol = protocol.Protocol:extend("PoetryProtocol")

PoetryProtocol.poem = ""

function PoetryProtocol:dataReceived(data) self.poem = self.poem .. data end

function PoetryProtocol:connectionLost() self.factory:poemFinished(self.poem) end

local PoetryClientFactory = protocol.ClientFactory:extend("PoetryClientFactory")

PoetryClientFactory.protocol = PoetryProtocol

function PoetryClientFactory:init(poetryCount)
  self.poetryCount = poetryCount
  self.poems = {}
end

function PoetryClientFactory:poemFinished(poem)
  self.poems[#self.poems + 1] = poem
  self.poetryCount = self.poetryCount - 1
  if self.poetryCount > 0 then return end
  for _, finished in ipairs(self.poems) do print(finished) end
  reactor:stop()
end

function PoetryClientFactory:clientConnectionFailed(connector)
  print("Failed to connect to: " .. tostring(connector:getDestination()))
  self:poemFinished()
end

local _, words = tutorial.options(USAGE, {})
local addresses = tutorial.addresses(USAGE, words)

local factory = PoetryClientFactory(#addresses)
for _, address in ipairs(addresses) do reactor:connectTCP(address.host, address.port, factory) end
reactor:run()
