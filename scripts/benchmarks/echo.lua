-- SPDX-License-Identifier: MIT
-- echo.lua -- servers under load: every contender serves from one processor, the
-- load generator runs on the other.
local contenders = require "contenders"
local report = require "report"
local shell = require "shell"

local NAMES = { "libev", "twistlua", "luv", "cqueues", "node", "twisted", "uvloop" }

local SCRIPTS = {
  twistlua = "twistlua_server.lua",
  luv = "luv_server.lua",
  cqueues = "cqueues_server.lua",
  node = "node_server.js",
  twisted = "twisted_server.py",
  uvloop = "uvloop_server.py",
}

local function rate(title, scale)
  return { title = title, ratio = true, value = function(f) return f.count / f.wall / scale end }
end

---Processor time of the server for `count` operations, in seconds (a million of
---them in seconds is a thousand of them in milliseconds).
local function cpu(title, count)
  return { title = title, ratio = true, value = function(f) return f.cpu / f.count * count end }
end

local group = { usual_rounds = 7 }

-- `serve` is what the server is asked to do; `mode` and `arguments` go to the load.
group.rows = {
  {
    name = "roundtrips", title = "Echo, 50 connections, 64 bytes", mode = "echo", serve = "echo",
    columns = { rate("round trips/s", 1), cpu("CPU s/million", 1e6) },
  },
  {
    name = "stream", title = "Echo, 4 connections streaming both ways", mode = "stream", serve = "echo",
    columns = { rate("MB/s each way", 1e6), cpu("CPU s/GB", 1e9) },
  },
  {
    name = "churn", title = "Connect, echo 64 bytes, close; 32 at a time", mode = "churn", serve = "echo",
    columns = { rate("connections/s", 1), cpu("CPU ms/thousand", 1e6) },
  },
  {
    name = "idle", title = "Idle connections, each after one echo", mode = "idle", serve = "echo",
    arguments = function(options) return { "-c", options.quick and "1000" or "8000" } end,
    columns = {
      { title = "bytes/connection", value = function(f) return f.bytes end },
      { title = "process MB", value = function(f) return f.total / 1e6 end },
    },
  },
  {
    name = "lines", title = "50 MB of 60-byte lines, counted", mode = "lines", serve = "lines",
    columns = { rate("lines/s", 1), cpu("CPU s/million", 1e6) },
  },
  {
    name = "netstrings", title = "50 MB of 64 KiB netstrings, counted", mode = "netstrings",
    serve = "netstrings", without = { node = true },
    columns = { rate("netstrings/s", 1), rate("MB/s", 1e6 / 65536), cpu("CPU s/GB", 1e9 / 65536) },
  },
}

local function server_command(options, contender, row)
  if contender.name == "libev" then return { options.libev_server, row.serve } end
  return { contender.program, options.here .. "/servers/" .. SCRIPTS[contender.name], row.serve }
end

local function load_command(options, contender, row)
  local words = { options.load, row.mode }
  if row.arguments then table.move(row.arguments(options), 1, 2, #words + 1, words) end
  if options.quick then table.move({ "-s", "0.3", "-w", "0.1" }, 1, 4, #words + 1, words) end
  words[#words + 1] = "--"
  local server = server_command(options, contender, row)
  return table.move(server, 1, #server, #words + 1, words)
end

local function those_with(found, row)
  local list = {}
  for _, contender in ipairs(found) do
    if not (row.without and row.without[contender.name]) then list[#list + 1] = contender end
  end
  return list
end

function group.run(options, rows)
  options.load = shell.compile_load()
  options.libev_server = shell.compile("libev_server", "servers/libev_server.c", "-lev")
  local found = contenders.find(options, NAMES)
  for _, row in ipairs(rows) do
    local list = those_with(found, row)
    local figures = report.rounds(list, function(contender)
      return shell.figures(load_command(options, contender, row))
    end)
    report.table(row.title, list, row.columns, figures)
  end
end

return group
