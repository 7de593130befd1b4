-- SPDX-License-Identifier: MIT
-- web/client/agent.lua -- makes requests: where to connect, how to trust, how long to wait.

local Object   = require("twistlua.class").Object
local Exchange = require "twistlua.web.client.exchange"
local Pool     = require "twistlua.web.client.pool"
local base     = require "twistlua.error"
local defer    = require "twistlua.defer"
local errors   = require "twistlua.web.client.errors"
local failure  = require "twistlua.failure"
local options  = require "twistlua.options"

-- ---- Whom to trust -------------------------------------------------------------------------------

---Verifies as browsers do: a certificate that the system trusts, of the very host (Twisted:
---BrowserLikePolicyForHTTPS).
---@class twistlua.web.BrowserLikePolicyForHTTPS: twistlua.Object
---@operator call(...): twistlua.web.BrowserLikePolicyForHTTPS
local BrowserLikePolicyForHTTPS = Object:extend("BrowserLikePolicyForHTTPS")

---@param trustRoot? any as for ssl.CertificateOptions; default: the system's
function BrowserLikePolicyForHTTPS:init(trustRoot)
  self._trustRoot = trustRoot
  self._shared = nil
end

---@param host string
---@param _port integer
---@return twistlua.ssl.CertificateOptions
function BrowserLikePolicyForHTTPS:creatorForNetloc(host, _port)
  -- One context for all hosts: to load whom the system trusts takes a while.
  self._shared = self._shared or require("twistlua.ssl").optionsForClientTLS(host,
    { trustRoot = self._trustRoot, acceptableProtocols = { "http/1.1" } })
  local shared = self._shared
  return { hostname = host, getContext = function() return shared:getContext() end }
end

-- Options for all hosts. Those that name a host are for that one.
local FixedPolicy = Object:extend("FixedPolicy")

function FixedPolicy:init(contextFactory) self._options = contextFactory end

function FixedPolicy:creatorForNetloc(host)
  local given = self._options
  return { hostname = given.hostname or host, getContext = function() return given:getContext() end }
end

local function policyOf(given)
  if given == nil then return BrowserLikePolicyForHTTPS() end
  if type(given) == "table" and given.creatorForNetloc then return given end
  if type(given) == "table" and given.getContext then return FixedPolicy(given) end
  error("Agent: contextFactory must have creatorForNetloc, or getContext as ssl.CertificateOptions has", 4)
end

-- ---- Where to connect ----------------------------------------------------------------------------

-- The endpoints of http and https.
local StandardEndpoints = Object:extend("StandardEndpoints")

function StandardEndpoints:init(reactor, policy, given)
  self._reactor = reactor
  self._policy = policy
  self._options = { timeout = given.connectTimeout, bindAddress = given.bindAddress }
end

function StandardEndpoints:secured(uri, endpoint)
  return require("twistlua.endpoints.ssl").wrapClientTLS(self._policy:creatorForNetloc(uri.host, uri.port), endpoint)
end

function StandardEndpoints:endpointForURI(uri)
  local endpoint = require "twistlua.endpoints.hostname"(self._reactor, uri.host, uri.port, self._options)
  if uri.scheme == "http" then return endpoint end
  if uri.scheme == "https" then return self:secured(uri, endpoint) end
  error(errors.SchemeNotSupported(("'%s'"):format(uri.scheme)), 0)
end

-- ---- Agents --------------------------------------------------------------------------------------

---Makes requests (Twisted: Agent).
---@class twistlua.web.Agent: twistlua.Object
---@operator call(...): twistlua.web.Agent
local Agent = Object:extend("Agent")

Agent.OPTIONS = {
  contextFactory = "table", connectTimeout = "number", bindAddress = "any", pool = "table",
  headTimeout = "number", timeout = "number",
}

---@class twistlua.web.Agent.given
---@field contextFactory? table whom https trusts: creatorForNetloc(host, port), or ssl.CertificateOptions; default:
---BrowserLikePolicyForHTTPS
---@field connectTimeout? number seconds, default 30
---@field bindAddress? any as for connectTCP
---@field pool? twistlua.web.HTTPConnectionPool default: one that closes each connection after its response
---@field headTimeout? number seconds from a connection to the head of the response, default 60; 0 for any time
---@field timeout? number seconds for all of it, waiting and body included; default: any time

