-- SPDX-License-Identifier: MIT
-- http_files.lua -- large responses under wrk's load, against nginx with sendfile: the server has one processor, wrk
-- the other.
local contenders = require "contenders"
local report = require "report"
local shell = require "shell"

local COLUMNS = {
  { title = "requests/s", ratio = true, value = function(f) return f.count / f.wall end },
  { title = "CPU µs each", ratio = true, value = function(f) return f.cpu / f.count * 1e6 end },
}

local SERVERS = { nginx_files = "nginx_files.sh", twistlua = "twistlua_files.lua" }

local group = { usual_rounds = 5 }

-- nginx has nothing in memory: what we have there stands against its file.
group.rows = {
  { name = "memory", title = "GET of 100 kB from memory (nginx: a file), 64 connections",
    paths = { twistlua = "/memory", nginx_files = "/100k.txt" } },
  { name = "100k", title = "GET of a file of 100 kB, 64 connections", path = "/100k.txt" },
  { name = "1m", title = "GET of a file of 1 MB, 64 connections", path = "/1m.txt" },
}

local function command(options, contender, row, folder)
  local words = { options.here .. "/http/measure.sh", "-c64", options.quick and "-d1s" or "-d5s" }
  words[#words + 1] = row.path or row.paths[contender.name]
  words[#words + 1] = "--"
  words[#words + 1] = contender.program
  words[#words + 1] = options.here .. "/servers/" .. SERVERS[contender.name]
  words[#words + 1] = folder
  return words
end

local function make_files()
  local pipe = assert(io.popen("mktemp -d"))
  local folder = pipe:read("l")
  pipe:close()
  for name, size in pairs { ["100k.txt"] = 100000, ["1m.txt"] = 1000000 } do
    local file <close> = assert(io.open(folder .. "/" .. name, "wb"))
    file:write(("x"):rep(size))
  end
  return folder
end

function group.run(options, rows)
  if not shell.succeeds("command -v wrk") then
    report.failed({ title = "wrk" }, "not installed (apt package wrk)")
    return
  end
  local found = contenders.find(options, { "nginx_files", "twistlua" })
  local folder = make_files()
  for _, row in ipairs(rows) do
    local figures = report.rounds(found, function(contender)
      return shell.figures(command(options, contender, row, folder))
    end)
    report.table(row.title, found, COLUMNS, figures)
  end
  os.execute("rm -r " .. shell.quote(folder))
end

return group
