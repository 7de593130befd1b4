-- SPDX-License-Identifier: MIT
-- protocols/policies/wrapping.lua -- a factory and its protocols inside others, which see and may change all
-- that goes through. A ProtocolWrapper is the protocol of the real transport, and the transport of the
-- protocol that it wraps.

local Protocol      = require("twistlua.protocol").Protocol
local ClientFactory = require("twistlua.protocol").ClientFactory
local log           = require "twistlua.log"

---Stands between a transport and a protocol, and passes everything on. What a subclass does not override is
---looked up in the transport: its methods, whichever it has, and the fields that say how it stands.
---@class twistlua.ProtocolWrapper: twistlua.Protocol, twistlua.Transport
---@field wrappedProtocol twistlua.Protocol
---@field factory twistlua.WrappingFactory
---@operator call(...): twistlua.ProtocolWrapper
local ProtocolWrapper = Protocol:extend("ProtocolWrapper")

local STATE = {
  connected = true, disconnecting = true, disconnected = true, producer = true, TLS = true, negotiatedProtocol = true,
}

local forwarders = {}   -- name → a method that calls the transport's of that name

local function forwarder(name)
  local forward = forwarders[name]
  if not forward then
    forward = function(self, ...)
      local transport = self.transport
      return transport[name](transport, ...)
    end
    forwarders[name] = forward
  end
  return forward
end

-- A subclass keeps its members for itself, as every class does, hence a look-up for each class.
local function lookIn(class)
  return function(self, name)
    local member = class[name]
    if member ~= nil then return member end
    local transport = rawget(self, "transport")
    if not transport then return nil end
    member = transport[name]
    if type(member) == "function" then return forwarder(name) end
    if STATE[name] then return member end
  end
end

---@param name string
---@return table class
function ProtocolWrapper:extend(name)
  local class = Protocol.extend(self, name)
  class.__index = lookIn(class)
  return class
end

ProtocolWrapper.__index = lookIn(ProtocolWrapper)
ProtocolWrapper.connected = nil   -- the transport's

-- Events whose handler means something by being there: the wrapper has those that the wrapped protocol has.
local OPTIONAL_EVENTS = {
  "readConnectionLost", "writeConnectionLost", "outputLimitExceeded", "handshakeCompleted",
}

local passEvent = {}
for _, event in ipairs(OPTIONAL_EVENTS) do
  passEvent[event] = function(self, ...)
    local wrapped = self.wrappedProtocol
    return wrapped[event](wrapped, ...)
  end
end

---@param factory twistlua.WrappingFactory
---@param wrappedProtocol twistlua.Protocol
function ProtocolWrapper:init(factory, wrappedProtocol)
  self.factory = factory
  self.wrappedProtocol = wrappedProtocol
  self.outputLimit = wrappedProtocol.outputLimit
  for _, event in ipairs(OPTIONAL_EVENTS) do
    if wrappedProtocol[event] then self[event] = passEvent[event] end
  end
end

function ProtocolWrapper:makeConnection(transport)
  self.transport = transport
  self.factory:registerProtocol(self)
  self:connectionMade()
  self.wrappedProtocol:makeConnection(self)
end

function ProtocolWrapper:dataReceived(data)
  self.wrappedProtocol:dataReceived(data)
end

function ProtocolWrapper:connectionLost(reason)
  self.factory:unregisterProtocol(self)
  self.wrappedProtocol:connectionLost(reason)
end

local function prefixOf(wrapper, wrapped)
  local inner = wrapped.logPrefix and wrapped:logPrefix() or wrapped.__name or "?"
  return ("%s (%s)"):format(inner, wrapper.__name)
end

function ProtocolWrapper:logPrefix()
  return prefixOf(self, self.wrappedProtocol)
end

---Wraps a factory and its protocols, and keeps a list of those that are connected.
---@class twistlua.WrappingFactory: twistlua.ClientFactory
---@field wrappedFactory twistlua.Factory
---@field protocol fun(factory: twistlua.WrappingFactory, wrapped: twistlua.Protocol): twistlua.ProtocolWrapper
---@field protocols table<twistlua.ProtocolWrapper, true>
---@field clock twistlua.Clock|nil in place of the reactor
---@operator call(...): twistlua.WrappingFactory
local WrappingFactory = ClientFactory:extend("WrappingFactory")

WrappingFactory.protocol = ProtocolWrapper

---@param wrappedFactory twistlua.Factory
function WrappingFactory:init(wrappedFactory)
  if type(wrappedFactory) ~= "table" or not wrappedFactory.buildProtocol then
    error(("%s: a factory expected, got %s"):format(self.__name, type(wrappedFactory)), 3)
  end
  self.wrappedFactory = wrappedFactory
  self.protocols = {}
end

-- What the subclasses log is said in one way.
function WrappingFactory:_say(format, ...)
  log.msg(("%s: " .. format):format(self:logPrefix(), ...))
end

---@param seconds number
---@param f function
function WrappingFactory:callLater(seconds, f, ...)
  local clock = self.clock or require "twistlua.reactor"
  return clock:callLater(seconds, f, ...)
end

function WrappingFactory:logPrefix()
  return prefixOf(self, self.wrappedFactory)
end

function WrappingFactory:doStart()
  self.wrappedFactory:doStart()
  ClientFactory.doStart(self)
end

function WrappingFactory:doStop()
  self.wrappedFactory:doStop()
  ClientFactory.doStop(self)
end

-- A server's factory knows nothing of these.
for _, event in ipairs { "startedConnecting", "clientConnectionFailed", "clientConnectionLost" } do
  WrappingFactory[event] = function(self, ...)
    local wrapped = self.wrappedFactory
    if wrapped[event] then return wrapped[event](wrapped, ...) end
  end
end

---The protocol that goes around `wrapped`; a subclass whose protocol takes more arguments overrides it.
---@param wrapped twistlua.Protocol
---@return twistlua.ProtocolWrapper
function WrappingFactory:wrap(wrapped)
  return self.protocol(self, wrapped)
end

function WrappingFactory:buildProtocol(addr)
  local wrapped = self.wrappedFactory:buildProtocol(addr)
  return wrapped ~= nil and self:wrap(wrapped) or nil
end

---A protocol has been connected.
---@param protocol twistlua.ProtocolWrapper
function WrappingFactory:registerProtocol(protocol)
  self.protocols[protocol] = true
end

---A protocol's connection is lost.
---@param protocol twistlua.ProtocolWrapper
function WrappingFactory:unregisterProtocol(protocol)
  self.protocols[protocol] = nil
end

return { ProtocolWrapper = ProtocolWrapper, WrappingFactory = WrappingFactory }
