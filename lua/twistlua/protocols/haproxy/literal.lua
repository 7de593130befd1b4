-- SPDX-License-Identifier: MIT
-- protocols/haproxy/literal.lua -- IP addresses: as text, and as the bytes that go over the network.

local literal = {}

-- A decimal of at most `highest`, without superfluous zeros; or nil.
local function decimal(text, highest)
  local number = text:find("^%d+$") and #text <= 5 and math.tointeger(tonumber(text))
  if number and number <= highest and tostring(number) == text then return number end
end

---@param text string
---@return integer|nil port
function literal.port(text)
  return decimal(text, 65535)
end

---@param text string dotted quad
---@return string|nil bytes four
function literal.toIPv4(text)
  local bytes = { text:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$") }
  for index = 1, #bytes do
    bytes[index] = decimal(bytes[index], 255)
    if not bytes[index] then return nil end
  end
  return #bytes == 4 and string.char(table.unpack(bytes)) or nil
end

---@param bytes string four
---@return string
function literal.fromIPv4(bytes)
  return ("%d.%d.%d.%d"):format(bytes:byte(1, 4))
end

-- The groups on one side of the "::", as bytes; nil for what is none.
local function groups(text)
  if text == "" then return "" end
  local bytes = {}
  for group in (text .. ":"):gmatch("([^:]*):") do
    if not group:find("^%x%x?%x?%x?$") then return nil end
    bytes[#bytes + 1] = (">I2"):pack(tonumber(group, 16))
  end
  return table.concat(bytes)
end

-- As above for the last groups, which may end in a dotted quad.
local function lastGroups(text)
  local front, quad = text:match("^(.*):([%d.]+%.[%d.]+)$")
  quad = literal.toIPv4(quad or text)
  if not quad then return groups(text) end
  local head = groups(front or "")
  return head and head .. quad
end

---@param text string without a scope
---@return string|nil bytes sixteen
function literal.toIPv6(text)
  local left, right = text:match("^(.-)::(.*)$")
  if not left then
    local bytes = lastGroups(text)
    return bytes and #bytes == 16 and bytes or nil
  end
  local head, tail = groups(left), lastGroups(right)
  if not head or not tail or #head + #tail > 14 then return nil end
  return head .. ("\0"):rep(16 - #head - #tail) .. tail
end

-- Where the longest run of zero groups begins, the first of equals, and how long it is.
local function zeros(group)
  local bestAt, best, at = 0, 1, 1   -- a single zero is not left out
  while at <= 8 do
    local length = 0
    while group[at + length] == 0 do length = length + 1 end
    if length > best then bestAt, best = at, length end
    at = at + math.max(1, length)
  end
  return bestAt, best
end

---@param bytes string sixteen
---@return string text as RFC 5952 has it
function literal.fromIPv6(bytes)
  local group, text = { (">I2I2I2I2I2I2I2I2"):unpack(bytes) }, {}
  if bytes:find("^" .. ("\0"):rep(10) .. "\xff\xff") then
    return "::ffff:" .. literal.fromIPv4(bytes:sub(13))
  end
  for index = 1, 8 do text[index] = ("%x"):format(group[index]) end
  local at, length = zeros(group)
  if at == 0 then return table.concat(text, ":", 1, 8) end
  return table.concat(text, ":", 1, at - 1) .. "::" .. table.concat(text, ":", at + length, 8)
end

return literal
