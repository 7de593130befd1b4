-- SPDX-License-Identifier: MIT
-- options.lua -- checks the table of named arguments that stands last in a call, so that a
-- misspelt name or a value of the wrong type is an error on the caller's line.

local EMPTY = setmetatable({}, { __newindex = function() error("the empty options table is shared", 2) end })

local function known(types)
  local names = {}
  for name in pairs(types) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, ", ")
end

local function fits(value, expected)
  if expected == "any" then return true end
  if expected == "integer" then return math.type(value) == "integer" end
  return type(value) == expected
end

---Check `given` against `types`: name → a Lua type name, "integer" or "any".
---@param what string the function that was called, for the message
---@param given table|nil what the caller passed; nil means no options
---@param types table<string, string>
---@param level? integer of `error`; the default 3 blames the caller of the function that calls this
---@return table options `given`, or an empty table that must not be written to
local function check(what, given, types, level)
  if given == nil then return EMPTY end
  level = level or 3
  if type(given) ~= "table" then
    error(("%s: options must be a table, got %s"):format(what, type(given)), level)
  end
  for name, value in pairs(given) do
    local expected = types[name]
    if not expected then
      error(("%s: unknown option '%s' (known: %s)"):format(what, tostring(name), known(types)), level)
    elseif not fits(value, expected) then
      error(("%s: option '%s' must be of type %s, got %s"):format(what, name, expected, type(value)), level)
    end
  end
  return given
end

return { check = check }
