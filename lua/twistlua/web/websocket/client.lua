-- SPDX-License-Identifier: MIT
-- web/websocket/client.lua -- opening a WebSocket connection: RFC 6455 4.1. One request is written, and one response
-- read.

local core      = require "twistlua.core"
local Factory   = require("twistlua.protocol.factory").Factory
local Object    = require("twistlua.class").Object
local defer     = require "twistlua.defer"
local deflate   = require "twistlua.web.websocket.deflate"
local ending    = require "twistlua.web.websocket.errors"
local errors    = require "twistlua.error"
local guard     = require "twistlua.guard"
local options   = require "twistlua.options"
local protocols = require "twistlua.web.websocket.protocol"
local settings  = require "twistlua.web.websocket.settings"

local http1 = core.http1

local HEAD_LIMITS = { head = 16384, line = 4096, fields = 100 }

-- ---- The address ----------------------------------------------------------------------------------

local SCHEMES = { ws = 80, wss = 443 }

local function splitAuthority(authority)
  local host, port = authority:match("^(%[[%x:.]+%])(.*)$")
  if not host then host, port = authority:match("^([^:%[%]@%s]+)(.*)$") end
  if not host then return nil end
  if port == "" or port == ":" then return host end
  local number = port:find("^:%d%d?%d?%d?%d?$") and math.tointeger(tonumber(port:sub(2)))
  if number and number > 0 and number < 65536 then return host, number end
end

---@param url string
---@return { secure: boolean, host: string, port: integer, authority: string, target: string }
local function parseURL(url)
  local function refuse(why) error(("connect: '%s' %s"):format(url, why), 4) end
  local scheme, authority, target = url:match("^(%a+)://([^/?#]*)(.*)$")
  scheme = scheme and scheme:lower()
  if not SCHEMES[scheme] then refuse("is no ws:// or wss:// URL") end
  if authority:find("@", 1, true) then refuse("has a user's name in it: pass the header Authorization instead") end
  if target:find("#", 1, true) then refuse("has a fragment, which a WebSocket URL must not have") end
  local host, port = splitAuthority(authority)
  if not host then refuse("has no valid host and port") end
  if target:sub(1, 1) ~= "/" then target = "/" .. target end
  if not http1.isTarget(target) then refuse("has characters that must be percent-encoded") end
  return {
    secure    = scheme == "wss",
    host      = host:gsub("^%[(.*)%]$", "%1"),
    port      = port or SCHEMES[scheme],
    authority = port and port ~= SCHEMES[scheme] and host .. ":" .. port or host,
    target    = target,
  }
end

-- ---- The request ----------------------------------------------------------------------------------

local OURS = {
  host = true, upgrade = true, connection = true, ["sec-websocket-key"] = true, ["sec-websocket-version"] = true,
  ["sec-websocket-protocol"] = true, ["sec-websocket-extensions"] = true, ["content-length"] = true,
  ["transfer-encoding"] = true,
}

