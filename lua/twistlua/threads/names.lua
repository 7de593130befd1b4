-- SPDX-License-Identifier: MIT
-- names.lua -- functions that are named "module:function", so that every state finds its own.

local names = {}

local function split(name)
  return name:match("^([^:]+):([^:]+)$")
end

---Whether it has the form of one.
---@param name any
---@return boolean
function names.isName(name)
  return type(name) == "string" and split(name) ~= nil
end

---Load the module and take the function out of it. Raises what is wrong with either.
---@param name string "module:function"
---@return function
function names.find(name)
  local module, member = split(name)
  if not module then error(("not the name of a function, as \"module:function\": '%s'"):format(name), 0) end
  local loaded = require(module)
  local f = type(loaded) == "table" and loaded[member]
  if type(f) ~= "function" then
    error(("'%s' is no function of the module '%s'"):format(member, module), 0)
  end
  return f
end

return names
