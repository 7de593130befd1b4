-- SPDX-License-Identifier: MIT
-- web/websocket/protocol.lua -- one WebSocket connection, of either side, once its handshake is done.
--
-- `_state` is false while messages go both ways; then "closing" from our close frame on until the other side's;
-- then, or when the other side broke the protocol, "ended": nothing more is read or written, and `_ending` is the
-- error that connectionLost will tell, if it is known. There is one timer at most: until the next ping, or the end of
-- the wait for a pong; later until the connection is cut.
--
-- What connects an object (`begin`) covers its connectionLost, which subclasses override, until the transport calls it.

local core     = require "twistlua.core"
local Protocol = require("twistlua.protocol").Protocol
local Failure  = require("twistlua.failure").Failure
local deflate  = require "twistlua.web.websocket.deflate"
local ending   = require "twistlua.web.websocket.errors"
local errors   = require "twistlua.error"
local isA      = require("twistlua.class").isA
local guard    = require "twistlua.guard"
local log      = require "twistlua.log"

local newCodec, isCloseCode = core.websocket.codec, core.websocket.isCloseCode
local call = guard.call

local CLOSE, PING, PONG = 8, 9, 10
local LONGEST_REASON = 123   -- bytes, of a close frame

---A WebSocket connection. A subclass overrides the events; a factory makes the objects, as for other protocols.
---An event that raises ends its connection, with a close frame of 1011.
---@class twistlua.WebSocketProtocol: twistlua.Protocol
---@field subprotocol string|nil what both sides agreed to speak
---@field compressed boolean both sides agreed to compress
---@field paused boolean no message is delivered until `resumeProducing`
---@operator call(...): twistlua.WebSocketProtocol
local WebSocketProtocol = Protocol:extend("WebSocketProtocol")

WebSocketProtocol.paused      = false
WebSocketProtocol.compressed  = false
WebSocketProtocol._state      = false
WebSocketProtocol._ending     = false
WebSocketProtocol._timer      = false
WebSocketProtocol._producer   = false

---On the server's side, before its answer: what asked for the connection. To look at it, to set fields of the answer,
---or to refuse, by an error of twistlua.web.error or by finishing the response.
---@param _request twistlua.web.Request
function WebSocketProtocol:requestReceived(_request) end

---A message came, whole.
---@param _data string text is valid UTF-8
---@param _isBinary boolean
function WebSocketProtocol:messageReceived(_data, _isBinary) end

---An answer to `sendPing`, or to a ping of ours that only asks for signs of life, which has no data. Pings of the
---other side are answered before anybody hears of them.
---@param _data string
function WebSocketProtocol:pongReceived(_data) end

---The other side's close frame came. It is answered when this returns, unless `sendClose` was called; no message
---follows.
---@param _code integer 1005 if there was none
---@param _reason string
function WebSocketProtocol:closeReceived(_code, _reason) end

---The connection is gone. Called once, and nothing comes after it.
---@param _reason twistlua.Failure WebSocketDone if both sides closed it, else WebSocketLost, with `code`, `reason`,
---  `wasClean`; or the error of a method of this object
function WebSocketProtocol:connectionLost(_reason) end

local function endReceiving(self)
  self._state = "ended"
  self._codec:close()
end

local function lost(code, reason, cause)
  return ending.WebSocketLost(reason, { code = code, reason = reason, wasClean = false, cause = cause })
end

-- ---- Sending ------------------------------------------------------------------------------------

local function sendFrame(self, opcode, payload)
  local head, rest = self._codec:frame(opcode, payload)
  local transport = self.transport
  transport:write(head)
  if rest then transport:write(rest) end
end

---Ask for a pong. Dropped once the connection is being closed.
---@param data? string at most 125 bytes, which the pong will have
function WebSocketProtocol:sendPing(data)
  if not self._state then sendFrame(self, PING, data or "") end
end

-- ---- The timer ----------------------------------------------------------------------------------

local function stopTimer(self)
  local timer = self._timer
  self._timer = false
  if timer and timer:active() then timer:cancel() end
end

local function startTimer(self, delay, f)
  stopTimer(self)
  self._timer = self._settings.clock:callLater(delay, f, self)
end

local function ping(self)
  local settings = self._settings
  sendFrame(self, PING, "")
  startTimer(self, settings.pongTimeout, self._pongMissing)
end

-- A side that does not read does not see pongs.
function WebSocketProtocol:_pongMissing()
  if self.paused then return startTimer(self, self._settings.pingInterval, ping) end
  self._timer = false
  self._ending = lost(1006, "No pong came in time")
  self.transport:abortConnection()
end

local function startPinging(self)
  local interval = self._settings.pingInterval
  if interval < math.huge then startTimer(self, interval, ping) end
end

-- ---- Closing ------------------------------------------------------------------------------------

-- A producer would hold the transport open.
local function stopProducer(self)
  local producer = self._producer
  if not producer then return end
  self:unregisterProducer()
  producer:stopProducing()
end

local function cut(self)
  self._timer = false
  self._ending = self._ending or lost(1006, "The other side did not close in time")
  self.transport:abortConnection()
end

local function sendCloseFrame(self, code, reason)
  sendFrame(self, CLOSE, code == 1005 and "" or (">I2"):pack(code) .. reason)
end

