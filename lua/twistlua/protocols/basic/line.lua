-- SPDX-License-Identifier: MIT
-- protocols/basic/line.lua -- cuts the stream at a delimiter.
-- A line that is not yet complete is searched only where it is new; the pieces keep the end of what was
-- searched, since a delimiter may come in two parts.

local Receiver = require("twistlua.protocols.basic.receiver").Receiver

local find, sub = string.find, string.sub

---Lines, without a mode for raw bytes: a little faster than LineReceiver.
---@class twistlua.LineOnlyReceiver: twistlua.Receiver
---@field delimiter string
---@field MAX_LENGTH integer longest accepted line, in bytes, without its delimiter
---@operator call(...): twistlua.LineOnlyReceiver
local LineOnlyReceiver = Receiver:extend("LineOnlyReceiver")

LineOnlyReceiver.delimiter  = "\r\n"
LineOnlyReceiver.MAX_LENGTH = 16384

---A line came.
---@param _line string without its delimiter
function LineOnlyReceiver:lineReceived(_line)
  error(self.__name .. " has no lineReceived", 2)
end

---A line is too long, whether its end has come or not. Drops the connection unless overridden.
---@param _line string all that has come, from the beginning of the line on
function LineOnlyReceiver:lineLengthExceeded(_line)
  self.transport:loseConnection()
end

---Send a line; the delimiter is added here.
---@param line string
function LineOnlyReceiver:sendLine(line)
  self.transport:write(line .. self.delimiter)
end

function LineOnlyReceiver:_incomplete(begun, data)
  local delimiter = self.delimiter
  if begun.delimiter ~= delimiter then return false end
  local seam = begun.searched .. data
  if find(seam, delimiter, 1, true) then return false end
  begun.searched = sub(seam, math.max(1, #seam - #delimiter + 2))
  return begun.length + #data < begun.wanted
end

-- No delimiter in what is left.
function LineOnlyReceiver:_awaitDelimiter()
  local delimiter = self.delimiter
  local limit = self.MAX_LENGTH + #delimiter
  local left = #self._unread - self._at + 1
  if left >= limit then return self:lineLengthExceeded(self:_takeUnread()) end
  self:_await(limit)
  local begun = self._pieces
  if begun then
    begun.delimiter = delimiter
    begun.searched = sub(begun[1], math.max(1, left - #delimiter + 2))
  end
end

-- Take over from the class what is looked at after each line: in the object itself it is found three times
-- as fast.
function LineOnlyReceiver:_settle()
  self._raw, self.paused, self.delimiter, self.MAX_LENGTH = false, self.paused, self.delimiter, self.MAX_LENGTH
end

-- Deliver lines until lineReceived changes what holds for the next one.
function LineOnlyReceiver:_deliverLines()
  if self._raw == nil then self:_settle() end
  local unread, at, delimiter, longest = self._unread, self._at, self.delimiter, self.MAX_LENGTH
  local size = #unread
  local first, last = find(unread, delimiter, at, true)
  while first do
    if first - at > longest then return self:lineLengthExceeded(self:_takeUnread()) end
    local line = sub(unread, at, first - 1)
    at = last + 1
    self._at = at
    if last == size then self._unread = nil end
    self:lineReceived(line)
    if last == size or self._at ~= at or self.paused or self._raw or self.delimiter ~= delimiter or
       self.MAX_LENGTH ~= longest then return end
    local transport = self.transport
    if transport and transport.disconnecting then return end
    first, last = find(unread, delimiter, at, true)
  end
  self:_awaitDelimiter()
end

function LineOnlyReceiver:_parse()
  while self._unread and self:_ready() do
    if self._raw then
      self:rawDataReceived(self:_takeUnread())
    else
      self:_deliverLines()
    end
  end
end

---Lines, and raw bytes between them.
---@class twistlua.LineReceiver: twistlua.LineOnlyReceiver
---@operator call(...): twistlua.LineReceiver
local LineReceiver = LineOnlyReceiver:extend("LineReceiver")

---Bytes came in raw mode.
---@param _data string
function LineReceiver:rawDataReceived(_data)
  error(self.__name .. " has no rawDataReceived", 2)
end

---From now on, whatever comes goes to `rawDataReceived`, beginning with what is left of this delivery.
function LineReceiver:setRawMode()
  self._raw = true
end

---From now on, lines again.
---@param extra? string bytes that `rawDataReceived` got and does not want: they are read as lines
function LineReceiver:setLineMode(extra)
  self._raw = false
  if extra and extra ~= "" then self:dataReceived(extra) end
end

---Take out what has come and was not delivered.
---@return string
function LineReceiver:clearLineBuffer()
  return self:_takeUnread()
end

function LineReceiver:_incomplete(begun, data)
  return not self._raw and LineOnlyReceiver._incomplete(self, begun, data)
end

return { LineReceiver = LineReceiver, LineOnlyReceiver = LineOnlyReceiver }
