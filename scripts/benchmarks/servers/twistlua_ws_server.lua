-- SPDX-License-Identifier: MIT
-- twistlua_ws_server.lua -- WebSocket echo, at every path of a site
local Factory   = require("twistlua.protocol").Factory
local reactor   = require "twistlua.reactor"
local server    = require "twistlua.web.server"
local websocket = require "twistlua.web.websocket"

local Echo = websocket.WebSocketProtocol:extend("Echo")

function Echo:messageReceived(data, isBinary)
  self:sendMessage(data, isBinary)
end

local site = server.Site(websocket.WebSocketResource(Factory.forProtocol(Echo)))
local port = reactor:listenTCP(0, site, { backlog = 4096, interface = "127.0.0.1" })
print(port:getHost().port)
io.stdout:flush()
reactor:run()
