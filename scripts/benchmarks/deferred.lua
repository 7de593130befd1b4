-- SPDX-License-Identifier: MIT
-- deferred.lua -- chains of callbacks and coroutines: one program a contender, which
-- prints a line "name, tab, value" for each row that it has.
local contenders = require "contenders"
local report = require "report"
local shell = require "shell"

local NAMES = { "twistlua", "twisted", "node" }

local SCRIPTS = { twistlua = "deferred.lua", twisted = "deferred.py", node = "deferred.js" }

-- twistlua's runs in a plain lua5.4, on the module that is built beside the program.
local function command(options, contender)
  local script = options.here .. "/deferred/" .. SCRIPTS[contender.name]
  local seconds = options.quick and "0.1" or "0.5"
  if contender.name ~= "twistlua" then return { contender.program, script, seconds } end
  local folder = contender.program:match("^(.*)/") or "."
  return { "env", "LUA_CPATH=" .. folder .. "/module/?.so;;", "lua5.4", script, seconds }
end

---@return table<string, number>|nil values, string[]|string names in their order, or a message
local function run_script(options, contender)
  local output, message = shell.output(shell.pinned(command(options, contender)))
  if not output then return nil, message end

  local values, names = {}, {}
  for name, value in output:gmatch("([^\t\n]+)\t([%d.e+-]+)") do
    names[#names + 1], values[name] = name, tonumber(value)
  end
  return values, names
end

local function add_names(all, known, names)
  for _, name in ipairs(names) do
    if not known[name] then
      known[name] = true
      all[#all + 1] = name
    end
  end
end

local group = { usual_rounds = 1, rows = {} }

function group.run(options)
  local list, columns, names, known = {}, {}, {}, {}
  for _, contender in ipairs(contenders.find(options, NAMES)) do
    local values, found = run_script(options, contender)
    if values then
      list[#list + 1], columns[#columns + 1] = contender.title, values
      add_names(names, known, found)
    else
      report.failed(contender, found)
    end
  end
  report.comparison("Deferreds", list, names, columns)
end

return group
