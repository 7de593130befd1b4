-- SPDX-License-Identifier: MIT
-- twistlua_udp_server.lua -- an echo of datagrams.
local reactor = require "twistlua.reactor"
local protocol = require "twistlua.protocol"

local Echo = protocol.DatagramProtocol:extend("Echo")

function Echo:datagramReceived(data, addr)
  self.transport:write(data, addr)
end

local port = reactor:listenUDP(0, Echo(), { interface = "127.0.0.1" })
print(port:getHost().port)
io.stdout:flush()
reactor:run()
