-- SPDX-License-Identifier: MIT
-- test/transport.lua -- transports without sockets that keep what a protocol writes, for a test to look at.

local Object   = require("twistlua.class").Object
local address  = require "twistlua.address"
local errors   = require "twistlua.error"
local Failure  = require("twistlua.failure").Failure
local Protocol = require("twistlua.protocol").Protocol

---Keeps what is written to it.
---@class twistlua.StringTransport: twistlua.Object
---@field connected boolean
---@field disconnecting boolean loseConnection or abortConnection was called
---@field aborting boolean abortConnection was called
---@field writeDisconnected boolean loseWriteConnection was called
---@field producerState "producing"|"paused"|"stopped" what was last asked of it as a producer
---@field producer table|nil the registered producer
---@field streaming boolean|nil whether that is a push producer
---@operator call(...): twistlua.StringTransport
local StringTransport = Object:extend("StringTransport")

---@param host? table address of this side
---@param peer? table address of the other side
function StringTransport:init(host, peer)
  self.connected = true
  self.disconnecting = false
  self.aborting = false
  self.writeDisconnected = false
  self.producerState = "producing"
  self.producer = nil
  self.streaming = nil
  self._host = host or address.IPv4Address("TCP", "127.0.0.1", 8000)
  self._peer = peer or address.IPv4Address("TCP", "127.0.0.1", 54321)
  self._written = {}
  self._tcp = { noDelay = false, keepAlive = false }
end

---@param data string
function StringTransport:write(data)
  if type(data) ~= "string" then error("write: expected a string, got " .. type(data), 2) end
  self._written[#self._written + 1] = data
end

---@param strings string[]
function StringTransport:writeSequence(strings)
  for _, data in ipairs(strings) do self:write(data) end
end

---All that was written since the beginning, or since `clear`.
---@return string
function StringTransport:value()
  return table.concat(self._written)
end

---Forget what was written.
function StringTransport:clear()
  self._written = {}
end

function StringTransport:loseConnection()
  self.disconnecting = true
end

function StringTransport:abortConnection()
  self.aborting = true
  self.disconnecting = true
end

function StringTransport:loseWriteConnection()
  self.writeDisconnected = true
end

function StringTransport:getHost() return self._host end
function StringTransport:getPeer() return self._peer end

function StringTransport:setTcpNoDelay(enabled) self._tcp.noDelay = enabled end
function StringTransport:getTcpNoDelay() return self._tcp.noDelay end
function StringTransport:setTcpKeepAlive(enabled) self._tcp.keepAlive = enabled end
function StringTransport:getTcpKeepAlive() return self._tcp.keepAlive end

---@param producer table
---@param streaming boolean
function StringTransport:registerProducer(producer, streaming)
  if self.producer then error("registerProducer: a producer is registered already", 2) end
  self.producer, self.streaming = producer, streaming
end

function StringTransport:unregisterProducer()
  if not self.producer then error("unregisterProducer: no producer is registered", 2) end
  self.producer, self.streaming = nil, nil
end

local function checkNotStopped(transport, what)
  if transport.producerState == "stopped" then error(what .. ": the transport was stopped", 3) end
end

function StringTransport:pauseProducing()
  checkNotStopped(self, "pauseProducing")
  self.producerState = "paused"
end

function StringTransport:resumeProducing()
  checkNotStopped(self, "resumeProducing")
  self.producerState = "producing"
end

function StringTransport:stopProducing()
  checkNotStopped(self, "stopProducing")
  self.producerState = "stopped"
end

---A StringTransport that tells its protocol, which the test sets, that it is gone.
---@class twistlua.StringTransportWithDisconnection: twistlua.StringTransport
---@field protocol twistlua.Protocol
local StringTransportWithDisconnection = StringTransport:extend("StringTransportWithDisconnection")

function StringTransportWithDisconnection:loseConnection()
  self.disconnecting = true
  if not self.connected then return end
  self.connected = false
  self.protocol:connectionLost(Failure(errors.ConnectionDone()))
end

function StringTransportWithDisconnection:abortConnection()
  self.aborting, self.disconnecting = true, true
  if not self.connected then return end
  self.connected = false
  self.protocol:connectionLost(Failure(errors.ConnectionAborted()))
end

---Keeps what happens to it.
---@class twistlua.AccumulatingProtocol: twistlua.Protocol
---@field made integer how often it was connected
---@field data string all that came
---@field closed integer how often its connection was lost
---@field closedReason twistlua.Failure|nil
---@field closedDeferred twistlua.Deferred|nil set by the test; fires when the connection is lost
---@operator call(...): twistlua.AccumulatingProtocol
local AccumulatingProtocol = Protocol:extend("AccumulatingProtocol")

function AccumulatingProtocol:init()
  self.made = 0
  self.data = ""
  self.closed = 0
  self.closedReason = nil
  self.closedDeferred = nil
end

function AccumulatingProtocol:connectionMade()
  self.made = self.made + 1
  local waiting = self.factory and self.factory.protocolConnectionMade
  if waiting then
    self.factory.protocolConnectionMade = nil
    waiting:callback(self)
  end
end

function AccumulatingProtocol:dataReceived(data)
  self.data = self.data .. data
end

function AccumulatingProtocol:connectionLost(reason)
  self.closed = self.closed + 1
  self.closedReason = reason
  local waiting = self.closedDeferred
  if waiting then
    self.closedDeferred = nil
    waiting:callback(nil)
  end
end

return {
  StringTransport                  = StringTransport,
  StringTransportWithDisconnection = StringTransportWithDisconnection,
  AccumulatingProtocol             = AccumulatingProtocol,
}
