-- client_1.lua: Get Poetry Now! 1.0: the loop is the reactor's now, the sockets are still ours. What protocols and
-- transports do for you can be seen from what they would save here.
local main     = require "twistlua.main"
local reactor  = require "twistlua.reactor"
local socket   = require "twistlua.socket"
local class    = require "twistlua.class"
local tutorial = require "tutorial"

local USAGE = [[
usage: client_1.lua [HOST:]PORT...

Gets poetry from servers: client_1.lua 10001 10002 10003]]

local PoetrySocket = class.Object:extend("PoetrySocket")

function PoetrySocket:init(taskNumber, address)
  self.taskNumber = taskNumber
  self.place = address.host .. ":" .. address.port
  self.poem = ""
  self.socket = assert(socket.connect(address.host, address.port))
  reactor:addReader(self)
end

function PoetrySocket:fileno() return self.socket:fileno() end

function PoetrySocket:logPrefix() return "poetry" end

-- All that has come, and whether that was the end; or nil and why the connection is lost.
function PoetrySocket:receive()
  local data = ""
  while true do
    local bytes, message, name = self.socket:recv(1024)
    if name == "EAGAIN" then return data, false end
    if not bytes then return nil, message end
    if bytes == "" then return data, true end
    data = data .. bytes
  end
end

function PoetrySocket:doRead()
  local data, ended = self:receive()
  if not data then
    print(("Task %d failed: %s"):format(self.taskNumber, ended))
    return main.CONNECTION_LOST
  end
  self.poem = self.poem .. data
  if data ~= "" then
    print(("Task %d: got %d bytes of poetry from %s"):format(self.taskNumber, #data, self.place))
  end
  if not ended then return end
  print(("Task %d finished"):format(self.taskNumber))
  return main.CONNECTION_DONE
end

function PoetrySocket:connectionLost()
  self.socket:close()
  reactor:removeReader(self)
  for _, reader in ipairs(reactor:getReaders()) do
    if class.isA(reader, PoetrySocket) then return end
  end
  reactor:stop()   -- no more poetry
end

local _, words = tutorial.options(USAGE, {})
local addresses = tutorial.addresses(USAGE, words)
local start = reactor:seconds()

local sockets = {}
for i, address in ipairs(addresses) do sockets[i] = PoetrySocket(i, address) end

reactor:run()

for i, one in ipairs(sockets) do
  print(("Task %d: %d characters of poetry"):format(i, utf8.len(one.poem) or #one.poem))
end
print(("Got %d poems in %s"):format(#addresses, tutorial.duration(reactor:seconds() - start)))
