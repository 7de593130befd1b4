-- SPDX-License-Identifier: MIT
-- echo_server.lua -- a child of the specs: says its port, echoes, and stops when it is told to quit.

local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"

local Echo = protocol.Protocol:extend("Echo")

function Echo:dataReceived(data)
  if data == "quit" then return reactor:stop() end
  self.transport:write(data)
end

local factory = protocol.Factory.forProtocol(Echo)
local port = reactor:listenTCP(0, factory, { interface = "127.0.0.1", backlog = 1024 })
print(port:getHost().port)
io.stdout:flush()
reactor:run()
print("stopped")
