-- SPDX-License-Identifier: MIT
-- http.lua -- HTTP servers under wrk's load: the server has one processor, wrk the other.
local contenders = require "contenders"
local report = require "report"
local shell = require "shell"

local NAMES = { "nginx_lua", "twistlua", "nginx", "node", "twisted" }

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
  { name = "large", title = "GET of 100 kB, 64 connections", path = "/large" },
}

local function command(options, contender, row)
  local words = { options.here .. "/http/measure.sh", "-c64", options.quick and "-d1s" or "-d5s" }
  if row.script then
    words[#words + 1] = "-s"
    words[#words + 1] = options.here .. "/http/" .. row.script
  end
  words[#words + 1] = row.path
  words[#words + 1] = "--"
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
  for _, row in ipairs(rows) do
    local figures = report.rounds(found, function(contender)
      return shell.figures(command(options, contender, row))
    end)
    report.table(row.title, found, COLUMNS, figures)
  end
end

return group
