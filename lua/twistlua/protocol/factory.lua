-- SPDX-License-Identifier: MIT
-- protocol/factory.lua -- makes the protocols of a port or connector, and is told when these come and go.

local class = require "twistlua.class"
local log   = require "twistlua.log"

local Object = class.Object

---Makes a protocol for each connection.
---@class twistlua.Factory: twistlua.Object
---@field protocol (fun(): twistlua.Protocol)|nil the class that buildProtocol makes one of
---@field numPorts integer how many ports and connectors use it now
---@field noisy boolean log the start and the stop
---@operator call(...): twistlua.Factory
local Factory = Object:extend("Factory")

Factory.numPorts = 0
Factory.noisy    = true

local function isCallable(value)
  return type(value) == "function" or (getmetatable(value) or {}).__call ~= nil
end

-- Both `SomeFactory.forProtocol(Echo)` and `SomeFactory:forProtocol(Echo)` make a SomeFactory. The first
-- form does not say which class it was called on, so each class gets a function that knows its own.
local function forProtocolOf(factoryClass)
  return function(first, ...)
    local factory, protocolClass
    if class.isA(first, Factory) then
      protocolClass = (...)
      factory = first(select(2, ...))
    else
      protocolClass = first
      factory = factoryClass(...)
    end
    if not isCallable(protocolClass) then
      error("forProtocol: expected a protocol class, got " .. type(protocolClass), 2)
    end
    factory.protocol = protocolClass
    return factory
  end
end

---Make a factory of this class for `protocolClass`; more arguments go to the factory's `init`.
---Called with a dot or with a colon.
---@type fun(protocolClass: fun(): twistlua.Protocol, ...: any): twistlua.Factory
Factory.forProtocol = forProtocolOf(Factory)

---@param name string
---@return table class
function Factory:extend(name)
  local subclass = Object.extend(self, name)
  subclass.forProtocol = forProtocolOf(subclass)
  return subclass
end

---The protocol for a connection, or nil to refuse it quietly.
---@param _addr any address of the other side
---@return twistlua.Protocol|nil
function Factory:buildProtocol(_addr)
  if not self.protocol then
    error(("%s has no protocol: set its 'protocol' or override buildProtocol"):format(self.__name), 2)
  end
  local protocol = self.protocol()
  protocol.factory = self
  return protocol
end

---Called when the first port or connector begins to use the factory.
function Factory:startFactory() end

---Called when the last port or connector has ended.
function Factory:stopFactory() end

---Called by each port and connector that begins.
function Factory:doStart()
  if self.numPorts == 0 then
    if self.noisy then log.msg("Starting factory " .. self:logPrefix()) end
    self:startFactory()
  end
  self.numPorts = self.numPorts + 1
end

---Called by each port and connector that ends. One call too many is harmless.
function Factory:doStop()
  if self.numPorts == 0 then return end
  self.numPorts = self.numPorts - 1
  if self.numPorts == 0 then
    if self.noisy then log.msg("Stopping factory " .. self:logPrefix()) end
    self:stopFactory()
  end
end

---The name for log lines.
---@return string
function Factory:logPrefix()
  return self.__name
end

---@class twistlua.ServerFactory: twistlua.Factory
local ServerFactory = Factory:extend("ServerFactory")

---A factory that hears how its attempts to connect go.
---@class twistlua.ClientFactory: twistlua.Factory
local ClientFactory = Factory:extend("ClientFactory")

---An attempt begins; `connector:stopConnecting()` ends it.
---@param _connector twistlua.Connector
function ClientFactory:startedConnecting(_connector) end

---The attempt failed; `connector:connect()` tries again.
---@param _connector twistlua.Connector
---@param _reason twistlua.Failure
function ClientFactory:clientConnectionFailed(_connector, _reason) end

---An established connection is gone, and its protocol knows; `connector:connect()` makes a new one.
---@param _connector twistlua.Connector
---@param _reason twistlua.Failure
function ClientFactory:clientConnectionLost(_connector, _reason) end

return { Factory = Factory, ServerFactory = ServerFactory, ClientFactory = ClientFactory }
