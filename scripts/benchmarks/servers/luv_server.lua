-- SPDX-License-Identifier: MIT
-- luv_server.lua echo | lines | netstrings: libuv from Lua; the framing is written by hand
local uv = require "luv"

local function echo(client)
  return function(data) client:write(data) end
end

local function lines(client)
  local count, rest = 0, ""
  return function(data)
    local bytes, from = rest .. data, 1
    while true do
      local start, stop = bytes:find("\r\n", from, true)
      if not start then break end
      if bytes:sub(from, start - 1) == "END" then
        client:write(count .. "\r\n")
      else
        count = count + 1
      end
      from = stop + 1
    end
    rest = bytes:sub(from)
  end
end

-- Pieces are joined once a string is complete, not as they arrive.
local function netstrings(client)
  local count, pieces, have, wanted = 0, {}, 0, 1
  return function(data)
    pieces[#pieces + 1], have = data, have + #data
    if have < wanted then return end
    local bytes, from = table.concat(pieces), 1
    while true do
      local size, start = bytes:match("^(%d+):()", from)
      wanted = size and start + size - from + 1 or 1
      if not size or #bytes - from + 1 < wanted then break end
      local text = bytes:sub(start, start + size - 1)
      if text == "END" then
        local answer = tostring(count)
        client:write(#answer .. ":" .. answer .. ",")
      else
        count = count + 1
      end
      from = from + wanted
    end
    bytes = bytes:sub(from)
    pieces, have = { bytes }, #bytes
  end
end

local receiver = ({ echo = echo, lines = lines, netstrings = netstrings })[arg[1]]
local server = uv.new_tcp()
server:bind("127.0.0.1", 0)
server:listen(4096, function()
  local client = uv.new_tcp()
  server:accept(client)
  local receive = receiver(client)
  client:read_start(function(err, data)
    if err or not data then return client:close() end
    receive(data)
  end)
end)
print(server:getsockname().port)
io.stdout:flush()
uv.run()
