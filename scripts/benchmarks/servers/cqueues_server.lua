-- SPDX-License-Identifier: MIT
-- cqueues_server.lua echo | lines | netstrings: a coroutine for each connection
local cqueues = require "cqueues"
local socket = require "cqueues.socket"

local function echo(connection)
  connection:setmode("b", "bn")
  while true do
    local data = connection:read(-65536)
    if not data then return end
    connection:write(data)
  end
end

local function lines(connection)
  local count = 0
  connection:setmode("b", "bn")
  for line in connection:lines("*L") do
    if line == "END\r\n" then
      connection:write(count .. "\r\n")
    else
      count = count + 1
    end
  end
end

local function read_size(connection)
  local digits = ""
  while true do
    local byte = connection:read(1)
    if not byte or byte == ":" then return tonumber(digits) end
    digits = digits .. byte
  end
end

local function netstrings(connection)
  local count = 0
  connection:setmode("b", "bn")
  for size in read_size, connection do
    local text = connection:read(size)
    connection:read(1)
    if text == "END" then
      local answer = tostring(count)
      connection:write(#answer .. ":" .. answer .. ",")
    else
      count = count + 1
    end
  end
end

local serve = ({ echo = echo, lines = lines, netstrings = netstrings })[arg[1]]
local loop = cqueues.new()
local server = socket.listen { host = "127.0.0.1", port = 0, backlog = 4096 }
server:listen()
print((select(3, server:localname())))
io.stdout:flush()
loop:wrap(function()
  for connection in server:clients() do
    loop:wrap(function()
      connection:onerror(function(_, _, why) return why end)
      serve(connection)
      connection:close()
    end)
  end
end)
assert(loop:loop())
