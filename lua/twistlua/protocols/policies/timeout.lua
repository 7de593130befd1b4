-- SPDX-License-Identifier: MIT
-- protocols/policies/timeout.lua -- connections that end when nothing has come for a while.

local wrapping = require "twistlua.protocols.policies.wrapping"
local log      = require "twistlua.log"

---A timer for each connection, as methods that a class takes in.
---@class twistlua.TimeoutMixin
---@field timeOut number|nil seconds; nil while no time-out is set
---@field clock twistlua.Clock|nil in place of the reactor
---@field setTimeout fun(self, seconds: number|nil): number|nil
---@field resetTimeout fun(self)
---@field timeoutConnection fun(self)
---@field callLater fun(self, seconds: number, f: function, ...: any): twistlua.DelayedCall
local methods = {}

---Call `timeoutConnection` when so many seconds have passed without a `resetTimeout`; nil: never. A protocol
---sets it to nil in its `connectionLost`.
---@param seconds number|nil
---@return number|nil previous
function methods:setTimeout(seconds)
  local previous, call = self.timeOut, self._timeoutCall
  self.timeOut = seconds
  if call and seconds then
    call:reset(seconds)
  elseif call then
    self._timeoutCall = nil
    call:cancel()
  elseif seconds then
    self._timeoutCall = self:callLater(seconds, self._timedOut, self)
  end
  return previous
end

---Begin to count again: the other side has shown that it is there.
function methods:resetTimeout()
  if self._timeoutCall then self._timeoutCall:reset(self.timeOut) end
end

function methods:_timedOut()
  self._timeoutCall = nil
  self:timeoutConnection()
end

---The time has come. To be overridden where more than to close the connection is wanted; what is not sent yet
---is sent first, unless it calls `transport:abortConnection()`.
function methods:timeoutConnection()
  self.transport:loseConnection()
end

function methods:callLater(seconds, f, ...)
  local clock = self.clock or require "twistlua.reactor"
  return clock:callLater(seconds, f, ...)
end

local TimeoutMixin = {}

---Give the methods to a class, but for those that it has. Its subclasses made later have them too.
---`local Shy = policies.TimeoutMixin.mixInto(basic.LineReceiver:extend("Shy"))`
---@generic T: table
---@param class T
---@return T class
function TimeoutMixin.mixInto(class)
  for name, method in pairs(methods) do
    if class[name] == nil then class[name] = method end
  end
  return class
end

---Closes its connection when nothing has been read or written for the factory's `timeoutPeriod`.
---@class twistlua.TimeoutProtocol: twistlua.ProtocolWrapper, twistlua.TimeoutMixin
---@field factory twistlua.TimeoutFactory
---@operator call(...): twistlua.TimeoutProtocol
local TimeoutProtocol = wrapping.ProtocolWrapper:extend("TimeoutProtocol")

function TimeoutProtocol:callLater(...) return self.factory:callLater(...) end

TimeoutMixin.mixInto(TimeoutProtocol)

function TimeoutProtocol:connectionMade()
  self:setTimeout(self.factory.timeoutPeriod)
end

function TimeoutProtocol:dataReceived(data)
  self:resetTimeout()
  self.wrappedProtocol:dataReceived(data)
end

function TimeoutProtocol:write(data)
  self:resetTimeout()
  self.transport:write(data)
end

function TimeoutProtocol:writeSequence(strings)
  self:resetTimeout()
  self.transport:writeSequence(strings)
end

function TimeoutProtocol:timeoutConnection()
  log.msg(("%s: %s was idle for %g seconds"):format(self:logPrefix(), self.transport:getPeer(), self.timeOut))
  self.transport:loseConnection()
end

function TimeoutProtocol:connectionLost(reason)
  self:setTimeout(nil)
  wrapping.ProtocolWrapper.connectionLost(self, reason)
end

---Closes connections that are idle.
---@class twistlua.TimeoutFactory: twistlua.WrappingFactory
---@field timeoutPeriod number seconds
---@operator call(...): twistlua.TimeoutFactory
local TimeoutFactory = wrapping.WrappingFactory:extend("TimeoutFactory")

TimeoutFactory.protocol = TimeoutProtocol

---@param wrappedFactory twistlua.Factory
---@param timeoutPeriod? number seconds, default half an hour
function TimeoutFactory:init(wrappedFactory, timeoutPeriod)
  wrapping.WrappingFactory.init(self, wrappedFactory)
  self.timeoutPeriod = timeoutPeriod or 30 * 60
end

return { TimeoutMixin = TimeoutMixin, TimeoutProtocol = TimeoutProtocol, TimeoutFactory = TimeoutFactory }
