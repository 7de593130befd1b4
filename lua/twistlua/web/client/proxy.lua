-- SPDX-License-Identifier: MIT
-- web/client/proxy.lua -- requests through a proxy: http as absolute URIs, https through a tunnel (CONNECT), in
-- which the certificate of the host itself is verified.

local Object   = require("twistlua.class").Object
local Agent    = require("twistlua.web.client.agent").Agent
local Protocol = require("twistlua.protocol").Protocol
local agent    = require "twistlua.web.client.agent"
local core     = require "twistlua.core"
local defer    = require "twistlua.defer"
local errors   = require "twistlua.web.client.errors"
local options  = require "twistlua.options"

-- ---- The tunnel ------------------------------------------------------------------------------------

-- Speaks to the proxy until it has connected; then all is the inner protocol's.
local Tunnel = Protocol:extend("ProxyTunnel")

function Tunnel:init(head, open)
  self._connect = head
  self._open = open        -- makes the inner protocol, of what came behind the head
  self._buffer = ""
  self._head = nil
  self._inner = nil
  self.result = defer.Deferred(function() self.transport:abortConnection() end)
end

function Tunnel:connectionMade()
  self.transport:write(self._connect)
end

function Tunnel:_fail(err)
  local result = self.result
  self.result = nil
  self.transport:abortConnection()
  result:errback(err)
end

function Tunnel:dataReceived(data)
  if self._inner then return self._inner:dataReceived(data) end
  if not self.result then return end
  self._buffer = self._buffer .. data
  local head, following = core.http1.response(self._buffer, 1, "CONNECT", nil, self._head)
  if not head then return self:_fail(errors.ProxyError(following)) end
  self._head = head
  if not following then return end
  if head.status // 100 == 1 then
    self._buffer, self._head = self._buffer:sub(following), nil
    if self._buffer ~= "" then return self:dataReceived "" end
    return
  end
  if head.status // 100 ~= 2 then
    return self:_fail(errors.ProxyError(("%d %s"):format(head.status, head.reason), { status = head.status }))
  end
  local result, rest = self.result, self._buffer:sub(following)
  self.result, self._buffer, self._head = nil, nil, nil
  self._inner = self._open(self.transport, rest)
  self._inner:makeConnection(self.transport)
  result:callback(self._inner)
end

function Tunnel:connectionLost(reason)
  if self._inner then return self._inner:connectionLost(reason) end
  local result = self.result
  self.result = nil
  if result then result:errback(errors.ProxyError("it closed the connection: " .. reason:getErrorMessage())) end
end

-- A client endpoint behind a proxy.
local TunnelEndpoint = Object:extend("TunnelEndpoint")

function TunnelEndpoint:init(proxy, uri)
  self._proxy = proxy
  self._uri = uri
end

function TunnelEndpoint:connect(factory)
  local proxy, uri = self._proxy, self._uri
  local host = uri.host:find(":", 1, true) and "[" .. uri.host .. "]" or uri.host
  local target = ("%s:%d"):format(host, uri.port)
  local secure = proxy.policy:creatorForNetloc(uri.host, uri.port)
  local head = ("CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s\r\n"):format(target, target, proxy.authorization)
  local tunnel = Tunnel(head, function(transport, rest)
    local protocol = factory:buildProtocol(transport:getPeer())
    transport:startTLS(secure, { isClient = true, received = rest ~= "" and rest or nil })
    return protocol
  end)
  local result = tunnel.result
  return require("twistlua.endpoints").connectProtocol(proxy.endpoint, tunnel)
    :addCallback(function() return result end)
    :addTimeout(proxy.timeout, proxy.reactor)
end

-- ---- The agent -------------------------------------------------------------------------------------

local Endpoints = Object:extend("ProxyEndpoints")

function Endpoints:endpointForURI(uri)
  if uri.scheme == "http" then return self.endpoint end
  if uri.scheme == "https" then return TunnelEndpoint(self, uri) end
  error(errors.SchemeNotSupported(("'%s'"):format(uri.scheme)), 0)
end

---Makes requests through a proxy (Twisted: ProxyAgent, which has http only).
---@class twistlua.web.ProxyAgent: twistlua.web.Agent
---@operator call(...): twistlua.web.ProxyAgent
local ProxyAgent = Agent:extend("ProxyAgent")

local OPTIONS = {
  contextFactory = "table", pool = "table", connectTimeout = "number", headTimeout = "number", timeout = "number",
  auth = "table",
}

---@param endpoint twistlua.ClientEndpoint of the proxy
---@param reactor twistlua.Reactor
---@param given? { contextFactory?: table, pool?: table, connectTimeout?: number, headTimeout?: number,
---  timeout?: number, auth?: string[] } as Agent's; connectTimeout is for the tunnel; auth: user and password for the
---  proxy
function ProxyAgent:init(endpoint, reactor, given)
  given = options.check("ProxyAgent", given, OPTIONS, 4)
  local endpoints = Endpoints()
  endpoints.endpoint = endpoint
  endpoints.reactor = reactor
  endpoints.policy = agent.policyOf(given.contextFactory)
  endpoints.timeout = given.connectTimeout or 30
  endpoints.authorization = ""
  if given.auth then
    local token = require("twistlua.web.http.base64").encode(given.auth[1] .. ":" .. given.auth[2])
    endpoints.authorization = ("Proxy-Authorization: Basic %s\r\n"):format(token)
  end
  self:_setUp(reactor, endpoints, given)
  self._space = self._pool:newSpace()
  self._repeats = false
end

function ProxyAgent:_compose(request)
  if request.uri.scheme ~= "http" then return Agent._compose(self, request) end
  request:compose(self._pool.persistent, true, self._endpoints.authorization)
  return self._space
end

return { ProxyAgent = ProxyAgent }
