-- SPDX-License-Identifier: MIT
-- protocols/basic/pieces.lua -- the parts of one message as they come from the network, joined only once.
-- Small parts are merged in lots, so that a message that comes byte by byte takes up its size and not the
-- sixteen times of a table slot a byte; every byte is copied at most twice before the join.

local concat = table.concat

local LOT = 256

local Pieces = {}
Pieces.__index = Pieces

---@param first string
---@return table pieces with `length`, the bytes so far
local function new(first)
  return setmetatable({ first, length = #first, _count = 1, _merged = 0 }, Pieces)
end

---@param piece string
function Pieces:add(piece)
  local count = self._count + 1
  self[count] = piece
  self.length = self.length + #piece
  local merged = self._merged + 1
  if count - merged == LOT then
    self[merged] = concat(self, "", merged, count)
    for index = merged + 1, count do self[index] = nil end
    self._merged, count = merged, merged
  end
  self._count = count
end

---@return string
function Pieces:join()
  local count = self._count
  if count > 4 then return concat(self, "", 1, count) end
  -- This copies only once: concat does so into its buffer first.
  return self[1] .. (self[2] or "") .. (self[3] or "") .. (self[4] or "")
end

return { new = new }
