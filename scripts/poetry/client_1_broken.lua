-- client_1_broken.lua: Get Poetry Now! 1.0 with a mistake: its sockets block, so that the first poem keeps all others
-- waiting. A callback must not wait.
local main     = require "twistlua.main"
local reactor  = require "twistlua.reactor"
local socket   = require "twistlua.socket"
local class    = require "twistlua.class"
local tutorial = require "tutorial"

local USAGE = [[
usage: client_1_broken.lua [HOST:]PORT...

Gets poetry from servers: client_1_broken.lua 10001 10002 10003]]

local PoetrySocket = class.Object:extend("PoetrySocket")

function PoetrySocket:init(taskNumber, address)
  self.taskNumber = taskNumber
  self.place = address.host .. ":" .. address.port
  self.poem = ""
  self.socket = assert(socket.connect(address.host, address.port))
  self.socket:setBlocking(true)   -- this is the mistake
  reactor:addReader(self)
end

function PoetrySocket:fileno() return self.socket:fileno() end

function PoetrySocket:logPrefix() return "poetry" end

function PoetrySocket:doRead()
  local bytes
  repeat
    bytes = assert(self.socket:recv(1024))   -- waits, and the reactor with it
    self.poem = self.poem .. bytes
  until bytes == ""
  print(("Task %d: got %d bytes of poetry from %s"):format(self.taskNumber, #self.poem, self.place))
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
