-- SPDX-License-Identifier: MIT
-- web/static/ranges.lua -- the Range header of RFC 9110, 14.2: which bytes of a body are wanted.

local MAX_RANGES = 32      -- more of them are an attack or a mistake: all is sent
local MAX_DIGITS = 18      -- what an integer holds for certain

local ranges = {}

-- { first, last } of one range, false where the body has none of it, nil where it is malformed.
local function one(text, size)
  local first, last = text:match("^(%d*)%-(%d*)$")
  if not first or #first > MAX_DIGITS or #last > MAX_DIGITS then return nil end
  if first == "" then
    if last == "" then return nil end
    local count = math.min(math.tointeger(last), size)
    return count > 0 and { size - count, size - 1 } or false
  end
  first, last = math.tointeger(first), math.tointeger(last ~= "" and last or size - 1)
  if last < first and text:sub(-1) ~= "-" then return nil end
  return first < size and { first, math.min(last, size - 1) } or false
end

-- Ranges that together are longer than the body, or many, only make work (RFC 9110, 14.2).
local function areModest(wanted, size)
  local sum = 0
  for _, range in ipairs(wanted) do sum = sum + range[2] - range[1] + 1 end
  return sum <= size
end

---@param header string the value of Range
---@param size integer bytes in the body
---@return { [1]: integer, [2]: integer }[]|nil wanted offsets of the first and last byte of each range, counted from
---  0; empty where none can be had, which is status 416; nil where all is to be sent
function ranges.parse(header, size)
  local unit, set = header:match("^%s*(%a+)%s*=(.*)$")
  if not unit or unit:lower() ~= "bytes" then return nil end
  local wanted, count = {}, 0
  for part in (set .. ","):gmatch("([^,]*),") do
    part = part:match("^[ \t]*(.-)[ \t]*$")
    if part ~= "" then
      local range = one(part, size)
      count = count + 1
      if range == nil or count > MAX_RANGES then return nil end
      if range then wanted[#wanted + 1] = range end
    end
  end
  if count == 0 or not areModest(wanted, size) then return nil end
  return wanted
end

---@param range { [1]: integer, [2]: integer }
---@param size integer
---@return string value of Content-Range
function ranges.describe(range, size)
  return ("bytes %d-%d/%d"):format(range[1], range[2], size)
end

return ranges
