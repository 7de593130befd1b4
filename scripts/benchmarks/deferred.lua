-- SPDX-License-Identifier: MIT
-- deferred.lua -- chains of callbacks and coroutines: one program a contender, which
-- prints a line "name, tab, value" for each row that it has.
local contenders = require "contenders"
local report = require "report"
local shell = require "shell"

local NAMES = { "twistlua", "twisted", "node" }

local SCRIPTS = { twistlua = "deferred.lua", twisted = "deferred.py", node = "deferred.js" }

---@return table<string, number>|nil values, string[]|string names in their order, or a message
local function run_script(options, contender)
  local script = options.here .. "/deferred/" .. SCRIPTS[contender.name]
  if not shell.succeeds("test -f " .. shell.quote(script)) then return nil, "has no program" end
  local words = shell.pinned { contender.program, script, options.quick and "0.1" or "0.5" }
  local output, message = shell.output(words)
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

local group = { rows = {} }

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
