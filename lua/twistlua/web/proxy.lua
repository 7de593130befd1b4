-- SPDX-License-Identifier: MIT
-- web/proxy.lua -- servers that hand requests on: to a server behind them (reverse proxies), or to the one that the
-- client names (forward proxies).

local Resource    = require("twistlua.web.resource").Resource
local errorPage   = require "twistlua.web.http.error_page"
local fields      = require "twistlua.web.proxy.fields"
local http        = require "twistlua.web.http"
local options     = require "twistlua.options"

local NOT_DONE_YET = require("twistlua.web.server").NOT_DONE_YET

local CONNECT_TIMEOUT, HEAD_TIMEOUT = 10, 60   -- seconds

local function newAgent(reactor, given)
  local client = require "twistlua.web.client"
  local pool = client.HTTPConnectionPool(reactor)
  pool.maxPersistentPerHost = given.maxIdle or 32
  return client.Agent(reactor, {
    pool = pool, connectTimeout = given.connectTimeout or CONNECT_TIMEOUT, headTimeout = given.timeout or HEAD_TIMEOUT,
  })
end

-- Of the body: an integer; false where it is not known; nil where there is none.
local function lengthOf(request)
  local body = request._bodyLength
  if body == "chunked" then return false end
  if math.type(body) == "integer" and body > 0 then return body end
  return nil
end

local function exchange(...)
  return require("twistlua.web.proxy.exchange").Exchange(...)
end

local function refuse(request, status, detail)
  request:setResponseCode(status)
  request:setHeader("content-type", "text/html; charset=utf-8")
  return errorPage.statusPage(status, detail)
end

-- ---- Reverse proxies -------------------------------------------------------------------------------

local REVERSE = {
  reactor = "table", timeout = "number", connectTimeout = "number", maxIdle = "integer", preserveHost = "boolean",
  trustForwarded = "boolean",
}

---Answers with what another server says (Twisted: proxy.ReverseProxyResource). Bodies are handed on as they come, both
---ways. The server gets X-Forwarded-For, -Host and -Proto; where it says in Location, Content-Location or Refresh that
---something is at its own address, the client is told ours. A server that cannot be reached, or breaks off, is
---502 (501 in Twisted); one that takes too long is 504.
---@class twistlua.web.ReverseProxyResource: twistlua.web.Resource
---@operator call(...): twistlua.web.ReverseProxyResource
local ReverseProxyResource = Resource:extend("ReverseProxyResource")
ReverseProxyResource.isLeaf = true

---@param host string of the server
---@param port integer
---@param path string what stands in the place of the path to this resource: "" for none, or "/base"
---@param given? { reactor?: table, timeout?: number, connectTimeout?: number, maxIdle?: integer,
---  preserveHost?: boolean, trustForwarded?: boolean } timeout: seconds until the head of the response, default 60;
---  connectTimeout: default 10; maxIdle: connections that are kept open, default 32; preserveHost: Host is the
---  client's; trustForwarded: X-Forwarded-... of the client count, since it is a proxy itself
function ReverseProxyResource:init(host, port, path, given)
  if math.type(port) ~= "integer" or port < 1 or port > 65535 then error("ReverseProxyResource: no port", 3) end
  if type(path) ~= "string" or path:find("[%c ?#]") or path ~= "" and path:sub(1, 1) ~= "/" then
    error("ReverseProxyResource: the path must be \"\" or begin with a slash", 3)
  end
  given = options.check("ReverseProxyResource", given, REVERSE)
  Resource.init(self)
  self.host, self.port, self.path = host, port, path:gsub("/$", "")
  self._given = given
  self._reactor = given.reactor or require "twistlua.reactor"
  local literal = host:find(":", 1, true) and "[" .. host .. "]" or host
  self._authority = port == 80 and literal or literal .. ":" .. port
  self._agent = newAgent(self._reactor, given)
end

---Close the connections to the server that are idle.
---@return twistlua.Deferred done
function ReverseProxyResource:close()
  return self._agent._pool:closeCachedConnections()
end

