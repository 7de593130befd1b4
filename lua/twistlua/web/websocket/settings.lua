-- SPDX-License-Identifier: MIT
-- web/websocket/settings.lua -- what can be set for connections of either side; made once for all of them.

local deflate = require "twistlua.web.websocket.deflate"

---@class twistlua.WebSocketOptions
---@field protocols? string[] subprotocols: the server takes the first of its own that the client speaks
---@field compression? boolean|table permessage-deflate, RFC 7692; default false. A table may have: level (1 to 9,
---  default 6), threshold (bytes; shorter messages are sent as they are; default 128),
---  serverNoContextTakeover and clientNoContextTakeover (forget one message before the next: less memory, larger
---  messages), serverMaxWindowBits and clientMaxWindowBits (9 to 15, default 15). A connection that keeps its context
---  costs about 300 KB.
---@field maxMessageSize? integer bytes of a message, inflated; default 16 MiB. A longer one ends the connection (1009).
---@field maxFrames? integer frames of a message, default 65536; more end the connection (1008)
---@field pingInterval? number seconds between pings, default 30; math.huge for none
---@field pongTimeout? number seconds to wait for a pong, default 20; then the connection is aborted
---@field closeTimeout? number seconds to wait for the other side's close frame, and its end, default 10
local TYPES = {
  protocols = "table", compression = "any", maxMessageSize = "integer", maxFrames = "integer",
  pingInterval = "number", pongTimeout = "number", closeTimeout = "number",
}

local settings = {}

---@param more table<string, string> the other options of a function
---@return table<string, string> types for options.check
function settings.types(more)
  for name, kind in pairs(TYPES) do more[name] = kind end
  return more
end

local function check(what, name, value, least)
  if value >= least then return value end
  error(("%s: %s must be at least %s, got %s"):format(what, name, least, value), 5)
end

local function checkProtocols(what, protocols)
  local isToken = require("twistlua.core").http1.isToken
  for _, name in ipairs(protocols) do
    if not isToken(name) then error(("%s: '%s' cannot name a subprotocol"):format(what, tostring(name)), 5) end
  end
  return protocols
end

---@param what string for messages
---@param given table as options.check let it pass
---@param server boolean
---@param clock table with callLater
---@return table settings
function settings.make(what, given, server, clock)
  return {
    server         = server,
    clock          = clock,
    protocols      = checkProtocols(what, given.protocols or {}),
    compression    = deflate.configure(what, given.compression),
    maxMessageSize = check(what, "maxMessageSize", given.maxMessageSize or 16 * 1024 * 1024, 0),
    maxFrames      = check(what, "maxFrames", given.maxFrames or 65536, 1),
    pingInterval   = check(what, "pingInterval", given.pingInterval or 30, 0.001),
    pongTimeout    = check(what, "pongTimeout", given.pongTimeout or 20, 0),
    closeTimeout   = check(what, "closeTimeout", given.closeTimeout or 10, 0),
  }
end

return settings
