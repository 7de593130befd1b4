-- SPDX-License-Identifier: MIT
-- web/http/base64.lua -- RFC 4648 base 64, as Authorization carries it.

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local VALUES = {}
for index = 1, #ALPHABET do VALUES[ALPHABET:byte(index)] = index - 1 end

local base64 = {}

---@param text string padding may be left away
---@return string|nil bytes nil for what is not base 64
function base64.decode(text)
  text = text:gsub("=+$", "")
  if text:find("[^%w+/]") or #text % 4 == 1 then return nil end
  local out, bits, count = {}, 0, 0
  for index = 1, #text do
    bits = (bits << 6 | VALUES[text:byte(index)]) & 0xffffff
    count = count + 6
    if count >= 8 then
      count = count - 8
      out[#out + 1] = string.char(bits >> count & 255)
    end
  end
  return table.concat(out)
end

---@param bytes string
---@return string
function base64.encode(bytes)
  local out = {}
  for index = 1, #bytes, 3 do
    local a, b, c = bytes:byte(index, index + 2)
    local group = a << 16 | (b or 0) << 8 | (c or 0)
    for place = 0, 3 do
      local value = group >> (18 - 6 * place) & 63
      out[#out + 1] = (place == 2 and not b or place == 3 and not c) and "=" or ALPHABET:sub(value + 1, value + 1)
    end
  end
  return table.concat(out)
end

return base64
