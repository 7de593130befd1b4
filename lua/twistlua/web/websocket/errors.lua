-- SPDX-License-Identifier: MIT
-- web/websocket/errors.lua -- how WebSocket connections end, or do not come about.

local errors = require "twistlua.error"

local ENDING = { code = "integer", reason = "string", wasClean = "boolean", cause = "any" }

---Both sides have sent a close frame.
---@class twistlua.WebSocketDone: twistlua.Error
---@field code integer what the other side sent, 1005 if its close frame had none (RFC 6455 7.4)
---@field reason string what it said about it, maybe ""
---@field wasClean boolean true
local WebSocketDone = errors.ConnectionDone:extend("WebSocketDone")
WebSocketDone.options = ENDING

---The connection ended otherwise: one side went away, or broke the protocol.
---@class twistlua.WebSocketLost: twistlua.Error
---@field code integer 1006; or what we closed it with when the other side's bytes were the trouble
---@field reason string why
---@field wasClean boolean false
---@field cause twistlua.Failure|nil what the transport said
local WebSocketLost = errors.ConnectionLost:extend("WebSocketLost")
WebSocketLost.options = ENDING

---The server did not agree to speak WebSocket.
---@class twistlua.WebSocketHandshakeError: twistlua.Error
---@field status integer|nil of its response
---@field headers string[]|nil of its response: name, value, name, value, ...
local WebSocketHandshakeError = errors.ConnectError:extend("WebSocketHandshakeError")
WebSocketHandshakeError.summary = "The server did not agree to speak WebSocket"
WebSocketHandshakeError.options = { errno = "integer", code = "string", status = "integer", headers = "table" }

return {
  WebSocketDone           = WebSocketDone,
  WebSocketLost           = WebSocketLost,
  WebSocketHandshakeError = WebSocketHandshakeError,
}