local function addHeader(lines, name, value)
  if not http1.isToken(name) then error(("connect: '%s' cannot name a header"):format(tostring(name)), 5) end
  if OURS[name:lower()] then error(("connect: the header '%s' is made by connect itself"):format(name), 5) end
  if not http1.isValue(value) then error(("connect: the value of header '%s' cannot be sent"):format(name), 5) end
  lines[#lines + 1] = name .. ": " .. value
end

-- Everything but the key.
local function requestLines(place, set, headers)
  local lines = {
    "GET " .. place.target .. " HTTP/1.1", "Host: " .. place.authority,
    "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
  }
  if #set.protocols > 0 then
    lines[#lines + 1] = "Sec-WebSocket-Protocol: " .. table.concat(set.protocols, ", ")
  end
  if set.compression then lines[#lines + 1] = "Sec-WebSocket-Extensions: " .. deflate.offer(set.compression) end
  for name, value in pairs(headers) do
    for _, one in ipairs(type(value) == "table" and value or { value }) do addHeader(lines, name, one) end
  end
  return table.concat(lines, "\r\n") .. "\r\nSec-WebSocket-Key: "
end

-- ---- The response ---------------------------------------------------------------------------------

local function hasWord(head, name, word)
  local values = head:getAll(name)
  return values ~= nil and http1.hasWord(table.concat(values, ","), word)
end

local function only(head, name)
  local values = head:getAll(name)
  return values and #values == 1 and values[1] or nil
end

local function subprotocolOf(head, offered)
  local values = head:getAll("sec-websocket-protocol")
  if not values then return nil end
  for _, name in ipairs(offered) do
    if #values == 1 and values[1] == name then return name end
  end
  return nil, "it chose a subprotocol that was not offered: " .. table.concat(values, ", ")
end

-- What the two sides agree on; or nil and what is wrong with the response.
local function judge(head, key, set)
  if head.status ~= 101 then return nil, ("it answered %d %s"):format(head.status, head.reason) end
  if head.minor < 1 then return nil, "it speaks HTTP/1.0" end
  if not hasWord(head, "upgrade", "websocket") then return nil, "it upgrades to something else" end
  if not hasWord(head, "connection", "upgrade") then return nil, "its Connection header does not say Upgrade" end
  if only(head, "sec-websocket-accept") ~= core.websocket.accept(key) then
    return nil, "its Sec-WebSocket-Accept is not for our key"
  end
  local subprotocol, wrong = subprotocolOf(head, set.protocols)
  if wrong then return nil, wrong end
  local agreed = deflate.confirm(set.compression, head:getAll("sec-websocket-extensions") or {})
  if agreed == nil then return nil, "it chose an extension, or parameters of one, that were not offered" end
  return { subprotocol = subprotocol, deflate = agreed or nil }
end

-- ---- One attempt ----------------------------------------------------------------------------------

-- A protocol's events come here until the handshake is done. Invariant: `result` is nil once it has fired.
local Attempt = Object:extend("Attempt")

function Attempt:init(place, set, request)
  self.place      = place
  self.set        = set
  self.request    = request
  self.key        = core.websocket.key()
  self.protocol   = nil
  self.received   = ""
  self.head       = nil      -- a head that is not complete
  self.connecting = nil
  self.timer      = nil
  self.result     = defer.Deferred(function() self:fail(errors.ConnectingCancelledError(place.authority)) end)
end

local limits

function Attempt:fire(method, outcome)
  local result = self.result
  self.result = nil
  if self.timer and self.timer:active() then self.timer:cancel() end
  result[method](result, outcome)
end

function Attempt:fail(reason)
  if not self.result then return end
  local transport = self.protocol and self.protocol.transport
  self:fire("errback", reason)
  if transport then
    transport:abortConnection()
  elseif self.connecting then
    self.connecting:cancel()
  end
end

function Attempt:refuse(why, head)
  self:fail(ending.WebSocketHandshakeError(("%s: %s"):format(self.place.authority, why),
    head and { status = head.status, headers = head:fields() }))
end

local COVERED = { "makeConnection", "dataReceived", "connectionLost" }

function Attempt:cover(protocol)
  self.protocol = protocol
  protocol.makeConnection = function(_, transport) self:connectionMade(transport) end
  protocol.dataReceived   = function(_, data) self:dataReceived(data) end
  protocol.connectionLost = function(_, reason) self:connectionLost(reason) end
end

function Attempt:uncover()
  for _, name in ipairs(COVERED) do self.protocol[name] = nil end
end

function Attempt:connectionMade(transport)
  self.protocol.transport = transport
  transport:write(self.request .. self.key .. "\r\n\r\n")
end

function Attempt:connectionLost(reason)
  self:uncover()
  self.protocol.transport = nil
  if self.result then self:fire("errback", reason) end
end

-- An interim response precedes the final one: RFC 9110 15.2.
function Attempt:dataReceived(data)
  if not self.result then return end
  local bytes = self.received .. data
  local head, next, name = http1.response(bytes, 1, "GET", limits, self.head)
  while head and next and head.status < 200 and head.status ~= 101 do
    bytes = bytes:sub(next)
    head, next, name = http1.response(bytes, 1, "GET", limits)
  end
  if not head then return self:refuse(("what it answered is not HTTP: %s (%s)"):format(next, name)) end
  if not next then
    self.received, self.head = bytes, head
    return
  end
  local agreed, wrong = judge(head, self.key, self.set)
  if not agreed then return self:refuse(wrong, head) end
  self:open(agreed, bytes:sub(next))
end

function Attempt:open(agreed, rest)
  local protocol = self.protocol
  local transport = protocol.transport
  self:uncover()
  protocols.begin(protocol, self.set, agreed.deflate, agreed.subprotocol)
  protocol:makeConnection(transport)
  self:fire("callback", protocol)
  if rest ~= "" then protocol:dataReceived(rest) end
end

function Attempt:timedOut()
  self:fail(errors.TimeoutError(("%s: no WebSocket connection in time"):format(self.place.authority)))
end

-- The endpoint's factory: it builds what the other one does, covered.
local AttemptFactory = Factory:extend("AttemptFactory")
AttemptFactory.noisy = false

function AttemptFactory:init(attempt, wrapped)
  self.attempt = attempt
  self.wrapped = wrapped
end

function AttemptFactory:startFactory() self.wrapped:doStart() end
function AttemptFactory:stopFactory() self.wrapped:doStop() end

function AttemptFactory:buildProtocol(address)
  local protocol = self.wrapped:buildProtocol(address)
  if protocol ~= nil then self.attempt:cover(protocol) end
  return protocol
end

-- ---- connect --------------------------------------------------------------------------------------

local function endpointTo(reactor, place, given)
  if given.endpoint then return given.endpoint end
  local endpoints = require "twistlua.endpoints"
  local endpoint = endpoints.HostnameEndpoint(reactor, place.host, place.port,
    { timeout = 0, bindAddress = given.bindAddress })
  if not place.secure then return endpoint end
  local contextFactory = given.contextFactory or require("twistlua.ssl").optionsForClientTLS(place.host)
  return endpoints.wrapClientTLS(contextFactory, endpoint)
end

local TYPES = settings.types {
  headers = "table", timeout = "number", contextFactory = "any", bindAddress = "any", endpoint = "any",
}

---@class twistlua.WebSocketConnectOptions: twistlua.WebSocketOptions
---@field headers? table<string, string|string[]> more of the request's: Origin, Authorization, Cookie, ...
---@field timeout? number seconds for all of it, handshake included; default 30, 0 for none
---@field contextFactory? twistlua.ssl.CertificateOptions for wss; default: ssl.optionsForClientTLS(host): it verifies
---@field bindAddress? string|table as for connectTCP
---@field endpoint? twistlua.ClientEndpoint where to connect to instead; what the URL says is only sent

---Open a WebSocket connection. Redirects are not followed. Cancelling ends the attempt.
---@param reactor twistlua.Reactor
---@param url string ws://... or wss://...
---@param factory twistlua.Factory of WebSocketProtocols
---@param given? twistlua.WebSocketConnectOptions
---@return twistlua.Deferred protocol once its `connectionMade` has run; fails with WebSocketHandshakeError where the
---  server does not agree, TimeoutError, or what the endpoint fails with
local function connect(reactor, url, factory, given)
  given = options.check("connect", given, TYPES)
  local place = parseURL(url)
  local set = settings.make("connect", given, false, reactor)
  local attempt = Attempt(place, set, requestLines(place, set, given.headers or {}))
  limits = limits or http1.limits(HEAD_LIMITS)
  local timeout = given.timeout or 30
  if timeout > 0 then attempt.timer = reactor:callLater(timeout, attempt.timedOut, attempt) end
  local result = attempt.result
  local ok, connecting = guard.call(function()
    return endpointTo(reactor, place, given):connect(AttemptFactory(attempt, factory))
  end)
  if not ok then
    attempt:fail(connecting)
    return result
  end
  attempt.connecting = connecting
  connecting:addErrback(function(failure)
    attempt.connecting = nil
    if attempt.result then attempt:fire("errback", failure) end
  end)
  return result
end

return { connect = connect, parseURL = parseURL }
