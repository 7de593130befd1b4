-- SPDX-License-Identifier: MIT
-- protocols/policies/limits.lua -- no more than so many connections at a time.

local wrapping = require "twistlua.protocols.policies.wrapping"
local protocol = require "twistlua.protocol"

---Limits the number of its connections. `protocol` is as in every factory.
---@class twistlua.LimitTotalConnectionsFactory: twistlua.ServerFactory
---@field connectionCount integer how many there are, those of the overflow protocol among them
---@field connectionLimit integer|nil nil: no limit
---@field overflowProtocol (fun(): twistlua.Protocol)|nil for those beyond the limit; nil: they are closed at once
---@operator call(...): twistlua.LimitTotalConnectionsFactory
local LimitTotalConnectionsFactory = protocol.ServerFactory:extend("LimitTotalConnectionsFactory")

LimitTotalConnectionsFactory.connectionCount = 0
LimitTotalConnectionsFactory.connectionLimit = nil
LimitTotalConnectionsFactory.overflowProtocol = nil

function LimitTotalConnectionsFactory:buildProtocol(addr)
  local limit, wrapped = self.connectionLimit, nil
  if not limit or self.connectionCount < limit then
    wrapped = protocol.ServerFactory.buildProtocol(self, addr)
  elseif self.overflowProtocol then
    wrapped = self.overflowProtocol()
    wrapped.factory = self
  end
  return wrapped and wrapping.ProtocolWrapper(self, wrapped)
end

function LimitTotalConnectionsFactory:registerProtocol()
  self.connectionCount = self.connectionCount + 1
end

function LimitTotalConnectionsFactory:unregisterProtocol()
  self.connectionCount = self.connectionCount - 1
end

---Limits the number of connections from one host. Peers that have none, those of UNIX sockets, are not limited.
---@class twistlua.LimitConnectionsByPeer: twistlua.WrappingFactory
---@field maxConnectionsPerPeer integer those beyond are closed at once
---@field peerConnections table<string, integer> host → how many it has; only those that have any
---@operator call(...): twistlua.LimitConnectionsByPeer
local LimitConnectionsByPeer = wrapping.WrappingFactory:extend("LimitConnectionsByPeer")

LimitConnectionsByPeer.maxConnectionsPerPeer = 5

---@param wrappedFactory twistlua.Factory
function LimitConnectionsByPeer:init(wrappedFactory)
  wrapping.WrappingFactory.init(self, wrappedFactory)
  self.peerConnections = {}
end

local function hostOf(address)
  return address and address.host
end

function LimitConnectionsByPeer:_count(host, change)
  if not host then return end
  local count = (self.peerConnections[host] or 0) + change
  self.peerConnections[host] = count > 0 and count or nil
end

function LimitConnectionsByPeer:buildProtocol(addr)
  local host = hostOf(addr)
  if host and (self.peerConnections[host] or 0) >= self.maxConnectionsPerPeer then return nil end
  return wrapping.WrappingFactory.buildProtocol(self, addr)
end

function LimitConnectionsByPeer:registerProtocol(wrapper)
  wrapping.WrappingFactory.registerProtocol(self, wrapper)
  self:_count(hostOf(wrapper:getPeer()), 1)
end

function LimitConnectionsByPeer:unregisterProtocol(wrapper)
  wrapping.WrappingFactory.unregisterProtocol(self, wrapper)
  self:_count(hostOf(wrapper:getPeer()), -1)
end

return {
  LimitTotalConnectionsFactory = LimitTotalConnectionsFactory,
  LimitConnectionsByPeer       = LimitConnectionsByPeer,
}