---Begin to close: the other side answers with a close frame, up to which its messages are still delivered.
---Nothing if that has begun already.
---@param code? integer default 1000; 3000 to 4999 are free to use
---@param reason? string UTF-8, at most 123 bytes
function WebSocketProtocol:sendClose(code, reason)
  code, reason = code or 1000, reason or ""
  if not isCloseCode(code) then error(("sendClose: %s cannot be sent as a code"):format(tostring(code)), 2) end
  if #reason > LONGEST_REASON then error("sendClose: the reason has at most 123 bytes, got " .. #reason, 2) end
  if not utf8.len(reason) then error("sendClose: the reason must be UTF-8", 2) end
  if self._state then return end
  self._state = "closing"
  self._codec:mute()
  sendCloseFrame(self, code, reason)
  startTimer(self, self._settings.closeTimeout, cut)
end

local function lose(self)
  self._timer = false
  self.transport:loseConnection()
end

-- Both close frames are there. The server ends the connection; a client waits for that (RFC 6455 7.1.1).
local function finish(self)
  local transport = self.transport
  endReceiving(self)
  stopProducer(self)
  if self._settings.server then
    stopTimer(self)
    transport:loseConnection()
  else
    transport:resumeProducing()
    startTimer(self, self._settings.closeTimeout, lose)
  end
end

local function closeReceived(self, code, reason)
  local closing = self._state == "closing"
  self._ending = ending.WebSocketDone(nil, { code = code, reason = reason, wasClean = true })
  self:closeReceived(code, reason)
  if self._state == "ended" then return end
  if not closing and not self._state then sendCloseFrame(self, code, "") end
  finish(self)
end

-- Our end comes with the close frame, and what is still received is thrown away: a connection that is closed with
-- unread bytes is reset, which can overtake the frame.
local function fail(self, code, reason, failure)
  if self._state == "ended" then return end
  local transport = self.transport
  if not self._state then sendCloseFrame(self, code, reason) end
  endReceiving(self)
  self._ending = failure or lost(code, reason)
  stopProducer(self)
  transport:resumeProducing()
  transport:loseWriteConnection()
  startTimer(self, self._settings.closeTimeout, cut)
end

local function raised(self, failure)
  log.err(failure, "Unhandled Error")
  fail(self, 1011, "Internal error", failure)
end

-- ---- Receiving ----------------------------------------------------------------------------------

local function controlReceived(self, opcode, payload, status)
  if opcode == CLOSE then return closeReceived(self, status, payload) end
  if opcode == PING then
    if not self._state then sendFrame(self, PONG, payload) end
    return
  end
  if not self._state then startPinging(self) end
  self:pongReceived(payload)
end

local dataReceived, sendMessage = core.websocket.methods(controlReceived, raised, fail)

WebSocketProtocol.dataReceived = dataReceived

---Send a message. Dropped once the connection is being closed. Raises if `data` is text and not UTF-8.
---@type fun(self: twistlua.WebSocketProtocol, data: string, isBinary?: boolean) text by default
WebSocketProtocol.sendMessage = sendMessage

-- ---- Back-pressure ------------------------------------------------------------------------------

---Deliver no more messages, and read no more from the connection.
function WebSocketProtocol:pauseProducing()
  self.paused = true
  self._codec:pause(true)
  self.transport:pauseProducing()
end

---Deliver again, beginning with what is there already.
function WebSocketProtocol:resumeProducing()
  if not self.paused then return end
  self.paused = false
  self._codec:pause(false)
  self.transport:resumeProducing()
  dataReceived(self, "")
end

---As a producer: close.
function WebSocketProtocol:stopProducing()
  self:sendClose(1001)
end

---Let `producer` call sendMessage as the connection takes it, as transports do. It is stopped when the connection is
---closed.
---@param producer table
---@param streaming boolean
function WebSocketProtocol:registerProducer(producer, streaming)
  self.transport:registerProducer(producer, streaming)
  self._producer = producer
end

function WebSocketProtocol:unregisterProducer()
  self._producer = false
  self.transport:unregisterProducer()
end

-- ---- Beginning and end --------------------------------------------------------------------------

-- A transport that was lost tells why; what we know of the WebSocket connection tells more.
local function reasonOf(self, reason)
  local known = self._ending
  if guard.isFailure(known) then return known end
  if known then return Failure(known) end
  if not reason:check(errors.ConnectionClosed) then return reason end
  return Failure(lost(1006, reason.value.message, reason))
end

local function connectionLost(self, reason)
  self.connectionLost = nil
  stopTimer(self)
  endReceiving(self)
  self:connectionLost(reasonOf(self, reason))
end

function WebSocketProtocol:makeConnection(transport)
  self.transport = transport
  self.connected = true
  startPinging(self)
  local ok, failure = call(self.connectionMade, self)
  if not ok then raised(self, failure) end
end

---Prepare `protocol`, fresh from its factory, for `makeConnection` when the handshake is done.
---@param protocol twistlua.WebSocketProtocol
---@param settings table of `settings.make`
---@param agreed table|nil compression
---@param subprotocol string|nil
local function begin(protocol, settings, agreed, subprotocol)
  if not isA(protocol, WebSocketProtocol) then error("the factory must build WebSocketProtocols", 0) end
  local codec = newCodec(settings.server, settings.maxMessageSize, settings.maxFrames)
  if agreed then
    deflate.apply(codec, agreed, settings.compression, settings.server)
    protocol.compressed = true
  end
  protocol.subprotocol = subprotocol
  protocol._codec = codec
  protocol._settings = settings
  protocol.connectionLost = connectionLost
end

return { WebSocketProtocol = WebSocketProtocol, begin = begin }