---@param reactor twistlua.Reactor
---@param given? twistlua.web.Agent.given
function Agent:init(reactor, given)
  given = options.check("Agent", given, Agent.OPTIONS, 4)
  self:_setUp(reactor, StandardEndpoints(reactor, policyOf(given.contextFactory), given), given)
  if given.contextFactory or given.bindAddress then self._space = self._pool:newSpace() end
end

function Agent:_setUp(reactor, endpoints, given)
  self._reactor = reactor
  self._endpoints = endpoints
  self._pool = given.pool or Pool(reactor, { persistent = false })
  local headTimeout = given.headTimeout or 60
  self._headTimeout = headTimeout > 0 and headTimeout or math.huge
  self._timeout = given.timeout or false
  self._space = ""        -- connections are shared with the agents that have the same one
  self._repeats = true    -- what was composed for one request does for the next
end

---An agent that connects as `endpointFactory:endpointForURI(uri)` says: through a UNIX socket, to a certain address
---(Twisted: Agent.usingEndpointFactory).
---@param reactor twistlua.Reactor
---@param endpointFactory { endpointForURI: fun(self, uri: twistlua.web.URI): twistlua.ClientEndpoint }
---@param given? { pool?: twistlua.web.HTTPConnectionPool, headTimeout?: number, timeout?: number }
---@return twistlua.web.Agent
function Agent.usingEndpointFactory(reactor, endpointFactory, given)
  given = options.check("usingEndpointFactory", given, { pool = "table", headTimeout = "number", timeout = "number" })
  local self = setmetatable({}, Agent)
  self:_setUp(reactor, endpointFactory, given)
  self._space = self._pool:newSpace()
  return self
end

-- All of it, the body included, is to take no longer than this.
local function limit(reactor, seconds, result)
  local response, expired
  local function message() return base.TimeoutError(("the request was not done within %g s"):format(seconds)) end
  local timer = reactor:callLater(seconds, function()
    expired = true
    if response then response:abort(message()) else result:cancel() end
  end)
  local function stop() if timer:active() then timer:cancel() end end
  return result:addBoth(function(outcome)
    if failure.isFailure(outcome) then
      stop()
      if expired then error(message(), 0) end
    elseif outcome._source then
      response, outcome._onEnd = outcome, stop
    else
      stop()
    end
    return outcome
  end)
end

---Send a request. It fails with an InvalidRequest for what cannot be sent, an error of connecting,
---RequestTransmissionFailed, RequestGenerationFailed, ResponseNeverReceived, ResponseFailed, an SSLError or a
---TimeoutError. Cancelling closes the connection.
---@param method string
---@param uri string
---@param headers? twistlua.Headers|table<string, string|string[]>
---@param bodyProducer? string|table
---@return twistlua.Deferred response fires with a twistlua.web.Response when the head is there
function Agent:request(method, uri, headers, bodyProducer)
  local pool, request, key = self._pool, nil, nil
  if self._repeats and pool.persistent and headers == nil and bodyProducer == nil then
    request = Exchange:again(method, uri, self._headTimeout)
    key = request and self._space .. request.uri._origin
  end
  if not request then
    local ok
    ok, request, key = pcall(self._make, self, method, uri, headers, bodyProducer)
    if not ok then return defer.fail(request) end
  end
  local result = pool:request(key, self._endpoints, request)
  return self._timeout and limit(self._reactor, self._timeout, result) or result
end

-- A composed request, and the key for its connection. Raises an error object for what cannot be sent.
function Agent:_make(method, uri, headers, bodyProducer)
  local request = Exchange:make(method, uri, headers, bodyProducer)
  request.headTimeout = self._headTimeout
  return request, self:_compose(request)
end

function Agent:_compose(request)
  request:compose(self._pool.persistent)
  return self._space .. request.uri:origin()
end

return {
  Agent = Agent,
  BrowserLikePolicyForHTTPS = BrowserLikePolicyForHTTPS,
  StandardEndpoints = StandardEndpoints,
  policyOf = policyOf,
}
