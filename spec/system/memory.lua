-- SPDX-License-Identifier: MIT
-- memory.lua -- how much Lua's objects take, so that two measurements can be compared.

local memory = {}

local MANY = 1 << 16   -- strings, several times as many as there are otherwise

-- Lua's table of strings doubles when it is full, and is halved by a collection that finds it less than a quarter
-- full: its size, up to some hundred KiB, tells of the past. Filled with many first, it comes to the size that goes
-- with what there is.
local function fillStrings()
  local strings = {}
  for index = 1, MANY do strings[index] = "a string for memory.lua " .. index end
  return strings
end

---Collect all that can be.
---@return number bytes of what is left
function memory.level()
  fillStrings()
  local level = math.huge
  for _ = 1, 20 do
    collectgarbage()
    local now = collectgarbage("count") * 1024
    if now >= level then break end
    level = now
  end
  return level
end

return memory
