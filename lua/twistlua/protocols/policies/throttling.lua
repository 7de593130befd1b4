-- SPDX-License-Identifier: MIT
-- protocols/policies/throttling.lua -- a factory whose connections together read and write no more than so many
-- bytes a second. After a second with too many of them all pause until the mean is kept.

local wrapping = require "twistlua.protocols.policies.wrapping"

-- A producer as the transport sees it: it pauses when either the transport or the throttle wants it to.
local Gate = {}
Gate.__index = Gate

local function newGate(producer, streaming)
  return setmetatable({
    _producer  = producer,
    _streaming = streaming,
    _full      = not streaming,   -- the transport wants nothing: a pull producer waits to be asked
    throttled  = false,
  }, Gate)
end

function Gate:pauseProducing()
  self._full = true
  if not self.throttled then self._producer:pauseProducing() end
end

function Gate:resumeProducing()
  self._full = false
  if self.throttled then return end
  self._full = not self._streaming
  self._producer:resumeProducing()
end

function Gate:stopProducing()
  self._producer:stopProducing()
end

function Gate:throttle()
  self.throttled = true
  if self._streaming and not self._full then self._producer:pauseProducing() end
end

function Gate:unthrottle()
  self.throttled = false
  if not self._full then self:resumeProducing() end
end

---A connection of a ThrottlingFactory.
---@class twistlua.ThrottlingProtocol: twistlua.ProtocolWrapper
---@field factory twistlua.ThrottlingFactory
---@operator call(...): twistlua.ThrottlingProtocol
local ThrottlingProtocol = wrapping.ProtocolWrapper:extend("ThrottlingProtocol")

function ThrottlingProtocol:init(factory, wrapped)
  wrapping.ProtocolWrapper.init(self, factory, wrapped)
  self._gate = false            -- the registered producer's
  self._readThrottled = false
  self._paused = false          -- by the wrapped protocol
end

