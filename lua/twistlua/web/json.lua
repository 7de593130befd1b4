-- SPDX-License-Identifier: MIT
-- web/json.lua -- JSON (RFC 8259) by lua-cjson, strict and with an instance of its own, so that a program's
-- settings of cjson are not touched.
-- As cjson has it: `{}` is an empty object; at most 1000 levels; numbers that are read become floats, and those
-- that are written have 14 digits: longer ones, such as some identifiers, are to be sent as strings.

local instance   -- made when it is first needed: most programs have no JSON

local function cjson()
  if instance then return instance end
  local found, module = pcall(require, "cjson")
  if not found then
    error("JSON needs lua-cjson for Lua 5.4 (Debian: the package lua-cjson), which was not found:\n"
      .. tostring(module), 0)
  end
  instance = module.new()
  instance.decode_invalid_numbers(false)
  return instance
end

local json = setmetatable({}, {
  __index = function(self, name)
    if name ~= "null" then return nil end
    self.null = cjson().null
    return self.null
  end,
})

---@class twistlua.web.json
---@field null lightuserdata what JSON's null becomes, and what becomes null

---@param value any tables, strings, numbers, booleans and json.null; raises for anything else
---@return string
function json.encode(value)
  return cjson().encode(value)
end

---@param text string
---@return any value, or nil
---@return string|nil message what is wrong with the text, and where
function json.decode(text)
  local ok, value = pcall(cjson().decode, text)
  if ok then return value end
  return nil, "not JSON: " .. tostring(value)
end

return json
