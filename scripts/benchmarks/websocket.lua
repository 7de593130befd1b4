-- SPDX-License-Identifier: MIT
-- websocket.lua -- WebSocket echo, against what the same server does with bytes on TCP.
local contenders = require "contenders"
local report = require "report"
local shell = require "shell"

local function rate(title, scale)
  return { title = title, ratio = true, value = function(f) return f.count / f.wall * scale end }
end

local function cpu(title, scale)
  return { title = title, ratio = true, value = function(f) return f.cpu / f.count * scale end }
end

local group = { usual_rounds = 7 }

-- `mode` is what the load does to who speaks WebSocket, `raw` to who echoes bytes.
group.rows = {
  {
    name = "roundtrips", title = "WebSocket echo, 50 connections, 64 bytes", mode = "ws-echo", raw = "raw-echo",
    columns = { rate("round trips/s", 1), cpu("CPU s/million", 1e6) },
  },
  {
    name = "large", title = "WebSocket echo, 4 connections, 1 MiB", mode = "ws-large", raw = "raw-large",
    columns = { rate("MB/s each way", 1.048576), cpu("CPU s/GB", 1000 / 1.048576) },
  },
  {
    name = "idle", title = "Idle WebSocket connections, each after one echo", mode = "ws-idle", raw = "idle",
    arguments = function(options) return { "-c", options.quick and "1000" or "8000" } end,
    columns = {
      { title = "bytes/connection", value = function(f) return f.bytes end },
      { title = "process MB", value = function(f) return f.total / 1e6 end },
    },
  },
}

local function who(options)
  local program = contenders.twistlua(options)
  local list = {
    { name = "tcp", title = "twistlua, TCP", short = "TCP", raw = true,
      command = { program, options.here .. "/servers/twistlua_server.lua", "echo" } },
    { name = "twistlua", title = "twistlua, WebSocket",
      command = { program, options.here .. "/servers/twistlua_ws_server.lua" } },
  }
  if shell.succeeds("test -d /usr/share/nodejs/ws") and (not options.only or options.only.node) then
    list[3] = { name = "node", title = "Node, ws", command = { "node", options.here .. "/servers/node_ws_server.js" } }
  end
  return list
end

local function load_command(options, contender, row)
  local words = { options.load, contender.raw and row.raw or row.mode }
  if row.arguments then table.move(row.arguments(options), 1, 2, #words + 1, words) end
  if options.quick then table.move({ "-s", "0.3", "-w", "0.1" }, 1, 4, #words + 1, words) end
  words[#words + 1] = "--"
  return table.move(contender.command, 1, #contender.command, #words + 1, words)
end

function group.run(options, rows)
  options.load = shell.compile_load()
  local list = who(options)
  for _, row in ipairs(rows) do
    local figures = report.rounds(list, function(contender)
      return shell.figures(load_command(options, contender, row))
    end)
    report.table(row.title, list, row.columns, figures)
  end
end

return group
