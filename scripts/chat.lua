-- chat.lua: everybody hears everybody
local reactor   = require "twistlua.reactor"
local protocol  = require "twistlua.protocol"
local endpoints = require "twistlua.endpoints"
local basic     = require "twistlua.protocols.basic"

local Chat = basic.LineReceiver:extend("Chat")

function Chat:connectionMade()        self.factory.clients[self] = true end
function Chat:connectionLost(reason)  self.factory.clients[self] = nil end

function Chat:lineReceived(line)
  for client in pairs(self.factory.clients) do
    client:sendLine(("<%s> %s"):format(self.transport:getPeer(), line))
  end
end

local factory = protocol.Factory.forProtocol(Chat)
factory.clients = {}
endpoints.serverFromString(reactor, "tcp:1025"):listen(factory)
reactor:run()
