-- SPDX-License-Identifier: MIT
-- contenders.lua -- who is compared, how each is found, and which package has it.
local shell = require "shell"

local PYTHON = "/usr/bin/python3"    -- Debian's, which has Debian's packages

local function has_lua_module(name)
  return function() return shell.succeeds("lua5.4 -e 'require \"" .. name .. "\"'") end
end

local function has_python_module(name)
  return function() return shell.succeeds(PYTHON .. " -c 'import " .. name .. "'") end
end

local function has_program(name)
  return function() return shell.succeeds("command -v " .. name) end
end

---`base` is what the ratios of a table refer to, and cannot be left out.
local known = {
  libev = { title = "raw libev, C", base = true },
  twistlua = { title = "twistlua" },
  luv = { title = "luv", package = "lua-luv", found = has_lua_module "luv", program = "lua5.4" },
  cqueues = {
    title = "cqueues", package = "lua-cqueues", found = has_lua_module "cqueues", program = "lua5.4",
  },
  node = { title = "Node", package = "nodejs", found = has_program "node", program = "node" },
  twisted = {
    title = "Twisted", package = "python3-twisted", found = has_python_module "twisted", program = PYTHON,
  },
  uvloop = {
    title = "uvloop", package = "python3-uvloop", found = has_python_module "uvloop", program = PYTHON,
  },
  lua = { title = "lua5.4", package = "lua5.4", found = has_program "lua5.4", program = "lua5.4" },
  python = { title = "Python", package = "python3", found = has_program(PYTHON), program = PYTHON },
}

local contenders = {}

---The program under test, and where a path to it is written in the table.
local function find_twistlua(options)
  local path = os.getenv("TWISTLUA") or options.root .. "/build/release/twistlua"
  if not shell.succeeds("test -x " .. shell.quote(path)) then
    return nil, "no program at " .. path .. " (cmake --preset release && cmake --build --preset release)"
  end
  return path
end

---Those of the names that are installed; one line for each that is not.
---@param names string[] the first is what the ratios refer to
---@return table[] each with name, title, program
function contenders.find(options, names)
  local found = {}
  for i, name in ipairs(names) do
    local entry = known[name]
    local contender = { name = name, title = entry.title, program = entry.program }
    local missing
    if name == "twistlua" then
      contender.program, missing = find_twistlua(options)
    elseif entry.found and not entry.found() then
      missing = "not installed (apt package " .. entry.package .. ")"
    end
    if missing then
      print(entry.title .. ": " .. missing)
    elseif i == 1 or not options.only or options.only[name] then
      found[#found + 1] = contender
    end
  end
  return found
end

return contenders
