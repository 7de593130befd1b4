-- SPDX-License-Identifier: MIT
-- web/http_headers.lua -- the fields of a message: names in any case, each with one value or several.
-- They are kept in a store of the core (bindings/lua_http1_message.c): no name or value gets in that could not
-- be sent as it is.

local http1  = require("twistlua.core").http1
local Object = require("twistlua.class").Object

---A multi-map of header fields (Twisted: http_headers.Headers).
---@class twistlua.Headers: twistlua.Object
---@operator call(table?): twistlua.Headers
local Headers = Object:extend("Headers")

---@param given? table<string, string|string[]>
function Headers:init(given)
  self._store = {}
  local names = {}
  for name in pairs(given or {}) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local values = given[name]
    self:setRawHeaders(name, type(values) == "table" and values or { values })
  end
end

---Headers that show, and change, a store that exists.
---@param store table
---@return twistlua.Headers
function Headers.over(store)
  return setmetatable({ _store = store }, Headers)
end

---@param fields string[] name, value, name, value, ...
---@return twistlua.Headers
function Headers.fromFields(fields)
  local store = {}
  for index = 1, #fields, 2 do http1.addField(store, fields[index], fields[index + 1]) end
  return Headers.over(store)
end

---@param name string
---@return boolean
function Headers:hasHeader(name)
  return self._store[name:lower()] ~= nil
end

---@param name string
---@param default? any
---@return string[]|any values in their order; `default` if there are none
function Headers:getRawHeaders(name, default)
  local values = self._store[name:lower()]
  if values == nil then return default end
  if type(values) ~= "table" then return { values } end
  return table.move(values, 1, #values, 1, {})
end

---@param name string
---@return string|nil value the last
function Headers:getHeader(name)
  local values = self._store[name:lower()]
  if type(values) == "table" then return values[#values] end
  return values
end

---Set the one value. CR, LF and other control bytes become spaces; a name that is no token is an error.
---@param name string
---@param value string|number
function Headers:setHeader(name, value)
  http1.setField(self._store, name, value)
end

---Set all values; an empty list removes the header.
---@param name string
---@param values string[]
function Headers:setRawHeaders(name, values)
  if type(values) ~= "table" then
    error("setRawHeaders: a list of values expected, got " .. type(values), 2)
  end
  self:removeHeader(name)
  for _, value in ipairs(values) do http1.addField(self._store, name, value) end
end

---Add a value behind those that are there.
---@param name string
---@param value string|number
function Headers:addRawHeader(name, value)
  http1.addField(self._store, name, value)
end

---@param name string
function Headers:removeHeader(name)
  local store = self._store
  name = name:lower()
  if store[name] == nil then return end
  store[name] = nil
  for index = 1, #store do
    if store[index] == name then
      table.remove(store, index)
      return
    end
  end
end

---For a generic `for`: the names as they are spelt usually, each with its list of values.
---@return fun(): string|nil, string[]|nil
function Headers:getAllRawHeaders()
  local index = 0
  return function()
    index = index + 1
    local name = self._store[index]
    if name then return http1.canonical(name), self:getRawHeaders(name) end
  end
end

---@return twistlua.Headers
function Headers:copy()
  local store = {}
  for key, value in pairs(self._store) do
    store[key] = type(value) == "table" and table.move(value, 1, #value, 1, {}) or value
  end
  return Headers.over(store)
end

function Headers:__tostring()
  local lines = {}
  for name, values in self:getAllRawHeaders() do
    for _, value in ipairs(values) do lines[#lines + 1] = name .. ": " .. value end
  end
  return table.concat(lines, "\n")
end

return { Headers = Headers }
