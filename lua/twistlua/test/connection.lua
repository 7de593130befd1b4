-- SPDX-License-Identifier: MIT
-- test/connection.lua -- two protocols that talk to each other in memory. Nothing happens inside a call on a
-- transport; the test moves bytes and ends of connections with a pump, one step at a time.
-- A MemoryTransport keeps the contract of a socket's: producers, half-close, abort, writes that are
-- dropped after the end. An error in a protocol's method goes to the test.

local Object  = require("twistlua.class").Object
local address = require "twistlua.address"
local errors  = require "twistlua.error"
local Failure = require("twistlua.failure").Failure
local options = require "twistlua.options"

local HIGH_WATER = 65536           -- bytes in the buffer that pause a push producer
local OUTPUT_LIMIT = 64 * 1024^2   -- bytes in the buffer to which no more may be written, unless it is set

---One end of a connection in memory.
---@class twistlua.MemoryTransport: twistlua.Object
---@field connected boolean
---@field disconnecting boolean
---@field protocol twistlua.Protocol
local MemoryTransport = Object:extend("MemoryTransport")

function MemoryTransport:init(host, peerAddress)
  self.connected = true
  self.disconnecting = false
  self.protocol = nil
  self.peer = nil              -- the other MemoryTransport
  self._host = host
  self._peerAddress = peerAddress
  self._buffer = ""            -- written here, not yet delivered there
  self._reading = true
  self._writing = "open"       -- then "closing" from loseWriteConnection on, then "closed"
  self._ending = nil           -- the Failure that connectionLost gets at the next step
  self._eof = false            -- the other side has ended, which is seen when all its bytes were
  self._producer = nil
  self._streaming = nil
  self._producerPaused = false
  self._outputLimit = nil      -- the protocol's, or the default
  self._tellingLimit = false   -- outputLimitExceeded is on the stack
  self._tcp = { noDelay = false, keepAlive = false }
end

---@param data string
function MemoryTransport:write(data)
  if type(data) ~= "string" then error("write: expected a string, got " .. type(data), 2) end
  if not self.connected or self.disconnecting or self._writing ~= "open" then return end
  local waiting = #self._buffer
  self._buffer = self._buffer .. data
  if waiting > (self._outputLimit or self.protocol.outputLimit or OUTPUT_LIMIT) then self:_limitExceeded() end
  if self._streaming and not self._producerPaused and #self._buffer > HIGH_WATER then
    self._producerPaused = true
    self._producer:pauseProducing()
  end
end

