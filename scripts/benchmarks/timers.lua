-- SPDX-License-Identifier: MIT
-- timers.lua -- calls for later: made and fired, made and cancelled, and one made
-- and cancelled among few or many that wait. Processor time, which is also the
-- time by the clock: nothing here waits.
local contenders = require "contenders"
local report = require "report"
local shell = require "shell"

local NAMES = { "luv", "twistlua", "libev", "node", "twisted" }

local SCRIPTS = {
  twistlua = "twistlua_timers.lua",
  luv = "luv_timers.lua",
  node = "node_timers.js",
  twisted = "twisted_timers.py",
}

local function per_second(title)
  return { title = title, ratio = true, value = function(f) return f.count / f.cpu end }
end

local function nanoseconds(title, name)
  return {
    title = title, ratio = true,
    value = function(f) return f[name] end,
  }
end

local group = { usual_rounds = 3 }

group.rows = {
  {
    name = "fired", title = "1,000,000 calls made and fired",
    runs = { { "fired", "1000000" } }, quick = { { "fired", "50000" } },
    columns = { per_second("calls/s") },
  },
  {
    name = "cancelled", title = "1,000,000 calls made and cancelled",
    runs = { { "cancelled", "1000000" } }, quick = { { "cancelled", "50000" } },
    columns = { per_second("calls/s") },
  },
  {
    name = "pending", title = "One call made and cancelled, with others pending",
    runs = { { "pending", "1000", "200000" }, { "pending", "1000000", "200000" } },
    quick = { { "pending", "1000", "20000" }, { "pending", "100000", "20000" } },
    columns = { nanoseconds("ns, few pending", "few"), nanoseconds("ns, many pending", "many") },
  },
}

local function command(options, contender, run)
  local words = { options.libev_timers }
  if contender.name ~= "libev" then
    words = { contender.program, options.here .. "/timers/" .. SCRIPTS[contender.name] }
  end
  return shell.pinned(table.move(run, 1, #run, #words + 1, words))
end

---One figure from the one or two runs of a row.
local function measure(options, contender, runs)
  local results = {}
  for i, run in ipairs(runs) do
    local figures, message = shell.figures(command(options, contender, run))
    if not figures then return nil, message end
    results[i] = figures
  end
  if #results == 1 then return results[1] end
  return {
    few = results[1].cpu / results[1].count * 1e9,
    many = results[2].cpu / results[2].count * 1e9,
  }
end

function group.run(options, rows)
  options.libev_timers = shell.compile("libev_timers", "timers/libev_timers.c", "-lev")
  local found = contenders.find(options, NAMES)
  for _, row in ipairs(rows) do
    local runs = options.quick and row.quick or row.runs
    local figures = report.rounds(found, function(contender)
      return measure(options, contender, runs)
    end)
    report.table(options.quick and row.name or row.title, found, row.columns, figures)
  end
end

return group
