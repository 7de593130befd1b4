-- client_3_1.lua: Get Poetry Now! 3.1: poems go to a callback, failures to an errback.
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"
local tutorial = require "tutorial"

local USAGE = [[
usage: client_3_1.lua [HOST:]PORT...

Gets poetry from servers: client_3_1.lua 10001 10002 10003]]

local PoetryProtocol = protocol.Protocol:extend("PoetryProtocol")

PoetryProtocol.poem = ""

function PoetryProtocol:dataReceived(data) self.poem = self.poem .. data end

function PoetryProtocol:connectionLost() self.factory.callback(self.poem) end

local PoetryClientFactory = protocol.ClientFactory:extend("PoetryClientFactory")

PoetryClientFactory.protocol = PoetryProtocol

function PoetryClientFactory:init(callback, errback)
  self.callback, self.errback = callback, errback
end

function PoetryClientFactory:clientConnectionFailed(_, reason) self.errback(reason) end

-- Download a poem and call `callback(poem)`, or `errback(failure)`.
local function getPoetry(host, port, callback, errback)
  reactor:connectTCP(host, port, PoetryClientFactory(callback, errback))
end

local _, words = tutorial.options(USAGE, {})
local addresses = tutorial.addresses(USAGE, words)
local poems, missing = {}, #addresses

local function poemDone()
  missing = missing - 1
  if missing == 0 then reactor:stop() end
end

local function gotPoem(poem)
  poems[#poems + 1] = poem
  poemDone()
end

local function poemFailed(failure)
  io.stderr:write("Poem failed: ", tostring(failure), "\n")
  poemDone()
end

for _, address in ipairs(addresses) do getPoetry(address.host, address.port, gotPoem, poemFailed) end
reactor:run()

for _, poem in ipairs(poems) do print(poem) end
