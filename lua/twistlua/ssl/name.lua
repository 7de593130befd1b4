-- SPDX-License-Identifier: MIT
-- ssl/name.lua -- the names in certificates: of their owners, and of the hosts that they are for.
-- The core has them as lists: kind, NUL, value, NUL, and so on.

local Object = require("twistlua.class").Object

-- In the order in which they are written, with the words of X.509 and of Twisted.
local ATTRIBUTES = {
  { "C", "countryName" }, { "ST", "stateOrProvinceName" }, { "L", "localityName" }, { "O", "organizationName" },
  { "OU", "organizationalUnitName" }, { "CN", "commonName" }, { "emailAddress", "emailAddress" },
}

local LONG, SHORT = {}, {}
for _, pair in ipairs(ATTRIBUTES) do
  LONG[pair[1]], SHORT[pair[2]] = pair[2], pair[1]
end

---A distinguished name (Twisted: DN), such as `DN { commonName = "example.org", O = "Example" }`. Its parts are
---fields, by their long names.
---@class twistlua.ssl.DN: twistlua.Object
---@field commonName string|nil
---@field organizationName string|nil
---@field organizationalUnitName string|nil
---@field localityName string|nil
---@field stateOrProvinceName string|nil
---@field countryName string|nil two letters
---@field emailAddress string|nil
local DN = Object:extend("DN")

---@param parts? table<string, string> by long or short names
---@param level? integer of `error`
function DN:init(parts, level)
  level = level or 3
  for kind, value in pairs(parts or {}) do
    local long = LONG[kind] or SHORT[kind] and kind
    if not long then error(("DN: there is no attribute '%s'"):format(tostring(kind)), level) end
    if type(value) ~= "string" or value:find("\0", 1, true) then
      error(("DN: %s must be a string without zero bytes"):format(kind), level)
    end
    self[long] = value
  end
end

---A DN of what the user of a method gave: one, or a table for one.
function DN.of(given)
  return require("twistlua.class").isA(given, DN) and given or DN(given, 5)
end

---@param list string the core's
function DN.fromList(list)
  local name = DN()
  name._list = list   -- may have attributes that we have no word for
  for kind, value in list:gmatch "(%Z*)%z(%Z*)%z" do name[LONG[kind] or kind] = value end
  return name
end

function DN:toList()
  if self._list then return self._list end
  local parts = {}
  for _, pair in ipairs(ATTRIBUTES) do
    local value = self[pair[2]]
    if value then parts[#parts + 1] = pair[1] .. "\0" .. value .. "\0" end
  end
  return table.concat(parts)
end

---@return string text a line for each part
function DN:inspect()
  local lines = {}
  for kind, value in self:toList():gmatch "(%Z*)%z(%Z*)%z" do
    lines[#lines + 1] = ("%s: %s"):format(LONG[kind] or kind, value)
  end
  return table.concat(lines, "\n")
end

function DN:__tostring()
  local parts = {}
  for kind, value in self:toList():gmatch "(%Z*)%z(%Z*)%z" do parts[#parts + 1] = kind .. "=" .. value end
  return table.concat(parts, ", ")
end

function DN:__eq(other)
  return self:toList() == other:toList()
end

local function kindOf(name)
  if name:find "^%d+%.%d+%.%d+%.%d+$" or name:find "^%x*:[%x:.]*$" then return "IP" end
  if name:find "^[%w%-_.*]+$" then return "DNS" end
  if name:find "^[%w%-_.+]+@[%w%-_.]+$" then return "email" end
end

---Alternative names as OpenSSL's configuration has them.
---@param names string[]|nil host names, IP addresses, addresses of e-mail
---@param level integer of `error`
---@return string|nil
local function alternativeNames(names, level)
  if not names or #names == 0 then return nil end
  local parts = {}
  for i, name in ipairs(names) do
    local kind = type(name) == "string" and kindOf(name)
    if not kind then error(("'%s' is not a host name or IP address"):format(tostring(name)), level) end
    parts[i] = kind .. ":" .. name
  end
  return table.concat(parts, ",")
end

---@param list string the core's
---@return string[] values
local function valuesOf(list)
  local values = {}
  for value in list:gmatch "%Z*%z(%Z*)%z" do values[#values + 1] = value end
  return values
end

return { DN = DN, alternativeNames = alternativeNames, valuesOf = valuesOf }
