-- http_by_hand.lua: an HTTP server without protocols or transports: objects with a descriptor that the
-- reactor calls when it is ready. What protocols do for you can be seen from what they would save here.
local main    = require "twistlua.main"
local reactor = require "twistlua.reactor"
local socket  = require "twistlua.socket"
local Object  = require("twistlua.class").Object

local BODY = "Hello from a raw socket\n"
local RESPONSE = ("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s"):format(#BODY, BODY)

-- One request: reads until the blank line, then writes the response and closes.
local Request = Object:extend("Request")

function Request:init(connection)
  self.connection = connection
  self.received = ""
  self.unsent = RESPONSE
  reactor:addReader(self)
end

function Request:fileno() return self.connection:fileno() end

function Request:logPrefix() return "request" end

function Request:doRead()
  local bytes, _, name = self.connection:recv(4096)
  if name == "EAGAIN" then return end
  if not bytes then return main.CONNECTION_LOST end
  if bytes == "" or #self.received > 16384 then return main.CONNECTION_DONE end
  self.received = self.received .. bytes
  if self.received:find("\r\n\r\n", 1, true) then
    reactor:removeReader(self)
    reactor:addWriter(self)
  end
end

function Request:doWrite()
  local sent, _, name = self.connection:send(self.unsent)
  if name == "EAGAIN" then return end
  if not sent then return main.CONNECTION_LOST end
  self.unsent = self.unsent:sub(sent + 1)
  if self.unsent == "" then return main.CONNECTION_DONE end
end

function Request:connectionLost() self.connection:close() end

-- The listening socket: readable means that somebody is there.
local Listener = Object:extend("Listener")

function Listener:init(port)
  self.socket = assert(socket.listen("127.0.0.1", port))
  reactor:addReader(self)
end

function Listener:fileno() return self.socket:fileno() end

function Listener:logPrefix() return "listener" end

function Listener:doRead()
  local connection = self.socket:accept()
  if connection then Request(connection) end
end

function Listener:connectionLost() self.socket:close() end

local listener = Listener(math.tointeger(tonumber(arg[1] or 8080)))
print("http://127.0.0.1:" .. listener.socket:getsockname().port)
io.stdout:flush()
reactor:run()