-- The path of this resource, as the client has spelt it, and what is behind that.
local function divide(request)
  local path, rest = request.path, request.path
  for _ = 1, #request.prepath do rest = rest:match("^/[^/]*(.*)$") or "" end
  return path:sub(1, #path - #rest), rest
end

-- The target for the server: ours with what is behind this resource, as the client has spelt it. Nil where that would
-- lead elsewhere.
function ReverseProxyResource:_target(request)
  for _, segment in ipairs(request.postpath) do
    if segment == ".." or segment == "." or segment:find("[/\\]%.%.?[/\\]") then return nil end
  end
  local _, rest = divide(request)
  local query = request.uri:match("%?[^#]*") or ""
  local path = self.path .. rest
  return (path == "" and "/" or path) .. query
end

function ReverseProxyResource:_headers(request)
  local host = self._given.preserveHost and request:getHeader("host") or self._authority
  return fields.forServer(request, host, self._given.trustForwarded or false)
end

-- A function that makes of addresses of the server, by its own name or the one that it was asked by, those that the
-- client knows. All others are left as they are.
function ReverseProxyResource:_mapper(request, host)
  local prefix = divide(request):gsub("/$", "")
  local names = { [self._authority:lower()] = true, [host:lower()] = true }
  return function(url)
    local authority, path = url:match("^[Hh][Tt][Tt][Pp]://([^/?#]*)(.*)$")
    if not authority then path = url:match("^/$") or url:match("^/[^/\\].*$") end
    if not path or authority and not names[authority:lower()] then return url end
    local rest = path:sub(#self.path + 1)
    if path:sub(1, #self.path) ~= self.path or not rest:find("^[/?#]") and rest ~= "" then return url end
    local mapped = prefix .. (prefix == "" and not rest:find("^/") and "/" or "") .. rest
    return mapped:find("^/[/\\]") and url or mapped   -- that would be another host
  end
end

function ReverseProxyResource:_start(request, target)
  local uri, headers = "http://" .. self._authority .. target, self:_headers(request)
  local map = self:_mapper(request, headers:getHeader("host"))
  return exchange(request, self._agent, uri, headers, lengthOf(request), map)
end

local function headOf(method, target, headers)
  local lines = { ("%s %s HTTP/1.1\r\n"):format(method, target) }
  for name, values in headers:getAllRawHeaders() do
    for _, value in ipairs(values) do lines[#lines + 1] = name .. ": " .. value .. "\r\n" end
  end
  lines[#lines + 1] = "\r\n"
  return table.concat(lines)
end

-- From here on the client and the server talk by themselves.
function ReverseProxyResource:_upgrade(request, target, upgrade)
  local headers = self:_headers(request)
  headers:setHeader("connection", "Upgrade")
  headers:setHeader("upgrade", upgrade)
  require("twistlua.web.proxy.tunnel").open(request, self._reactor, self.host, self.port, {
    timeout = self._given.connectTimeout or CONNECT_TIMEOUT, first = headOf(request.method, target, headers),
  })
  return NOT_DONE_YET
end

---Before the body is read: it goes on as it comes.
function ReverseProxyResource:onBody(request)
  local target = self:_target(request)
  if not target then return nil end
  local started = self:_start(request, target)
  request.proxied = started
  return started
end

function ReverseProxyResource:render(request)
  if request.proxied then
    request.proxied:finishBody()
    return NOT_DONE_YET
  end
  local target = self:_target(request)
  if not target then return refuse(request, 400, "The path leads out of what is served here.") end
  local upgrade = fields.upgradeOf(request)
  if upgrade then return self:_upgrade(request, target, upgrade) end
  self:_start(request, target)
  return NOT_DONE_YET
end

---A factory all of whose requests go to one server (Twisted: proxy.ReverseProxy).
---@param host string
---@param port integer
---@param path? string default ""
---@param given? table as for ReverseProxyResource
---@return twistlua.web.Site
local function ReverseProxy(host, port, path, given)
  return require("twistlua.web.server").Site(ReverseProxyResource(host, port, path or "", given))
end

-- ---- Forward proxies -------------------------------------------------------------------------------

---A request to a forward proxy: its target is an absolute URI, or with CONNECT a host and port.
---@class twistlua.web.ProxyRequest: twistlua.web.HTTPRequest
local ProxyRequest = http.Request:extend("ProxyRequest")

local function splitAuthority(text)
  local host, port = text:match("^%[([%x:.]+)%]:(%d+)$")
  if not host then host, port = text:match("^([%w%-._]+):(%d+)$") end
  port = port and math.tointeger(tonumber(port))
  if not port or port < 1 or port > 65535 then return nil end
  return host, port
end

local function deny(request, status, detail)
  request:respond(refuse(request, status, detail))
end

function ProxyRequest:_connect()
  local factory = self.channel.factory
  local host, port = splitAuthority(self.uri)
  if not host then return deny(self, 400, "CONNECT needs a host and a port.") end
  if not factory.connectPorts[port] then return deny(self, 403, "No connections to that port.") end
  if not factory.allow(host, port, self) then return deny(self, 403, "No connections to that host.") end
  require("twistlua.web.proxy.tunnel").open(self, factory:clock(), host, port, {
    timeout = factory.connectTimeout, code = 200,
  })
end

-- The exchange, or nil where the request was refused.
function ProxyRequest:_forward()
  local factory = self.channel.factory
  local authority = self.uri:match("^[Hh][Tt][Tt][Pp]://([^/?#]*)")
  if not authority then
    deny(self, 400, "A proxy needs the whole URI, of http.")
    return nil
  end
  local host, port = splitAuthority(authority:find(":%d+$") and authority or authority .. ":80")
  if not host then
    deny(self, 400, "There is no host in the URI.")
  elseif not factory.allow(host, port, self) then
    deny(self, 403, "No connections to that host.")
  else
    local headers = require("twistlua.web.http_headers").Headers()
    fields.forward(self:_fields(), function(name, value)
      if name:lower() ~= "host" then headers:addRawHeader(name, value) end
    end)
    headers:setHeader("host", authority)
    headers:addRawHeader("via", self.clientproto:match("[%d.]+$") .. " twistlua")
    return exchange(self, factory:agent(), self.uri:match("^[^#]*"), headers, lengthOf(self))
  end
end

function ProxyRequest:bodyBegins(_)
  self._proxied = self:_forward()
  return self._proxied
end

function ProxyRequest:process()
  if self.finished then return end
  if self._proxied then return self._proxied:finishBody() end
  if self.method == "CONNECT" then return self:_connect() end
  self:_forward()
end

---Hands the requests of its clients on to wherever they want (Twisted: http.HTTPFactory with proxy.Proxy). Whoever can
---connect may use it: let it listen where only they can, or say who in `allow`.
---@class twistlua.web.ProxyFactory: twistlua.web.HTTPFactory
---@operator call(...): twistlua.web.ProxyFactory
local ProxyFactory = http.HTTPFactory:extend("ProxyFactory")

ProxyFactory.requestFactory = ProxyRequest
ProxyFactory.connectTimeout = CONNECT_TIMEOUT
ProxyFactory.OPTIONS = setmetatable({ connectPorts = "table", allow = "function", connectTimeout = "number" },
  { __index = http.HTTPFactory.OPTIONS })

---@param given? table as for HTTPFactory, and connectPorts: a list of those that CONNECT may go to, default { 443 };
---  allow(host, port, request): whether that may be asked, default everything; connectTimeout: seconds, default 10
function ProxyFactory:init(given)
  http.HTTPFactory.init(self, given)
  given = given or {}
  self.connectTimeout = given.connectTimeout or CONNECT_TIMEOUT
  self.allow = given.allow or function() return true end
  self.connectPorts = {}
  for _, port in ipairs(given.connectPorts or { 443 }) do self.connectPorts[port] = true end
end

---@return twistlua.web.Agent
function ProxyFactory:agent()
  self._agent = self._agent or newAgent(self:clock(), { connectTimeout = self.connectTimeout })
  return self._agent
end

function ProxyFactory:stopFactory()
  if self._agent then self._agent._pool:closeCachedConnections() end
  http.HTTPFactory.stopFactory(self)
end

return {
  ReverseProxyResource = ReverseProxyResource,
  ReverseProxy         = ReverseProxy,
  ProxyRequest         = ProxyRequest,
  ProxyFactory         = ProxyFactory,
}
