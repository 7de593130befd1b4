-- SPDX-License-Identifier: MIT
-- limits.lua -- what the limits of a host's runtime cost a script that stays within them.
local report = require "report"
local shell = require "shell"

local KINDS = {
  { name = "none", title = "no limits" },
  { name = "time", title = "time_limit" },
  { name = "instructions", title = "instruction_limit" },
}

local function row(name, title)
  return {
    name = name, title = title,
    columns = { { title = "CPU ms", ratio = true, value = function(f) return f.cpu * 1e3 end } },
  }
end

local group = { usual_rounds = 7 }

group.rows = {
  row("calls", "fib(32)"),
  row("tables", "An array of 100,000 read and written 100 times"),
  row("strings", "A million strings made, put into capitals and searched"),
  row("objects", "Three million tables given a metatable"),
  row("coroutines", "A coroutine resumed two million times"),
  row("timers", "A million calls by the reactor"),
}

function group.run(options, rows)
  local folder = options.root .. "/build/release"
  local program = shell.compile("limits", "limits.c",
    ("-I%s -L%s -ltwistlua -Wl,-rpath,%s"):format(
      shell.quote(options.root .. "/runtime"), shell.quote(folder), shell.quote(folder)))
  for _, one in ipairs(rows) do
    local figures = report.rounds(KINDS, function(kind)
      return shell.figures(shell.pinned({ program, one.name, kind.name }))
    end)
    report.table(one.title, KINDS, one.columns, figures)
  end
end

return group
