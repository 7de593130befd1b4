-- SPDX-License-Identifier: MIT
-- class.lua -- the one class system: single inheritance by copying.
-- A subclass copies its parent's members when it is made, so a method is one table look-up
-- away from the object; what is added to a parent afterwards does not reach its subclasses.

---@class twistlua.Object
---@field super table|nil the class that this one extends
local Object = { __name = "Object" }
Object.__index = Object

local Class = {}

function Class.__call(class, ...)
  local object = setmetatable({}, class)
  object:init(...)
  return object
end

function Class.__tostring(class)
  return "class " .. class.__name
end

---Called with the arguments of `SomeClass(...)`.
function Object:init() end

---Make a subclass. Its `__name` is what tracebacks and `tostring` show.
---@param name string
---@return table class
function Object:extend(name)
  local class = {}
  for key, member in pairs(self) do class[key] = member end
  class.__index = class
  class.__name = name
  class.super = self
  return setmetatable(class, Class)
end

---Whether this object, or this class, is a `class` or descends from it.
---@param class table
---@return boolean
function Object:is(class)
  local candidate = getmetatable(self) == Class and self or getmetatable(self)
  while candidate do
    if candidate == class then return true end
    candidate = candidate.super
  end
  return false
end

---The class of an object made by this class system, or nil for any other value.
---@param object any
---@return table|nil class
local function classOf(object)
  local kind = type(object)
  local class = (kind == "table" or kind == "userdata") and getmetatable(object) or nil
  if type(class) == "table" and getmetatable(class) == Class then return class end
end

setmetatable(Object, Class)

---Whether `value` is an object (or class) that is, or descends from, `class`; false for anything else.
---@param value any
---@param class table
---@return boolean
local function isA(value, class)
  local is = type(value) == "table" and getmetatable(value) == Class and value or classOf(value)
  return is and is:is(class) or false
end

return { Object = Object, classOf = classOf, isA = isA }
