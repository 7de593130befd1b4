-- SPDX-License-Identifier: MIT
-- twistlua_server.lua echo | lines | netstrings
local reactor = require "twistlua.reactor"
local protocol = require "twistlua.protocol"
local basic = require "twistlua.protocols.basic"

local Echo = protocol.Protocol:extend("Echo")

function Echo:dataReceived(data)
  self.transport:write(data)
end

local Lines = basic.LineReceiver:extend("Lines")
Lines.count = 0

function Lines:lineReceived(line)
  if line == "END" then return self:sendLine(tostring(self.count)) end
  self.count = self.count + 1
end

local Netstrings = basic.NetstringReceiver:extend("Netstrings")
Netstrings.count = 0

function Netstrings:stringReceived(s)
  if s == "END" then return self:sendString(tostring(self.count)) end
  self.count = self.count + 1
end

local class = ({ echo = Echo, lines = Lines, netstrings = Netstrings })[arg[1] or "echo"]
local factory = protocol.Factory.forProtocol(class)
local port = reactor:listenTCP(0, factory, { backlog = 4096, interface = "127.0.0.1" })
print(port:getHost().port)
io.stdout:flush()
reactor:run()
