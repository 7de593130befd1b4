-- SPDX-License-Identifier: MIT
-- protocols/basic/receiver.lua -- what all framing protocols share: bytes that wait to be read, the pause,
-- and the guard against reading again from inside an event.
-- Invariants: the unread bytes are _pieces (the beginning of a message) and then _unread from position _at on.
-- Only pieces with a `head` stand before _unread, and only when it completes them: a long message that came in
-- parts is joined alone. While _receiving, a frame of _parse is on the stack and goes on with whatever is
-- added. Messages are cut out of _unread by position, so that it is not copied for each.

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

local function from(string, at)
  return at == 1 and string or sub(string, at)
end

-- What is left begins a message that needs `wanted` bytes in all.
function Receiver:_await(wanted)
  local unread, at = self._unread, self._at
  self._unread = nil
  if at <= #unread then
    self._pieces = pieces.new(from(unread, at))
    self._pieces.wanted = wanted
  end
end

-- What is left is the head of a message, up to position `first`, and less than the `wanted` bytes after it, of
-- which `announced` are the string. A _parse that calls this begins with `_begun`.
function Receiver:_awaitString(first, wanted, announced)
  local unread = self._unread
  local begun = pieces.new(sub(unread, first))
  begun.head, begun.wanted, begun.announced = sub(unread, self._at, first - 1), wanted, announced
  self._unread, self._pieces = nil, begun
end

-- The pieces that what is unread completes, and how much of it they need, if they are to be delivered. If the
-- string has meanwhile become too long, it is read from its head again.
function Receiver:_begun()
  local begun = self._pieces
  if not begun or not self:_ready() then return nil end
  if begun.announced <= self.MAX_LENGTH then return begun, begun.wanted - begun.length end
  self._unread, self._at = self:_takeUnread(), 1
end

-- Whether `data` does not complete the message either.
function Receiver:_incomplete(begun, data)
  return begun.length + #data < begun.wanted
end

-- Take all unread bytes out. A _parse that cuts what was there sees it by _at, which has gone back.
function Receiver:_takeUnread()
  local unread, begun = self._unread, self._pieces
  local left = unread and from(unread, self._at) or ""
  self._unread, self._pieces, self._at = nil, nil, 1
  if begun then return (begun.head or "") .. begun:join() .. left end
  return left
end

function Receiver:dataReceived(data)
  local begun = self._pieces
  if self._unread then
    data = self:_takeUnread() .. data
  elseif begun then
    if self:_incomplete(begun, data) then return begun:add(data) end
    if not begun.head then data = self:_takeUnread() .. data end
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

---Go on in TLS (see Transport:startTLS). What has come and was not delivered belongs to TLS: commands that somebody
---put behind the one that asked for it are not taken for what came encrypted, but make the handshake fail.
---@param contextFactory table
---@param options? table
function Receiver:startTLS(contextFactory, options)
  local given = {}
  for name, value in pairs(options or given) do given[name] = value end
  given.received = self:_takeUnread()
  self.transport:startTLS(contextFactory, given)
end

---Read no more, for ever.
function Receiver:stopProducing()
  self.paused = true
  self.transport:stopProducing()
end

return { Receiver = Receiver }
