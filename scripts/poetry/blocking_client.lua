-- blocking_client.lua: gets poems one after the other. Each waits for the one before it.
local reactor  = require "twistlua.reactor"   -- only for its clock
local socket   = require "twistlua.socket"
local tutorial = require "tutorial"

local USAGE = [[
usage: blocking_client.lua [HOST:]PORT...

Gets poetry from servers: blocking_client.lua 10001 10002 10003]]

local function getPoetry(address)
  local server <close> = assert(socket.connect(address.host, address.port))
  server:setBlocking(true)
  local poem = ""
  while true do
    local bytes = assert(server:recv(1024))   -- here we wait, and do nothing else
    if bytes == "" then return poem end
    poem = poem .. bytes
  end
end

local _, words = tutorial.options(USAGE, {})
local addresses, elapsed = tutorial.addresses(USAGE, words), 0

for i, address in ipairs(addresses) do
  local place = address.host .. ":" .. address.port
  print(("Task %d: get poetry from: %s"):format(i, place))
  local start = reactor:seconds()
  local poem = getPoetry(address)
  local time = reactor:seconds() - start
  print(("Task %d: got %d bytes of poetry from %s in %s"):format(i, #poem, place, tutorial.duration(time)))
  elapsed = elapsed + time
end

print(("Got %d poems in %s"):format(#addresses, tutorial.duration(elapsed)))