function MemoryTransport:_limitExceeded()
  local protocol = self.protocol
  if not protocol.outputLimitExceeded then return self:_abort(errors.OutputLimitExceeded()) end
  if self._tellingLimit then return end
  self._tellingLimit = true
  protocol:outputLimitExceeded(#self._buffer)
  self._tellingLimit = false
end

---@param bytes number
function MemoryTransport:setOutputLimit(bytes)
  self._outputLimit = bytes
end

---@param strings string[]
function MemoryTransport:writeSequence(strings)
  self:write(table.concat(strings))
end

function MemoryTransport:loseConnection()
  if self.connected then self.disconnecting = true end
end

function MemoryTransport:loseWriteConnection()
  if self.connected and self._writing == "open" then self._writing = "closing" end
end

function MemoryTransport:abortConnection()
  self:_abort(errors.ConnectionAborted())
end

function MemoryTransport:_abort(reason)
  if not self.connected or self._ending then return end
  self.disconnecting = true
  self._buffer = ""
  self._ending = Failure(reason)
  if self.peer.connected then self.peer._ending = Failure(errors.ConnectionLost()) end
end

function MemoryTransport:getHost() return self._host end
function MemoryTransport:getPeer() return self._peerAddress end

function MemoryTransport:setTcpNoDelay(enabled) self._tcp.noDelay = enabled end
function MemoryTransport:getTcpNoDelay() return self._tcp.noDelay end
function MemoryTransport:setTcpKeepAlive(enabled) self._tcp.keepAlive = enabled end
function MemoryTransport:getTcpKeepAlive() return self._tcp.keepAlive end

function MemoryTransport:pauseProducing() self._reading = false end

function MemoryTransport:resumeProducing()
  if self.connected and not self.disconnecting then self._reading = true end
end

function MemoryTransport:stopProducing() self:loseConnection() end

---@param producer table
---@param streaming boolean
function MemoryTransport:registerProducer(producer, streaming)
  if self._producer then error("registerProducer: a producer is registered already", 2) end
  if not self.connected then return producer:stopProducing() end
  self._producer, self._streaming, self._producerPaused = producer, streaming, false
  if not streaming then producer:resumeProducing() end
end

function MemoryTransport:unregisterProducer()
  self._producer, self._streaming, self._producerPaused = nil, nil, false
end

function MemoryTransport:_lost(reason)
  self.connected, self._reading, self._buffer = false, false, ""
  self.peer._eof = true
  local producer = self._producer
  self:unregisterProducer()
  if producer then producer:stopProducing() end
  self.protocol:connectionLost(reason)
end

-- The other side sends no more.
function MemoryTransport:_endOfFile()
  if self.protocol.readConnectionLost and self._writing ~= "closed" then
    self.protocol:readConnectionLost()
  else
    self:_lost(Failure(errors.ConnectionDone()))
  end
end

function MemoryTransport:_receive(data, byteAtATime)
  local step = byteAtATime and 1 or #data
  for first = 1, #data, step do
    if not self.connected or self.disconnecting then return "" end
    if not self._reading then return data:sub(first) end
    self.protocol:dataReceived(data:sub(first, first + step - 1))
  end
  return ""
end

-- Deliver what is in the buffer; whether any of it was.
function MemoryTransport:_send(byteAtATime)
  local data = self._buffer
  if data == "" or not self.peer._reading and not self.peer.disconnecting then return false end
  self._buffer = ""
  local left = self.peer:_receive(data, byteAtATime)
  self._buffer = left .. self._buffer
  return #left < #data
end

-- The buffer is empty: ask the producer for more, or go on with an end that waited for this.
function MemoryTransport:_drained(moved)
  if self._producer then
    if self._streaming then moved = self._producerPaused end
    if not moved then return false end
    self._producerPaused = false
    self._producer:resumeProducing()
    return true
  elseif self.disconnecting then
    self._writing = "closed"
    self:_lost(Failure(errors.ConnectionDone()))
    return true
  elseif self._writing == "closing" then
    self._writing = "closed"
    self.peer._eof = true
    if self.protocol.writeConnectionLost then self.protocol:writeConnectionLost() end
    return true
  end
  return false
end

-- One step of this end; whether anything happened.
function MemoryTransport:_step(byteAtATime)
  if not self.connected then return false end
  if self._ending then
    self:_lost(self._ending)
    return true
  end
  local moved = self:_send(byteAtATime)
  if self.connected and self._buffer == "" and not self._ending then
    moved = self:_drained(moved) or moved
  end
  if self._eof and self.connected and self._reading and self.peer._buffer == "" then
    self._eof = false
    self:_endOfFile()
    return true
  end
  return moved
end

---Moves what two protocols say to each other.
---@class twistlua.Pump: twistlua.Object
---@field server twistlua.Protocol
---@field client twistlua.Protocol
local Pump = Object:extend("Pump")

function Pump:init(server, client, byteAtATime)
  self.server = server
  self.client = client
  self._byteAtATime = byteAtATime
end

---Let each side have one turn, the client first.
---@return boolean moved whether anything happened
function Pump:pump()
  local moved = self.client.transport:_step(self._byteAtATime)
  return self.server.transport:_step(self._byteAtATime) or moved
end

---Go on until nothing happens any more.
---@param turns_max? integer default 10000; more is an error, as two sides may talk for ever
function Pump:flush(turns_max)
  for _ = 1, turns_max or 10000 do
    if not self:pump() then return end
  end
  error("flush: the two sides still talk to each other after all these turns", 2)
end

---Connect two protocols in memory; `connectionMade` runs on both, on the server first.
---@param server twistlua.Protocol
---@param client twistlua.Protocol
---@param given? { byteAtATime?: boolean } deliver every byte by itself
---@return twistlua.Pump
local function connect(server, client, given)
  given = options.check("connect", given, { byteAtATime = "boolean" })
  local here  = address.IPv4Address("TCP", "127.0.0.1", 8000)
  local there = address.IPv4Address("TCP", "127.0.0.1", 54321)
  local serverEnd, clientEnd = MemoryTransport(here, there), MemoryTransport(there, here)
  serverEnd.peer, serverEnd.protocol = clientEnd, server
  clientEnd.peer, clientEnd.protocol = serverEnd, client
  server:makeConnection(serverEnd)
  client:makeConnection(clientEnd)
  return Pump(server, client, given.byteAtATime)
end

return { connect = connect, MemoryTransport = MemoryTransport, Pump = Pump }
