-- SPDX-License-Identifier: MIT
-- udp.lua -- datagrams to and fro, as in echo.lua.
local contenders = require "contenders"
local report = require "report"
local shell = require "shell"

local group = { usual_rounds = 7 }

-- `clients` of them each wait for their datagram before they send the next.
group.rows = {
  { name = "roundtrips", title = "Echo of datagrams, 50 sockets, 64 bytes", clients = 50 },
  { name = "alone", title = "Echo of datagrams, one socket, 64 bytes", clients = 1 },
}

local COLUMNS = {
  { title = "round trips/s", ratio = true, value = function(f) return f.count / f.wall end },
  { title = "CPU s/million", ratio = true, value = function(f) return f.cpu / f.count * 1e6 end },
}

local function load_command(options, contender, row)
  local words = { options.load, "udp", "-c", tostring(row.clients) }
  if options.quick then table.move({ "-s", "0.3", "-w", "0.1" }, 1, 4, #words + 1, words) end
  words[#words + 1] = "--"
  if contender.name == "libev" then
    words[#words + 1] = options.libev_server
  else
    table.move({ contender.program, options.here .. "/servers/twistlua_udp_server.lua" }, 1, 2, #words + 1, words)
  end
  return words
end

function group.run(options, rows)
  options.load = shell.compile_load()
  options.libev_server = shell.compile("libev_udp_server", "servers/libev_udp_server.c", "-lev")
  local found = contenders.find(options, { "libev", "twistlua" })
  for _, row in ipairs(rows) do
    local figures = report.rounds(found, function(contender)
      return shell.figures(load_command(options, contender, row))
    end)
    report.table(row.title, found, COLUMNS, figures)
  end
end

return group
