-- SPDX-License-Identifier: MIT
-- http.lua -- HTTP servers under wrk's load: the server has one processor, wrk the other.
local contenders = require "contenders"
local report = require "report"
local shell = require "shell"

local NAMES = { "nginx_lua", "twistlua", "nginx", "libev", "go", "node", "twisted" }

-- The floor looks for the end of each request, and sends the same bytes.
local BUILT = {
  libev = function() return { shell.compile("libev_server", "servers/libev_server.c", "-lev"), "http" } end,
  go = function(options) return { shell.compile_go("go_http", options.here .. "/servers/go_http.go") } end,
}

local SCRIPTS = {
  nginx_lua = { "nginx_http.sh", "lua" },
  nginx = { "nginx_http.sh", "plain" },
  twistlua = { "twistlua_http.lua" },
  node = { "node_http.js" },
  twisted = { "twisted_http.py" },
}

local COLUMNS = {
  { title = "requests/s", ratio = true, value = function(f) return f.count / f.wall end },
  { title = "CPU s/million", ratio = true, value = function(f) return f.cpu / f.count * 1e6 end },
}

local group = { usual_rounds = 5 }

group.rows = {
  { name = "hello", title = "GET of 14 bytes, 64 connections", path = "/" },
  { name = "pipelined", title = "The same, 16 requests at once", path = "/", script = "pipeline.lua" },
  { name = "large", title = "GET of 100 kB, 64 connections", path = "/large", but = "libev" },
}

local function command(options, contender, row)
  local words = { options.here .. "/http/measure.sh", "-c64", options.quick and "-d1s" or "-d5s" }
  if row.script then
    words[#words + 1] = "-s"
    words[#words + 1] = options.here .. "/http/" .. row.script
  end
  words[#words + 1] = row.path
  words[#words + 1] = "--"
  if contender.built then return table.move(contender.built, 1, #contender.built, #words + 1, words) end
  if contender.program then words[#words + 1] = contender.program end
  local script, argument = table.unpack(SCRIPTS[contender.name])
  words[#words + 1] = options.here .. "/servers/" .. script
  words[#words + 1] = argument
  return words
end

function group.run(options, rows)
  if not shell.succeeds("command -v wrk") then
    report.failed({ title = "wrk" }, "not installed (apt package wrk)")
    return
  end
  local found = contenders.find(options, NAMES)
  for _, contender in ipairs(found) do
    contender.built = BUILT[contender.name] and BUILT[contender.name](options)
  end
  for _, row in ipairs(rows) do
    local running = {}
    for _, contender in ipairs(found) do
      if contender.name ~= row.but then running[#running + 1] = contender end
    end
    local figures = report.rounds(running, function(contender)
      return shell.figures(command(options, contender, row))
    end)
    report.table(row.title, running, COLUMNS, figures)
  end
end

return group
