-- client_2_stack.lua: Get Poetry Now! 2.0, as far as the first data: prints who called dataReceived, and ends.
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"
local tutorial = require "tutorial"

local USAGE = [[
usage: client_2_stack.lua [HOST:]PORT...

Gets poetry from servers: client_2_stack.lua 10001 10002 10003]]

local PoetryProtocol = protocol.Protocol:extend("PoetryProtocol")

PoetryProtocol.poem = ""
PoetryProtocol.taskNumber = 0

function PoetryProtocol:dataReceived()
  print(debug.traceback())
  os.exit(0)
end

function PoetryProtocol:connectionLost()
  self.factory:poemFinished(self.taskNumber, self.poem)
end

local PoetryClientFactory = protocol.ClientFactory:extend("PoetryClientFactory")

PoetryClientFactory.protocol = PoetryProtocol
PoetryClientFactory.taskNumber = 0

function PoetryClientFactory:init(poetryCount)
  self.poetryCount = poetryCount
  self.poems = {}   -- task number → poem
end

function PoetryClientFactory:buildProtocol(address)
  self.taskNumber = self.taskNumber + 1
  local built = protocol.ClientFactory.buildProtocol(self, address)
  built.taskNumber = self.taskNumber
  return built
end

function PoetryClientFactory:poemFinished(taskNumber, poem)
  if taskNumber then self.poems[taskNumber] = poem end
  self.poetryCount = self.poetryCount - 1
  if self.poetryCount > 0 then return end
  for number = 1, self.taskNumber do
    print(("Task %d: %d bytes of poetry"):format(number, #self.poems[number]))
  end
  reactor:stop()
end

function PoetryClientFactory:clientConnectionFailed(connector)
  print("Failed to connect to: " .. tostring(connector:getDestination()))
  self:poemFinished()
end

local _, words = tutorial.options(USAGE, {})
local addresses = tutorial.addresses(USAGE, words)
local start = reactor:seconds()

local factory = PoetryClientFactory(#addresses)
for _, address in ipairs(addresses) do reactor:connectTCP(address.host, address.port, factory) end
reactor:run()

print(("Got %d poems in %s"):format(#addresses, tutorial.duration(reactor:seconds() - start)))
