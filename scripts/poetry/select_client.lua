-- select_client.lua: gets poems at the same time, with a loop around select: a reactor in small.
local reactor  = require "twistlua.reactor"   -- only for its clock
local socket   = require "twistlua.socket"
local tutorial = require "tutorial"

local USAGE = [[
usage: select_client.lua [HOST:]PORT...

Gets poetry from servers: select_client.lua 10001 10002 10003]]

-- All that has come, and whether that was the end.
local function receive(server)
  local data = ""
  while true do
    local bytes, message, name = server:recv(1024)
    if name == "EAGAIN" then return data, false end
    if not bytes then error(message) end
    if bytes == "" then return data, true end
    data = data .. bytes
  end
end

local function without(list, unwanted)
  local rest = {}
  for _, member in ipairs(list) do
    if member ~= unwanted then rest[#rest + 1] = member end
  end
  return rest
end

local function getPoetry(servers, tasks)
  while #servers > 0 do
    for _, server in ipairs(socket.select(servers, {})) do   -- here we wait, for all of them
      local task = tasks[server]
      local data, ended = receive(server)
      task.poem = task.poem .. data
      if data ~= "" then
        print(("Task %d: got %d bytes of poetry from %s"):format(task.number, #data, task.place))
      end
      if ended then
        servers = without(servers, server)
        server:close()
        print(("Task %d finished"):format(task.number))
      end
    end
  end
end

local _, words = tutorial.options(USAGE, {})
local addresses = tutorial.addresses(USAGE, words)
local start = reactor:seconds()

local servers, tasks = {}, {}
for i, address in ipairs(addresses) do
  servers[i] = assert(socket.connect(address.host, address.port))
  tasks[servers[i]] = { number = i, place = address.host .. ":" .. address.port, poem = "" }
end
getPoetry(servers, tasks)

for i, server in ipairs(servers) do
  print(("Task %d: %d bytes of poetry"):format(i, #tasks[server].poem))
end
print(("Got %d poems in %s"):format(#addresses, tutorial.duration(reactor:seconds() - start)))
