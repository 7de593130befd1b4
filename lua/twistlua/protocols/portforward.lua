-- SPDX-License-Identifier: MIT
-- protocols/portforward.lua -- each connection to a port becomes one to another place; bytes go both ways.
-- The two transports are each other's producers: when one side reads slowly, the other is read slowly.

local protocol = require "twistlua.protocol"

---One side of a forwarded connection.
---@class twistlua.Proxy: twistlua.Protocol
---@field peer twistlua.Proxy|nil the other side, while both are there
local Proxy = protocol.Protocol:extend("Proxy")

function Proxy:dataReceived(data)
  self.peer.transport:write(data)
end

-- What came before the end is still written to the other side. A transport waits for its producer
-- before it closes, and this one's is gone.
function Proxy:connectionLost(_reason)
  local peer = self.peer
  if not peer then return end
  self.peer, peer.peer = nil, nil
  peer.transport:unregisterProducer()
  peer.transport:loseConnection()
end

---The side that connects.
---@class twistlua.ProxyClient: twistlua.Proxy
local ProxyClient = Proxy:extend("ProxyClient")

function ProxyClient:connectionMade()
  local server = self.factory.server
  self.peer, server.peer = server, self
  self.transport:registerProducer(server.transport, true)
  server.transport:registerProducer(self.transport, true)
  server.transport:resumeProducing()
end

---@class twistlua.ProxyClientFactory: twistlua.ClientFactory
---@field server twistlua.ProxyServer
local ProxyClientFactory = protocol.ClientFactory:extend("ProxyClientFactory")

ProxyClientFactory.protocol = ProxyClient
ProxyClientFactory.noisy = false

function ProxyClientFactory:init(server)
  self.server = server
end

function ProxyClientFactory:clientConnectionFailed(_connector, _reason)
  self.server.transport:loseConnection()
end

---The side that was connected to. It is not read until the other side is there.
---@class twistlua.ProxyServer: twistlua.Proxy
local ProxyServer = Proxy:extend("ProxyServer")

function ProxyServer:connectionMade()
  self.transport:pauseProducing()
  local factory = self.factory
  local reactor = factory.reactor or require "twistlua.reactor"
  self._connector = reactor:connectTCP(factory.host, factory.port, factory.clientFactory(self))
end

function ProxyServer:connectionLost(reason)
  if not self.peer then self._connector:disconnect() end
  Proxy.connectionLost(self, reason)
end

---Forwards every connection of its port.
---@class twistlua.ProxyFactory: twistlua.Factory
---@field host string
---@field port integer|string
---@field reactor twistlua.Reactor|nil in place of the default one
---@field clientFactory fun(server: twistlua.ProxyServer): twistlua.ClientFactory
---@operator call(...): twistlua.ProxyFactory
local ProxyFactory = protocol.Factory:extend("ProxyFactory")

ProxyFactory.protocol = ProxyServer
ProxyFactory.clientFactory = ProxyClientFactory

---@param host string where to connect to
---@param port integer|string
function ProxyFactory:init(host, port)
  self.host = host
  self.port = port
end

return {
  Proxy              = Proxy,
  ProxyClient        = ProxyClient,
  ProxyClientFactory = ProxyClientFactory,
  ProxyServer        = ProxyServer,
  ProxyFactory       = ProxyFactory,
}
