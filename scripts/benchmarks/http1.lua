-- SPDX-License-Identifier: MIT
-- http1.lua -- heads of HTTP/1 messages parsed in memory, by us and by the parsers
-- that Node used to have and has. All are built with -O2.
local contenders = require "contenders"
local report = require "report"
local shell = require "shell"

local NAMES = { "http_parser", "llhttp", "twistlua" }

local function row(name, title)
  return {
    name = name, title = title,
    columns = { { title = "MB/s", ratio = true, value = function(f) return f.bytes / f.cpu / 1e6 end } },
  }
end

local group = { usual_rounds = 5 }

group.rows = {
  row("browser", "Head of a browser's request, 678 bytes, 15 fields"),
  row("curl", "Head of curl's request, 78 bytes, 3 fields"),
  row("nginx", "Head of nginx's response, 249 bytes, 8 fields"),
}

---What a contender's program needs beside its own source.
local function needs(options, name)
  local runtime = shell.quote(options.root .. "/runtime")
  if name == "twistlua" then return ("-I%s %s/http1*.c %s/abi.c"):format(runtime, runtime, runtime) end
  if name == "http_parser" then return "-lhttp_parser" end
  return "-isystem /usr/share/include/llhttp -Wno-unused /usr/share/llhttp/*.c"
end

local function compile(options, found)
  local programs = {}
  for _, contender in ipairs(found) do
    local program = contender.name .. "_http1"
    programs[contender.name] = shell.compile(program, "http1/" .. program .. ".c", needs(options, contender.name))
  end
  return programs
end

function group.run(options, rows)
  local found = contenders.find(options, NAMES)
  local programs = compile(options, found)
  for _, one in ipairs(rows) do
    local count = options.quick and "100000" or one.name == "browser" and "2000000" or "5000000"
    local figures = report.rounds(found, function(contender)
      return shell.figures(shell.pinned({ programs[contender.name], one.name, count }))
    end)
    report.table(one.title, found, one.columns, figures)
  end
end

return group
