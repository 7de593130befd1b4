-- SPDX-License-Identifier: MIT
-- endpoints/description.lua -- reads endpoint strings such as `tcp:8080:interface=127.0.0.1`.
-- An argument ends at a colon, and has a name before its first equals sign; a backslash takes the next
-- character as it is. Every error shows the string and the place.

local Object = require("twistlua.class").Object

---An endpoint string, split into its arguments.
---@class twistlua.EndpointDescription: twistlua.Object
---@field prefix string what stands before the first colon
---@field rest string what stands after it, as written
---@field text string the whole
local Description = Object:extend("EndpointDescription")

-- One argument from position `at` on: its name or nil, its value, and the position of what ends it.
local function readArgument(text, at)
  local name
  local part = {}
  while at <= #text do
    local character = text:sub(at, at)
    if character == ":" then break end
    if character == "\\" then
      at = at + 1
      character = text:sub(at, at)
    elseif character == "=" and not name then
      name, part, character = table.concat(part), {}, ""
    end
    part[#part + 1] = character
    at = at + 1
  end
  return name, table.concat(part), at
end

---@param text string
---@param what string the function that was called, for messages
function Description:init(text, what)
  if type(text) ~= "string" then error(("%s: expected a string, got %s"):format(what, type(text)), 0) end
  self.text = text
  self._what = what
  self._arguments = {}     -- { name = string or nil, value = string, at = position } in order
  self._positions = {}     -- name of a field that was read → position
  local name, prefix, at = readArgument(text, 1)
  if name or at > #text then self:fail(at, "an endpoint begins with its type and a colon, such as 'tcp:'") end
  self.prefix = prefix
  self.rest = text:sub(at + 1)
  while at <= #text do
    local start = at + 1
    local argument = { at = start }
    argument.name, argument.value, at = readArgument(text, start)
    self._arguments[#self._arguments + 1] = argument
  end
end

---Raise an error about the string. `serverFromString` and `clientFromString` add their caller's line.
---@param at integer position of what is wrong
---@param message string
function Description:fail(at, message)
  error(("%s: '%s': %s, at position %d"):format(self._what, self.text, message, at), 0)
end

local function namesOf(fields)
  local names = {}
  for index, field in ipairs(fields) do names[index] = field[1] end
  return table.concat(names, ", ")
end

-- The field that an argument is for: by its name, or else by how many unnamed ones came before.
function Description:_fieldOf(argument, fields, position)
  if not argument.name then
    if not fields[position] then
      self:fail(argument.at, ("'%s:' takes no more than %d arguments"):format(self.prefix, #fields))
    end
    return fields[position]
  end
  for _, field in ipairs(fields) do
    if field[1] == argument.name then return field end
  end
  self:fail(argument.at,
    ("unknown argument '%s' (known: %s)"):format(argument.name, namesOf(fields)))
end

---The arguments as values. An argument without a name is for the next of `fields` in order.
---@param fields table[] each { name, convert, required = boolean? }; `convert(text)` returns the value, or
---nil and what is expected
---@return table<string, any>
function Description:read(fields)
  local values, unnamed = {}, 0
  for _, argument in ipairs(self._arguments) do
    if not argument.name then unnamed = unnamed + 1 end
    local field = self:_fieldOf(argument, fields, unnamed)
    local name, convert = field[1], field[2]
    if values[name] ~= nil then self:fail(argument.at, ("argument '%s' is given twice"):format(name)) end
    local value, expected = convert(argument.value)
    if value == nil then
      self:fail(argument.at, ("argument '%s' must be %s, not '%s'"):format(name, expected, argument.value))
    end
    values[name] = value
    self._positions[name] = argument.at
  end
  for _, field in ipairs(fields) do
    if field.required and values[field[1]] == nil then
      self:fail(#self.text + 1, ("argument '%s' is missing"):format(field[1]))
    end
  end
  return values
end

---Where the string gives this argument, of those that were read.
---@param name string
---@return integer|nil
function Description:positionOf(name)
  return self._positions[name]
end

-- Converters for `read`.

local function text(given)
  return given
end

local function integer(given)
  if given:find("^%d+$") then return math.tointeger(given) end
  return nil, "a whole number"
end

local function port(given)
  local number = integer(given)
  if number and number <= 65535 then return number end
  return nil, "a port between 0 and 65535"
end

-- A number, or the name of a service.
local function portOrService(given)
  if given:find("^%d") then return port(given) end
  if given ~= "" then return given end
  return nil, "a port or the name of a service"
end

local function seconds(given)
  local number = given:find("^[%d.]+$") and tonumber(given)
  if number then return number end
  return nil, "a number of seconds"
end

local function octal(given)
  if given:find("^[0-7]+$") then return tonumber(given, 8) end
  return nil, "a mode in octal, such as 660"
end

local function flag(given)
  if given == "1" then return true end
  if given == "0" then return false end
  return nil, "0 or 1"
end

return {
  Description = Description,
  text = text, integer = integer, port = port, portOrService = portOrService,
  seconds = seconds, octal = octal, flag = flag,
}
