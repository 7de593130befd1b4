-- SPDX-License-Identifier: MIT
-- startup.lua -- what a program that does nothing costs.
local contenders = require "contenders"
local report = require "report"
local shell = require "shell"

-- One program may stand here more than once, with more or less loaded.
local COMMANDS = {
  { "lua", "lua5.4", "-e", "" },
  { "twistlua", "twistlua", "-e", "" },
  { "twistlua", "twistlua with the reactor", "-e", 'require "twistlua.reactor"' },
  { "luv", "lua5.4 with luv", "-e", 'require "luv"' },
  { "python", "Python", "-c", "" },
  { "twisted", "Python with Twisted's reactor", "-c", "from twisted.internet import reactor" },
  { "node", "Node", "-e", "" },
}

local NAMES = { "lua", "twistlua", "luv", "python", "twisted", "node" }

local group = { usual_rounds = 7 }

group.rows = {
  {
    name = "startup", title = "Start, do nothing, end",
    columns = {
      { title = "ms", ratio = true, value = function(f) return f.wall * 1e3 end },
      { title = "CPU ms", ratio = true, value = function(f) return f.cpu * 1e3 end },
      { title = "memory, MB", value = function(f) return f.bytes / 1e6 end },
    },
  },
}

---The commands whose programs are there, each as a contender of its own.
local function entries(options)
  local programs, list = {}, {}
  for _, contender in ipairs(contenders.find(options, NAMES)) do
    programs[contender.name] = contender.program
  end
  for i, command in ipairs(COMMANDS) do
    local program = programs[command[1]]
    if program then
      local words = { program, command[3], command[4] }
      list[#list + 1] = { name = tostring(i), title = command[2], words = words }
    end
  end
  return list
end

function group.run(options, rows)
  local startup = shell.compile("startup", "startup.c")
  local count = options.quick and "5" or "40"
  local list = entries(options)
  for _, row in ipairs(rows) do
    local figures = report.rounds(list, function(entry)
      local words = { startup, count }
      table.move(entry.words, 1, #entry.words, #words + 1, words)
      return shell.figures(shell.pinned(words))
    end)
    report.table(row.title, list, row.columns, figures)
  end
end

return group
