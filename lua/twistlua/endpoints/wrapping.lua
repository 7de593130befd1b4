-- SPDX-License-Identifier: MIT
-- endpoints/wrapping.lua -- the client factory between a reactor's connector and the factory that was given
-- to `endpoint:connect`: it makes one Deferred of what the connector tells.

local defer   = require "twistlua.defer"
local errors  = require "twistlua.error"
local guard   = require "twistlua.guard"
local factory = require "twistlua.protocol.factory"

local WrappingFactory = factory.ClientFactory:extend("WrappingFactory")

function WrappingFactory:init(wrapped)
  self._wrapped = wrapped
  self._connector = nil
  self.result = defer.Deferred(function() self:_cancel() end)   -- nil once it has fired
end

function WrappingFactory:_fire(method, outcome)
  local result = self.result
  if not result then return end
  self.result = nil
  result[method](result, outcome)
end

function WrappingFactory:_cancel()
  local connector = self._connector
  self:_fire("errback", errors.ConnectingCancelledError(connector and tostring(connector:getDestination())))
  if connector then connector:disconnect() end
end

function WrappingFactory:doStart() self._wrapped:doStart() end
function WrappingFactory:doStop() self._wrapped:doStop() end
function WrappingFactory:logPrefix() return self._wrapped:logPrefix() end

function WrappingFactory:startedConnecting(connector)
  self._connector = connector
end

-- The protocol itself is returned, not a wrapper that would cost each delivery a call more: it stands in the
-- way of only its own `makeConnection`, once, so that the result fires when `connectionMade` has run.
function WrappingFactory:buildProtocol(address)
  local built, protocol = guard.call(self._wrapped.buildProtocol, self._wrapped, address)
  if not built or protocol == nil then
    self:_fire("errback", built and errors.NoProtocol() or protocol)
    return nil
  end
  local makeConnection = rawget(protocol, "makeConnection")
  protocol.makeConnection = function(_, transport)
    protocol.makeConnection = makeConnection
    protocol:makeConnection(transport)
    self:_fire("callback", protocol)
  end
  return protocol
end

function WrappingFactory:clientConnectionFailed(_connector, reason)
  self:_fire("errback", reason)
end

-- Before the result only when `connectionMade` raised; the reason is then what it raised.
function WrappingFactory:clientConnectionLost(_connector, reason)
  self:_fire("errback", reason)
end

---Run `start(factory)`, which returns a connector, for the sake of `wrapped`.
---@param wrapped twistlua.Factory
---@param start fun(factory: twistlua.ClientFactory)
---@return twistlua.Deferred protocol
local function connect(wrapped, start)
  local wrapping = WrappingFactory(wrapped)
  local result = wrapping.result
  local started, failure = guard.call(start, wrapping)
  if not started then wrapping:_fire("errback", failure) end
  return result
end

return { connect = connect }
