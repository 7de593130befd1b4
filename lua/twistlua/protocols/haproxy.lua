-- SPDX-License-Identifier: MIT
-- protocols/haproxy.lua -- servers behind a proxy that speaks the PROXY protocol, as HAProxy does: it tells first
-- who has connected to it. The server's own protocol begins when that is known.
-- Whoever can connect to such a port can claim to be anybody: it must be the proxy alone.

local Object   = require("twistlua.class").Object
local header   = require "twistlua.protocols.haproxy.header"
local log      = require "twistlua.log"
local policies = require "twistlua.protocols.policies.wrapping"
local timeout  = require "twistlua.protocols.policies.timeout"

---Reads the header, then builds the protocol and passes everything on, as a transport that knows who the peer is.
---@class twistlua.HAProxyProtocolWrapper: twistlua.ProtocolWrapper, twistlua.TimeoutMixin
---@field wrappedProtocol twistlua.Protocol|nil nil before the header
---@field proxyHeader twistlua.ProxyHeader|nil nil before the header
---@operator call(...): twistlua.HAProxyProtocolWrapper
local HAProxyProtocolWrapper = timeout.TimeoutMixin.mixInto(
  policies.ProtocolWrapper:extend("HAProxyProtocolWrapper"))

function HAProxyProtocolWrapper:init(factory)
  self.factory = factory
  self.wrappedProtocol = nil
  self.proxyHeader = nil
  self._unread = ""       -- what came of the header, then what came after it and is not delivered yet
  self._paused = false
end

function HAProxyProtocolWrapper:callLater(...) return self.factory:callLater(...) end

function HAProxyProtocolWrapper:logPrefix()
  local wrapped = self.wrappedProtocol
  return wrapped and policies.ProtocolWrapper.logPrefix(self) or self.__name
end

function HAProxyProtocolWrapper:makeConnection(transport)
  self.transport = transport
  self.factory:registerProtocol(self)
  self:setTimeout(self.factory.headerTimeout)
end

function HAProxyProtocolWrapper:_refuse(why, ...)
  log.msg(("%s: the connection from %s is closed: " .. why)
    :format(self.factory:logPrefix(), self.transport:getPeer(), ...))
  self:setTimeout(nil)
  self._unread = ""
  self.transport:loseConnection()
end

function HAProxyProtocolWrapper:timeoutConnection()
  self:_refuse("no complete PROXY header came within %g seconds", self.timeOut)
end

function HAProxyProtocolWrapper:dataReceived(data)
  local wrapped = self.wrappedProtocol
  if wrapped then return wrapped:dataReceived(data) end
  self._unread = self._unread .. data
  local found, consumed = header.parse(self._unread)
  if found then
    self._unread = self._unread:sub(consumed + 1)
    self:_begin(found)
  elseif consumed then
    self:_refuse("%s", consumed)
  end
end

function HAProxyProtocolWrapper:_begin(found)
  self:setTimeout(nil)
  self.proxyHeader = found
  local wrapped = self.factory.wrappedFactory:buildProtocol(self:getPeer())
  if wrapped == nil then return self.transport:loseConnection() end
  policies.ProtocolWrapper.init(self, self.factory, wrapped)
  if self.outputLimit ~= nil then self.transport:setOutputLimit(self.outputLimit) end
  self:_startTLS()
  wrapped:makeConnection(self)
  self:_deliver()
end

function HAProxyProtocolWrapper:_startTLS()
  local contextFactory = self.factory.contextFactory
  if not contextFactory then return end
  local received = self._unread
  self._unread = ""
  self.transport:startTLS(contextFactory, { isClient = false, received = received })
end

-- What came in one piece with the header.
function HAProxyProtocolWrapper:_deliver()
  local unread = self._unread
  if unread == "" or self._paused or self.transport.disconnecting then return end
  self._unread = ""
  self.wrappedProtocol:dataReceived(unread)
end

function HAProxyProtocolWrapper:pauseProducing()
  self._paused = true
  self.transport:pauseProducing()
end

function HAProxyProtocolWrapper:resumeProducing()
  self._paused = false
  self.transport:resumeProducing()
  self:_deliver()
end

-- The transport asks whether there is this method before it is known whether the wrapped protocol has one, which
-- then takes its place.
function HAProxyProtocolWrapper:readConnectionLost()
  self.transport:loseConnection()
end

-- A proxy that only looks whether the port is open sends nothing.
function HAProxyProtocolWrapper:connectionLost(reason)
  self:setTimeout(nil)
  self.factory:unregisterProtocol(self)
  if self.wrappedProtocol then return self.wrappedProtocol:connectionLost(reason) end
  if self._unread ~= "" then
    log.msg(("%s: the connection from %s ended within the PROXY header")
      :format(self.factory:logPrefix(), self.transport:getPeer()))
  end
end

---@return twistlua.IPv4Address|twistlua.IPv6Address|twistlua.UNIXAddress who connected to the proxy
function HAProxyProtocolWrapper:getPeer()
  local found = self.proxyHeader
  return found and found.source or self.transport:getPeer()
end

---@return twistlua.IPv4Address|twistlua.IPv6Address|twistlua.UNIXAddress where they connected to
function HAProxyProtocolWrapper:getHost()
  local found = self.proxyHeader
  return found and found.destination or self.transport:getHost()
end

---Makes the protocols of connections that begin with the header. A connection without one is closed.
---@class twistlua.HAProxyWrappingFactory: twistlua.WrappingFactory
---@field headerTimeout number|nil seconds in which the header must have come, default 10; nil: any time
---@field contextFactory twistlua.ssl.CertificateOptions|nil TLS begins behind the header
---@operator call(...): twistlua.HAProxyWrappingFactory
local HAProxyWrappingFactory = policies.WrappingFactory:extend("HAProxyWrappingFactory")

HAProxyWrappingFactory.protocol = HAProxyProtocolWrapper
HAProxyWrappingFactory.headerTimeout = 10

function HAProxyWrappingFactory:buildProtocol()
  return self.protocol(self)
end

-- A server endpoint whose connections come through a proxy.
local ProxyEndpoint = Object:extend("ProxyEndpoint")

function ProxyEndpoint:init(wrapped)
  self._wrapped = wrapped
end

-- A proxy sends the header in clear also where what it passes on is TLS.
function ProxyEndpoint:listen(factory)
  local endpoint, wrapping = self._wrapped, HAProxyWrappingFactory(factory)
  if endpoint.withoutTLS then endpoint, wrapping.contextFactory = endpoint:withoutTLS() end
  return endpoint:listen(wrapping)
end

---@param endpoint twistlua.ServerEndpoint where the proxy connects to
---@return twistlua.ServerEndpoint
local function proxyEndpoint(endpoint)
  return ProxyEndpoint(endpoint)
end

return {
  HAProxyProtocolWrapper = HAProxyProtocolWrapper,
  HAProxyWrappingFactory = HAProxyWrappingFactory,
  proxyEndpoint          = proxyEndpoint,
  parseHeader            = header.parse,
  makeHeader             = header.make,
}
