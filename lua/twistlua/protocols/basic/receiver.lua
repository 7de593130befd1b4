-- SPDX-License-Identifier: MIT
-- protocols/basic/receiver.lua -- what all framing protocols share: bytes that wait to be read, the pause,
-- and the guard against reading again from inside an event.
-- Invariants: the unread bytes are _unread from position _at on, or _pieces (the beginning of a message
-- that is known to be incomplete), never both. While _receiving, a frame of _parse is on the stack and goes
-- on with whatever is added. Messages are cut out of _unread by position, so that it is not copied for each.

local Protocol = require("twistlua.protocol").Protocol
local pieces   = require "twistlua.protocols.basic.pieces"

local sub = string.sub

---A protocol that cuts the stream into messages.
---@class twistlua.Receiver: twistlua.Protocol
---@field paused boolean no message is delivered until `resumeProducing`
local Receiver = Protocol:extend("Receiver")

Receiver.paused     = false
Receiver._receiving = false
Receiver._at        = 1

-- Leaving _receive, even by an error, ends the guard.
Receiver.__close = function(self) self._receiving = false end

-- A subclass's _parse delivers messages while `_ready` is true. It may leave a beginning to `_await`.
function Receiver:_receive()
  self._receiving = true
  local _ <close> = self
  self:_parse()
end

-- Whether there may be a message to deliver. Nothing is, after loseConnection.
function Receiver:_ready()
  if self.paused or not self._unread then return false end
  local transport = self.transport
  return not (transport and transport.disconnecting)
end

-- What is left begins a message that needs `wanted` bytes in all.
function Receiver:_await(wanted)
  local unread, at = self._unread, self._at
  self._unread = nil
  if at <= #unread then
    self._pieces = pieces.new(at == 1 and unread or sub(unread, at))
    self._pieces.wanted = wanted
  end
end

-- Whether `data`, just added to the pieces, still does not complete the message.
function Receiver:_incomplete(begun, _data)
  return begun.length < begun.wanted
end

-- Take all unread bytes out.
function Receiver:_takeUnread()
  local unread, begun = self._unread, self._pieces
  self._unread, self._pieces = nil, nil
  if begun then return begun:join() end
  return unread and sub(unread, self._at) or ""
end

function Receiver:dataReceived(data)
  local begun = self._pieces
  if begun then
    begun:add(data)
    if self:_incomplete(begun, data) then return end
    data = self:_takeUnread()
  elseif self._unread then
    data = self:_takeUnread() .. data
  end
  self._unread, self._at = data, 1
  if not (self._receiving or self.paused) then self:_receive() end
end

---Deliver no more messages, and read no more from the connection.
function Receiver:pauseProducing()
  self.paused = true
  self.transport:pauseProducing()
end

---Deliver again, beginning with what is there already.
function Receiver:resumeProducing()
  self.paused = false
  self.transport:resumeProducing()
  if self._unread and not self._receiving then self:_receive() end
end

---Read no more, for ever.
function Receiver:stopProducing()
  self.paused = true
  self.transport:stopProducing()
end

return { Receiver = Receiver }
