-- SPDX-License-Identifier: MIT
-- protocol/creator.lua -- one connection from a protocol class, as a Deferred, for who needs no factory.

local Object  = require("twistlua.class").Object
local defer   = require "twistlua.defer"
local factory = require "twistlua.protocol.factory"

-- Builds its one protocol and hands it over in a later turn, when `connectionMade` has run.
local SingleFactory = factory.ClientFactory:extend("SingleFactory")

SingleFactory.noisy = false

function SingleFactory:init(reactor, protocol, result)
  self._reactor = reactor
  self._protocol = protocol
  self._result = result
  self.handover = nil   -- the delayed call in which the result fires
end

function SingleFactory:buildProtocol(_addr)
  self.handover = self._reactor:callLater(0, self._result.callback, self._result, self._protocol)
  return self._protocol
end

function SingleFactory:clientConnectionFailed(_connector, reason)
  self.handover = self._reactor:callLater(0, self._result.errback, self._result, reason)
end

---Makes client connections of one protocol class.
---@class twistlua.ClientCreator: twistlua.Object
---@operator call(...): twistlua.ClientCreator
local ClientCreator = Object:extend("ClientCreator")

---@param reactor twistlua.Reactor
---@param protocolClass fun(...): twistlua.Protocol
---@param ... any arguments for `protocolClass`
function ClientCreator:init(reactor, protocolClass, ...)
  self._reactor = reactor
  self._protocolClass = protocolClass
  self._arguments = table.pack(...)
end

-- `connect(single)` starts the attempt and returns its connector.
function ClientCreator:_connect(connect)
  local connector, single
  local result = defer.Deferred(function()
    connector:disconnect()
    if single.handover and single.handover:active() then single.handover:cancel() end
  end)
  local protocol = self._protocolClass(table.unpack(self._arguments, 1, self._arguments.n))
  single = SingleFactory(self._reactor, protocol, result)
  connector = connect(single)
  return result
end

---@param host string
---@param port integer|string
---@param options? table as for `reactor:connectTCP`
---@return twistlua.Deferred protocol, once it is connected; cancelling disconnects
function ClientCreator:connectTCP(host, port, options)
  return self:_connect(function(single)
    return self._reactor:connectTCP(host, port, single, options)
  end)
end

---@param path string
---@param options? table as for `reactor:connectUNIX`
---@return twistlua.Deferred protocol, once it is connected; cancelling disconnects
function ClientCreator:connectUNIX(path, options)
  return self:_connect(function(single)
    return self._reactor:connectUNIX(path, single, options)
  end)
end

---@param host string
---@param port integer|string
---@param contextFactory any
---@param options? table as for `reactor:connectSSL`
---@return twistlua.Deferred protocol, once it is connected; cancelling disconnects
function ClientCreator:connectSSL(host, port, contextFactory, options)
  return self:_connect(function(single)
    return self._reactor:connectSSL(host, port, single, contextFactory, options)
  end)
end

return { ClientCreator = ClientCreator }