function ThrottlingProtocol:write(data)
  self.factory:registerWritten(#data)
  self.transport:write(data)
end

function ThrottlingProtocol:writeSequence(strings)
  local length = 0
  for _, data in ipairs(strings) do length = length + #data end
  self.factory:registerWritten(length)
  self.transport:writeSequence(strings)
end

function ThrottlingProtocol:dataReceived(data)
  self.factory:registerRead(#data)
  self.wrappedProtocol:dataReceived(data)
end

function ThrottlingProtocol:pauseProducing()
  self._paused = true
  self.transport:pauseProducing()
end

function ThrottlingProtocol:resumeProducing()
  self._paused = false
  if not self._readThrottled then self.transport:resumeProducing() end
end

function ThrottlingProtocol:throttleReads()
  self._readThrottled = true
  self.transport:pauseProducing()
end

function ThrottlingProtocol:unthrottleReads()
  self._readThrottled = false
  if not self._paused then self.transport:resumeProducing() end
end

function ThrottlingProtocol:registerProducer(producer, streaming)
  local gate = newGate(producer, streaming)
  self.transport:registerProducer(gate, streaming)
  self._gate = gate
  if self.factory.writesThrottled then gate:throttle() end
end

function ThrottlingProtocol:unregisterProducer()
  self._gate = false
  self.transport:unregisterProducer()
end

function ThrottlingProtocol:throttleWrites()
  if self._gate then self._gate:throttle() end
end

function ThrottlingProtocol:unthrottleWrites()
  if self._gate then self._gate:unthrottle() end
end

---Limits the connections in number, and what they read and write together in bytes a second. Writing is limited
---only where a producer is registered: there is nobody else to be told to wait.
---@class twistlua.ThrottlingFactory: twistlua.WrappingFactory
---@field connectionCount integer
---@field maxConnectionCount integer those beyond are closed at once
---@field readLimit integer|nil bytes a second; nil: no limit
---@field writeLimit integer|nil bytes a second; nil: no limit
---@field readsThrottled boolean
---@field writesThrottled boolean
---@operator call(...): twistlua.ThrottlingFactory
local ThrottlingFactory = wrapping.WrappingFactory:extend("ThrottlingFactory")

ThrottlingFactory.protocol = ThrottlingProtocol

---@param wrappedFactory twistlua.Factory
---@param maxConnectionCount? integer
---@param readLimit? integer bytes a second
---@param writeLimit? integer bytes a second
function ThrottlingFactory:init(wrappedFactory, maxConnectionCount, readLimit, writeLimit)
  wrapping.WrappingFactory.init(self, wrappedFactory)
  self.connectionCount = 0
  self.maxConnectionCount = maxConnectionCount or math.maxinteger
  self.readLimit = readLimit
  self.writeLimit = writeLimit
  self.readsThrottled = false
  self.writesThrottled = false
  self._readThisSecond = 0
  self._writtenThisSecond = 0
  self._calls = {}   -- what is due: name of a method → its delayed call
end

---@param length integer bytes that were written
function ThrottlingFactory:registerWritten(length)
  self._writtenThisSecond = self._writtenThisSecond + length
end

---@param length integer bytes that were read
function ThrottlingFactory:registerRead(length)
  self._readThisSecond = self._readThisSecond + length
end

function ThrottlingFactory:_later(seconds, method)
  self._calls[method] = self:callLater(seconds, self[method], self)
end

local function eachProtocol(factory, method)
  local protocols = {}
  for protocol in pairs(factory.protocols) do protocols[#protocols + 1] = protocol end
  for _, protocol in ipairs(protocols) do protocol[method](protocol) end
end

-- A second has passed.
function ThrottlingFactory:_checkReads()
  local over = self._readThisSecond / self.readLimit - 1
  self._readThisSecond = 0
  self:_later(1, "_checkReads")
  if over <= 0 or self.readsThrottled then return end
  self:_later(over, "unthrottleReads")
  self:throttleReads()
end

function ThrottlingFactory:_checkWrites()
  local over = self._writtenThisSecond / self.writeLimit - 1
  self._writtenThisSecond = 0
  self:_later(1, "_checkWrites")
  if over <= 0 or self.writesThrottled then return end
  self:_later(over, "unthrottleWrites")
  self:throttleWrites()
end

---Read nothing on any connection.
function ThrottlingFactory:throttleReads()
  self.readsThrottled = true
  self:_say("reading pauses: over %d bytes a second", self.readLimit)
  eachProtocol(self, "throttleReads")
end

---Read again.
function ThrottlingFactory:unthrottleReads()
  self.readsThrottled = false
  self:_say("reading goes on")
  eachProtocol(self, "unthrottleReads")
end

---Pause every registered producer.
function ThrottlingFactory:throttleWrites()
  self.writesThrottled = true
  self:_say("writing pauses: over %d bytes a second", self.writeLimit)
  eachProtocol(self, "throttleWrites")
end

---Let the producers go on.
function ThrottlingFactory:unthrottleWrites()
  self.writesThrottled = false
  self:_say("writing goes on")
  eachProtocol(self, "unthrottleWrites")
end

function ThrottlingFactory:buildProtocol(addr)
  if self.connectionCount >= self.maxConnectionCount then
    self:_say("there are %d connections: %s is refused", self.connectionCount, addr)
    return nil
  end
  return wrapping.WrappingFactory.buildProtocol(self, addr)
end

function ThrottlingFactory:registerProtocol(protocol)
  wrapping.WrappingFactory.registerProtocol(self, protocol)
  self.connectionCount = self.connectionCount + 1
  if self.connectionCount == 1 then
    if self.readLimit then self:_checkReads() end
    if self.writeLimit then self:_checkWrites() end
  end
  if self.readsThrottled then protocol:throttleReads() end
end

function ThrottlingFactory:unregisterProtocol(protocol)
  wrapping.WrappingFactory.unregisterProtocol(self, protocol)
  self.connectionCount = self.connectionCount - 1
  if self.connectionCount > 0 then return end
  for _, call in pairs(self._calls) do
    if call:active() then call:cancel() end
  end
  self._calls = {}
  self.readsThrottled, self.writesThrottled = false, false
end

return { ThrottlingProtocol = ThrottlingProtocol, ThrottlingFactory = ThrottlingFactory }
