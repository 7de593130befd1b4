-- slow_poetry.lua: the blocking server: a poem, a few bytes at a time, to one client at a time. The others wait.
local socket   = require "twistlua.socket"
local tutorial = require "tutorial"

local USAGE = [[
usage: slow_poetry.lua [options] POEM

Serves a poem slowly: slow_poetry.lua --port 10001 scripts/poetry/poems/ecstasy.txt
  --port PORT      to listen on; a free one by default
  --iface HOST     to listen on; localhost by default
  --delay SECONDS  between two pieces; 0.7 by default
  --num-bytes N    in a piece; 10 by default]]

local function sendPoetry(client, poem, numBytes, delay)
  for first = 1, #poem, numBytes do
    local piece = poem:sub(first, first + numBytes - 1)
    print(("Sending %d bytes"):format(#piece))
    if not client:sendall(piece) then break end   -- the client has hung up
    socket.select({}, {}, delay)                   -- sleeps
  end
  client:close()
end

local options, words = tutorial.options(USAGE, { port = 0, iface = "localhost", delay = 0.7, num_bytes = 10 })
if options.num_bytes == 0 then tutorial.stop(USAGE, "Nobody gets poetry by 0 bytes.") end
local path, poem = tutorial.poem(USAGE, words)

local listening = assert(socket.listen(options.iface, options.port, 5))
listening:setBlocking(true)
print(("Serving %s on port %d."):format(path, listening:getsockname().port))

while true do
  local client, address = assert(listening:accept())
  client:setBlocking(true)
  print(("Somebody at %s wants poetry!"):format(address))
  sendPoetry(client, poem, options.num_bytes, options.delay)
end
