-- SPDX-License-Identifier: MIT
-- received.lua -- what a WebSocket codec makes of bytes, told by the methods that WebSocketProtocol has.
-- Events are { 1 or 2, payload } of a message, { opcode, payload, status } of a control frame, and last
-- { false, status, sentence } when the other side broke the rules, upon which the codec is closed.
local websocket = require("twistlua.core").websocket

local received = {}

local function note(self, ...)
  self.events[#self.events + 1] = { ... }
  if self.one then self._codec:pause(true) end
end

local function messageReceived(self, data, isBinary) note(self, isBinary and 2 or 1, data) end

local dataReceived = websocket.methods(note, function(_, failure) error(failure, 0) end,
  function(self, status, sentence)
    note(self, false, status, sentence)
    self._codec:close()
  end)

---The events of bytes that come in pieces of a size, or all at once.
function received.all(codec, bytes, size)
  local self = { _codec = codec, events = {}, messageReceived = messageReceived }
  size = size or math.maxinteger
  for first = 1, #bytes, size do dataReceived(self, bytes:sub(first, first + size - 1)) end
  return self.events
end

---The next event only: the codec is paused in it, and keeps what is behind.
function received.one(codec, bytes)
  local self = { _codec = codec, events = {}, messageReceived = messageReceived, one = true }
  dataReceived(self, bytes or "")
  codec:pause(false)
  return table.unpack(self.events)
end

return received
