-- SPDX-License-Identifier: MIT
-- web/websocket.lua -- WebSocket (RFC 6455), both sides, with compression (RFC 7692).
--
--     local Echo = websocket.WebSocketProtocol:extend("Echo")
--     function Echo:messageReceived(data, isBinary) self:sendMessage(data, isBinary) end
--
-- A server puts a `WebSocketResource(Factory.forProtocol(Echo))` into its tree of resources; a client calls
-- `websocket.connect(reactor, "wss://example.org/echo", factory)`.

local errors   = require "twistlua.web.websocket.errors"
local protocol = require "twistlua.web.websocket.protocol"

-- What one of the two sides does without is loaded when it is asked for.
local LATER = {
  WebSocketResource = "twistlua.web.websocket.resource",
  connect           = "twistlua.web.websocket.client",
}

return setmetatable({
  WebSocketProtocol       = protocol.WebSocketProtocol,
  WebSocketDone           = errors.WebSocketDone,
  WebSocketLost           = errors.WebSocketLost,
  WebSocketHandshakeError = errors.WebSocketHandshakeError,
}, {
  __index = function(_, name) return LATER[name] and require(LATER[name])[name] end,
})
