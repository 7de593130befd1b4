-- client_3.lua: Get Poetry Now! 3.0: poems go to a callback. Nobody is told that there is none: where a server is down,
-- this waits for ever. client_3_1.lua mends that.
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"
local tutorial = require "tutorial"

local USAGE = [[
usage: client_3.lua [HOST:]PORT...

Gets poetry from servers: client_3.lua 10001 10002 10003]]

local PoetryProtocol = protocol.Protocol:extend("PoetryProtocol")

PoetryProtocol.poem = ""

function PoetryProtocol:dataReceived(data) self.poem = self.poem .. data end

function PoetryProtocol:connectionLost() self.factory.callback(self.poem) end

local PoetryClientFactory = protocol.ClientFactory:extend("PoetryClientFactory")

PoetryClientFactory.protocol = PoetryProtocol

function PoetryClientFactory:init(callback) self.callback = callback end

-- Download a poem and call `callback(poem)`.
local function getPoetry(host, port, callback)
  reactor:connectTCP(host, port, PoetryClientFactory(callback))
end

local _, words = tutorial.options(USAGE, {})
local addresses = tutorial.addresses(USAGE, words)
local poems = {}

local function gotPoem(poem)
  poems[#poems + 1] = poem
  if #poems == #addresses then reactor:stop() end
end

for _, address in ipairs(addresses) do getPoetry(address.host, address.port, gotPoem) end
reactor:run()

for _, poem in ipairs(poems) do print(poem) end
