-- SPDX-License-Identifier: MIT
-- web/websocket/resource.lua -- the server's side of the handshake: RFC 6455 4.2.

local core      = require "twistlua.core"
local Resource  = require("twistlua.web.resource").Resource
local deflate   = require "twistlua.web.websocket.deflate"
local options   = require "twistlua.options"
local protocols = require "twistlua.web.websocket.protocol"
local settings  = require "twistlua.web.websocket.settings"

local hasWord, acceptOf = core.http1.hasWord, core.websocket.accept

local GARBAGE = 8   -- KiB, about what a handshake leaves behind

---Where a site speaks WebSocket: each request for it becomes a connection of the factory's.
---@class twistlua.WebSocketResource: twistlua.web.Resource
---@operator call(...): twistlua.WebSocketResource
local WebSocketResource = Resource:extend("WebSocketResource")

WebSocketResource.isLeaf = true

local TYPES = settings.types { origins = "any", reactor = "any" }

---@class twistlua.WebSocketResourceOptions: twistlua.WebSocketOptions
---@field origins? true|string[]|fun(origin: string, request: twistlua.web.Request): boolean whose pages may connect:
---  origins such as "https://example.org", or true for any. Default: those of the host that is asked. Whoever sends no
---  Origin is no browser, and may.
---@field reactor? twistlua.Reactor|twistlua.Clock

---@param factory twistlua.Factory of WebSocketProtocols
---@param given? twistlua.WebSocketResourceOptions
function WebSocketResource:init(factory, given)
  given = options.check("WebSocketResource", given, TYPES, 4)
  self._factory  = factory
  self._origins  = given.origins
  self._settings = settings.make("WebSocketResource", given, true, given.reactor or require "twistlua.reactor")
end

-- ---- What is asked for --------------------------------------------------------------------------

local function list(request, name)
  return table.concat(request:getHeaders(name), ",")
end

local function only(request, name)
  local values = request:getHeaders(name)
  return #values == 1 and values[1] or nil
end

-- The status of a refusal, a sentence for people, and header fields; or nothing.
local function wrongIn(request)
  if request.method ~= "GET" then return 405, "WebSocket connections begin with GET.", { Allow = "GET" } end
  if request.clientproto ~= "HTTP/1.1" then return 400, "WebSocket connections begin with HTTP/1.1." end
  if not hasWord(list(request, "upgrade"), "websocket") or not hasWord(list(request, "connection"), "upgrade") then
    return 426, "Only WebSocket is spoken here.", { Upgrade = "websocket", Connection = "Upgrade" }
  end
  if only(request, "sec-websocket-version") ~= "13" then
    return 426, "Only version 13 of WebSocket is spoken here.",
      { Upgrade = "websocket", Connection = "Upgrade", ["Sec-WebSocket-Version"] = "13" }
  end
  local key = only(request, "sec-websocket-key")
  if not key or not acceptOf(key) then return 400, "Sec-WebSocket-Key must be 16 bytes in base64." end
  if request:getHeader("transfer-encoding") or (request:getHeader("content-length") or "0") ~= "0" then
    return 400, "A request for WebSocket has no body."
  end
end

local DEFAULT_PORTS = { http = ":80", https = ":443" }

-- The host and port of an origin, as they stand in Host.
local function hostOf(origin)
  local scheme, host = origin:lower():match("^(%a+)://([^/]+)$")
  local port = DEFAULT_PORTS[scheme]
  return host and (port and host:sub(-#port) == port and host:sub(1, -#port - 1) or host)
end

local function isAllowed(origins, origin, request)
  if origins == true then return true end
  if type(origins) == "function" then return origins(origin, request) end
  if type(origins) ~= "table" then
    local host = hostOf(origin)
    return host ~= nil and host == (request:getHeader("host") or ""):lower():gsub(":80$", ""):gsub(":443$", "")
  end
  for _, allowed in ipairs(origins) do
    if allowed:lower() == origin:lower() then return true end
  end
  return false
end

local function chooseSubprotocol(ours, request)
  local offered = {}
  for name in list(request, "sec-websocket-protocol"):gmatch("[^%s,]+") do offered[name] = true end
  for _, name in ipairs(ours) do
    if offered[name] then return name end
  end
end

-- ---- The answer ---------------------------------------------------------------------------------

local function refuse(request, status, sentence, fields)
  request:setResponseCode(status)
  request:setHeader("Content-Type", "text/plain; charset=utf-8")
  for name, value in pairs(fields or {}) do request:setHeader(name, value) end
  return sentence .. "\n"
end

-- The channel would only pass on what comes: a socket's transport gets the protocol itself.
local function takeOver(request, protocol)
  local channel = request.channel
  local transport, rest = request:takeOver(protocol)
  if type(transport) == "userdata" and transport.protocol == channel then
    channel.factory:channelClosed(channel)
    core.transport.attach(transport, protocol)
    if protocol.outputLimit then transport:setOutputLimit(protocol.outputLimit) end
  end
  return transport, rest
end

-- A handshake leaves several times as much behind as its connection keeps, maybe for hours: without this, what
-- many connections cost would be mostly garbage that nobody has reason to look for.
local function tellCollector()
  if collectgarbage("isrunning") then collectgarbage("step", GARBAGE) end
end

local function accept(self, request, protocol)
  local set = self._settings
  local subprotocol = chooseSubprotocol(set.protocols, request)
  local agreed, extension = deflate.choose(set.compression, request:getHeaders("sec-websocket-extensions"))
  protocols.begin(protocol, set, agreed, subprotocol)
  request:setResponseCode(101)
  request:setHeader("Upgrade", "websocket")
  request:setHeader("Connection", "Upgrade")
  request:setHeader("Sec-WebSocket-Accept", acceptOf(request:getHeader("sec-websocket-key")))
  if subprotocol then request:setHeader("Sec-WebSocket-Protocol", subprotocol) end
  if extension then request:setHeader("Sec-WebSocket-Extensions", extension) end
  local transport, rest = takeOver(request, protocol)
  protocol:makeConnection(transport)
  if rest ~= "" then protocol:dataReceived(rest) end
  tellCollector()
end

---Answer a handshake. A factory that builds no protocol refuses it, by 403.
---@param request twistlua.web.Request
function WebSocketResource:render(request)
  local status, sentence, fields = wrongIn(request)
  if status then return refuse(request, status, sentence, fields) end
  local origin = request:getHeader("origin")
  if origin and not isAllowed(self._origins, origin, request) then
    return refuse(request, 403, "Pages of this origin may not connect.")
  end
  local protocol = self._factory:buildProtocol(request.channel:getPeer())
  if protocol == nil then return refuse(request, 403, "The connection is refused.") end
  protocol:requestReceived(request)
  if request.finished or request.disconnected then return end
  return accept(self, request, protocol)
end

return { WebSocketResource = WebSocketResource }
