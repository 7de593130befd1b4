-- SPDX-License-Identifier: MIT
-- spawn.lua -- /bin/true run with pipes for its input, output and errors, and waited for, one after the other.
local contenders = require "contenders"
local report = require "report"
local shell = require "shell"

local group = { usual_rounds = 7 }

local function rate(f) return f.count / f.seconds end

group.rows = {
  {
    name = "small", title = "Children of a small process", megabytes = "1",
    columns = { { title = "children/s", ratio = true, value = rate } },
  },
  {
    name = "large", title = "Children of a process with 500 MB in use", megabytes = "500",
    columns = { { title = "children/s", ratio = true, value = rate } },
  },
}

function group.run(options, rows)
  local list = { { name = "posix_spawn", title = "posix_spawn in C" } }
  list[1].words = { shell.compile("posix_spawn", "spawn/posix_spawn.c") }
  for _, contender in ipairs(contenders.find(options, { "twistlua" })) do
    contender.words = { contender.program, options.here .. "/spawn/twistlua_spawn.lua" }
    list[#list + 1] = contender
  end
  local count = options.quick and "100" or "2000"
  for _, row in ipairs(rows) do
    local figures = report.rounds(list, function(contender)
      return shell.figures(table.move({ count, row.megabytes }, 1, 2, #contender.words + 1,
        table.move(contender.words, 1, #contender.words, 1, {})))
    end)
    report.table(row.title, list, row.columns, figures)
  end
end

return group
