-- SPDX-License-Identifier: MIT
-- protocols/basic/strings.lua -- messages that say their length first: netstrings, and strings after a binary
-- integer. A message that comes in parts is joined once, when the last of it is there.

local Receiver = require("twistlua.protocols.basic.receiver").Receiver
local errors   = require "twistlua.error"

local byte, match, sub, unpack = string.byte, string.match, string.sub, string.unpack

local COMMA, ZERO = (","):byte(), ("0"):byte()

local JOINED_MAX = 1024   -- bytes: joining a longer string costs more than to hand over its parts

local function send(transport, head, string, tail)
  if #string > JOINED_MAX then
    transport:writeSequence { head, string, tail }
  else
    transport:write(head .. string .. tail)
  end
end

---Netstrings: `5:hello,`.
---@class twistlua.NetstringReceiver: twistlua.Receiver
---@field MAX_LENGTH integer longest accepted string, in bytes
---@field brokenPeer boolean the peer has sent what is no netstring, and its connection was dropped
---@operator call(...): twistlua.NetstringReceiver
local NetstringReceiver = Receiver:extend("NetstringReceiver")

NetstringReceiver.MAX_LENGTH = 99999
NetstringReceiver.brokenPeer = false

---A string came.
---@param _string string
function NetstringReceiver:stringReceived(_string)
  error(self.__name .. " has no stringReceived", 2)
end

---Send a string; the length and the comma are added here.
---@param string string
function NetstringReceiver:sendString(string)
  send(self.transport, #string .. ":", string, ",")
end

function NetstringReceiver:_break()
  self.brokenPeer = true
  self:_takeUnread()
  self.transport:loseConnection()
end

-- The length that `digits` name, or nil when no good netstring begins so.
local function lengthOf(digits, limit)
  if byte(digits) == ZERO and #digits > 1 then return nil end
  local length = math.tointeger(digits)   -- nil for what no integer holds
  return length and length <= limit and length or nil
end

-- No complete header in what is left: wait for more, unless no header can begin so.
function NetstringReceiver:_awaitHeader()
  local digits = match(self._unread, "^%d*$", self._at)
  if not digits or digits ~= "" and not lengthOf(digits, self.MAX_LENGTH) then return self:_break() end
  self:_await(#digits + 1)
end

-- The string that came in pieces.
function NetstringReceiver:_deliverBegun(begun, comma)
  local unread = self._unread
  if byte(unread, comma) ~= COMMA then return self:_break() end
  begun:add(sub(unread, 1, comma - 1))
  self._pieces, self._at = nil, comma + 1
  self:stringReceived(begun:join())
end

function NetstringReceiver:_parse()
  local begun, missing = self:_begun()
  if begun then self:_deliverBegun(begun, missing) end
  while self:_ready() do
    local unread, at = self._unread, self._at
    local digits = match(unread, "^(%d+):", at)
    if not digits then return self:_awaitHeader() end
    local length = lengthOf(digits, self.MAX_LENGTH)
    if not length then return self:_break() end
    local first = at + #digits + 1
    local comma = first + length
    if comma > #unread then return self:_awaitString(first, length + 1, length) end
    if byte(unread, comma) ~= COMMA then return self:_break() end
    self._at = comma + 1
    self:stringReceived(sub(unread, first, comma - 1))
  end
end

local StringTooLongError = errors.Error:extend("StringTooLongError")

---Strings after their length as a big-endian integer; a subclass says of how many bytes.
---@class twistlua.IntNStringReceiver: twistlua.Receiver
---@field MAX_LENGTH integer longest accepted string, in bytes
---@field prefixLength integer bytes of the length
---@field structFormat string of the length, for `string.pack`
local IntNStringReceiver = Receiver:extend("IntNStringReceiver")

IntNStringReceiver.MAX_LENGTH = 99999

IntNStringReceiver.stringReceived = NetstringReceiver.stringReceived

---The peer announces a string that is too long; none of it was waited for. Drops the connection unless
---overridden.
---@param _length integer bytes that it announces
function IntNStringReceiver:lengthLimitExceeded(_length)
  self.transport:loseConnection()
end

---Send a string; the length is added here. Raises StringTooLongError when the prefix cannot hold it.
---@param string string
function IntNStringReceiver:sendString(string)
  if #string >= 1 << 8 * self.prefixLength then
    error(StringTooLongError(("%d bytes, and the prefix holds at most %d"):format(
      #string, (1 << 8 * self.prefixLength) - 1)), 0)
  end
  send(self.transport, self.structFormat:pack(#string), string, "")
end

---The bytes that have come and were not delivered; with an argument, replace them. A protocol that hands
---the connection over to another takes what is left with `self:recvd("")` and gives it on.
---@param replacement? string
---@return string
function IntNStringReceiver:recvd(replacement)
  local left = self:_takeUnread()
  local kept = replacement or left
  if kept ~= "" then self._unread, self._at = kept, 1 end
  return left
end

-- The string that came in pieces.
function IntNStringReceiver:_deliverBegun(begun, last)
  begun:add(sub(self._unread, 1, last))
  self._pieces, self._at = nil, last + 1
  self:stringReceived(begun:join())
end

function IntNStringReceiver:_parse()
  local begun, missing = self:_begun()
  if begun then self:_deliverBegun(begun, missing) end
  local prefix, format = self.prefixLength, self.structFormat
  while self:_ready() do
    local unread, at = self._unread, self._at
    local first = at + prefix
    if first - 1 > #unread then return self:_await(prefix) end
    local length = unpack(format, unread, at)
    if length > self.MAX_LENGTH then return self:lengthLimitExceeded(length) end
    local last = first + length - 1
    if last > #unread then return self:_awaitString(first, length, length) end
    self._at = last + 1
    self:stringReceived(sub(unread, first, last))
  end
end

local function intReceiver(bits)
  local class = IntNStringReceiver:extend(("Int%dStringReceiver"):format(bits))
  class.prefixLength = bits // 8
  class.structFormat = ">I" .. bits // 8
  return class
end

return {
  NetstringReceiver   = NetstringReceiver,
  IntNStringReceiver  = IntNStringReceiver,
  Int8StringReceiver  = intReceiver(8),
  Int16StringReceiver = intReceiver(16),
  Int32StringReceiver = intReceiver(32),
  StringTooLongError  = StringTooLongError,
}
