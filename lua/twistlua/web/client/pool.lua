-- SPDX-License-Identifier: MIT
-- web/client/pool.lua -- the connections that are open: for each host the idle ones, how many there are, and the
-- exchanges that wait for one.

local Object   = require("twistlua.class").Object
local Factory  = require("twistlua.protocol.factory").Factory
local HTTP11ClientProtocol = require "twistlua.web.client.connection"
local base     = require "twistlua.error"
local defer    = require "twistlua.defer"
local errors   = require "twistlua.web.client.errors"
local guard    = require "twistlua.guard"
local options  = require "twistlua.options"

-- ---- Hosts ---------------------------------------------------------------------------------------

-- One place to connect to. It is a factory of the connections, and their owner.
local Host = Factory:extend("HTTP11ClientFactory")

Host.noisy = false

function Host:init(pool, key, endpoints, uri)
  self.pool = pool
  self.key = key
  self.endpoints = endpoints
  self.uri = uri
  self.idle = {}        -- the one that was used last stands last
  self.count = 0        -- open or being opened
  self.first, self.last, self.waiting = 1, 0, {}   -- a queue; false: one that was cancelled
  self.queued = 0
end

function Host:buildProtocol() return HTTP11ClientProtocol(self) end

function Host:enqueue(exchange)
  if self.queued >= self.pool.maxQueuedPerHost then
    return exchange:_failed(require("twistlua.failure").Failure(errors.TooManyWaiting(self.key)))
  end
  self.last = self.last + 1
  self.waiting[self.last] = exchange
  self.queued = self.queued + 1
  exchange.place = self.last
end

function Host:withdraw(exchange)
  self.waiting[exchange.place] = false
  self.queued = self.queued - 1
  exchange.place = nil
  self:forgetIfUnused()
end

function Host:dequeue()
  while self.first <= self.last do
    local exchange = self.waiting[self.first]
    self.waiting[self.first] = nil
    self.first = self.first + 1
    if exchange then
      self.queued = self.queued - 1
      exchange.place = nil
      return exchange
    end
  end
end

function Host:forgetIfUnused()
  local hosts = self.pool._hosts
  if self.count == 0 and self.queued == 0 and hosts[self.key] == self then hosts[self.key] = nil end
end

-- One timer a connection, for the head that it waits for and for its idleness. It is set anew when it rings, or if
-- it would ring too late: requests that come quickly one after the other cost no timers.
local function arm(host, connection, now, deadline)
  connection.rings = deadline
  connection.timer = host.pool._reactor:callLater(deadline - now, function()
    connection.timer = nil
    local limit = connection.deadline
    if not limit then return end
    local seconds = host.pool._reactor:seconds()
    if limit > seconds then return arm(host, connection, seconds, limit) end
    local exchange = connection.waitingFor
    if exchange then return exchange:_timeOut() end
    host:expire(connection)
  end)
end

---Have `connection` end in so many seconds, unless something else is said meanwhile; nil: whenever.
function Host:watch(connection, seconds, exchange)
  connection.waitingFor = exchange
  if not seconds then
    connection.deadline = nil
    return
  end
  local now = self.pool._reactor:seconds()
  local deadline = now + seconds
  connection.deadline = deadline
  if connection.timer then
    if connection.rings <= deadline then return end
    connection.timer:cancel()
  end
  arm(self, connection, now, deadline)
end

function Host:expire(connection)
  for i, idle in ipairs(self.idle) do
    if idle == connection then
      table.remove(self.idle, i)
      return self:close(connection)
    end
  end
end

---Give `exchange` a connection: an idle one unless it wants a fresh one, or a new one, or have it wait.
function Host:serve(exchange)
  local idle = self.idle
  local connection = not exchange.fresh and idle[#idle]
  if connection then
    idle[#idle] = nil
    exchange:_connected(connection)
  elseif self.count < self.pool.maxConnectionsPerHost then
    self:connect(exchange)
  else
    self:makeRoom()
    if self.count < self.pool.maxConnectionsPerHost then return self:connect(exchange) end
    self:enqueue(exchange)
  end
end

-- A fresh connection may be wanted while idle ones take all the places.
function Host:makeRoom()
  local oldest = table.remove(self.idle, 1)
  if oldest then self:close(oldest) end
end

function Host:close(connection)
  self.count = self.count - 1
  connection.uncounted = true
  self.pool:_closing(connection)
end

local function connectTo(host)
  return host.endpoints:endpointForURI(host.uri):connect(host)
end

function Host:connect(exchange)
  self.count = self.count + 1
  local connecting = defer.maybeDeferred(connectTo, self)
  exchange.connecting = connecting
  connecting:addCallbacks(
    function(connection)
      exchange.connecting = nil
      exchange:_connected(connection)
    end,
    function(failure)
      exchange.connecting = nil
      self:vacated()
      exchange:_failed(failure)
    end)
end

-- One connection less: the next may come.
function Host:vacated()
  self.count = self.count - 1
  if self.count < self.pool.maxConnectionsPerHost then
    local exchange = self:dequeue()
    if exchange then return self:connect(exchange) end
  end
  self:forgetIfUnused()
end

-- ---- What connections tell -----------------------------------------------------------------------

function Host:released(connection)
  local exchange = self:dequeue()
  if exchange then return exchange:_connected(connection) end
  self.pool:_keep(self, connection)
end

function Host:gone(connection)
  local idle = self.idle
  for i = #idle, 1, -1 do
    if idle[i] == connection then table.remove(idle, i) end
  end
  self.pool:_gone(connection)
  if connection.uncounted then return self:forgetIfUnused() end
  self:vacated()
end

-- ---- Exchanges -----------------------------------------------------------------------------------

-- A request on its way to its response.
local Exchange = Object:extend("Exchange")

-- All fields at once, so that the table need not grow.
function Exchange.make(host, request)
  local self = {
    request    = request,
    _host      = host,
    connection = nil,     -- once it has one
    connecting = nil,     -- while one is made for it
    place      = nil,     -- while it waits in its host's queue
    fresh      = false,   -- it is to have a new connection
    reused     = false,   -- its connection had another before
    result     = nil,     -- until it has fired
  }
  self.result = defer.Deferred(function() self:_cancel() end)
  return setmetatable(self, Exchange)
end

function Exchange:_connected(connection)
  self.connection = connection
  self.reused = connection.used > 0
  if not self.request.bodyProducer then
    self:_sent()
    return connection:begin(self)
  end
  self._host:watch(connection, nil)   -- however long a body takes
  local ok, failure = guard.call(connection.begin, connection, self)
  if ok then return end
  connection:cancel()
  self:_failed(failure)
end

-- The request is on its way, and the time for the response begins.
function Exchange:_sent()
  local seconds = self.request.headTimeout
  self._host:watch(self.connection, seconds > 0 and seconds or nil, self)
end

function Exchange:_timeOut()
  self.connection:cancel()
  self:_failed(require("twistlua.failure").Failure(base.TimeoutError(
    ("%s: no response within %g s"):format(self.request.uri.netloc, self.request.headTimeout))))
end

function Exchange:_settle()
  local connection = self.connection
  if not connection then return end
  self.connection = nil
  if connection.waitingFor == self then connection.waitingFor, connection.deadline = nil, nil end
end

function Exchange:_responded(response)
  self:_settle()
  local result = self.result
  self.result = nil
  result:callback(response)
end

-- A connection that was idle may have been closed by the other side just before the request came: what may be sent
-- twice is, once, on a new connection.
function Exchange:_mayRetry(failure)
  if not self.reused or self.fresh or not self.request.retriable or not self._host.pool.retryAutomatically then
    return false
  end
  return failure:check(errors.ResponseNeverReceived, errors.RequestTransmissionFailed, errors.RequestNotSent) ~= nil
end

function Exchange:_failed(failure)
  self:_settle()
  if not self.result then return end
  if self:_mayRetry(failure) then
    self.fresh = true
    return self._host.pool:_serve(self._host, self)
  end
  local result = self.result
  self.result = nil
  result:errback(failure)
end

function Exchange:_cancel()
  local connection = self.connection
  self.result = nil
  if self.place then self._host:withdraw(self) end
  if self.connecting then self.connecting:cancel() end
  self:_settle()
  if connection then connection:cancel() end
end

-- ---- The pool --------------------------------------------------------------------------------------

---Keeps connections open between requests (Twisted: HTTPConnectionPool).
---@class twistlua.web.HTTPConnectionPool: twistlua.Object
---@field persistent boolean connections are used again
---@field maxPersistentPerHost integer idle connections that are kept
---@field maxConnectionsPerHost integer connections at a time; more requests wait for one
---@field maxQueuedPerHost integer requests that may wait; more fail with TooManyWaiting
---@field cachedConnectionTimeout number seconds that a connection stays open without use
---@field retryAutomatically boolean send a request without a body again, once, if an idle connection turns out closed
---@operator call(...): twistlua.web.HTTPConnectionPool
local HTTPConnectionPool = Object:extend("HTTPConnectionPool")

local OPTIONS = {
  persistent = "boolean", maxPersistentPerHost = "integer", maxConnectionsPerHost = "integer",
  maxQueuedPerHost = "integer", cachedConnectionTimeout = "number", retryAutomatically = "boolean",
}

---@param reactor twistlua.Reactor
---@param given? { persistent?: boolean, maxPersistentPerHost?: integer, maxConnectionsPerHost?: integer,
---  maxQueuedPerHost?: integer, cachedConnectionTimeout?: number, retryAutomatically?: boolean } defaults: true, 2, 32,
---  10000, 240, true
function HTTPConnectionPool:init(reactor, given)
  given = options.check("HTTPConnectionPool", given, OPTIONS, 4)
  self._reactor = reactor
  self.persistent = given.persistent ~= false
  self.maxPersistentPerHost = given.maxPersistentPerHost or 2
  self.maxConnectionsPerHost = given.maxConnectionsPerHost or 32
  self.maxQueuedPerHost = given.maxQueuedPerHost or 10000
  self.cachedConnectionTimeout = given.cachedConnectionTimeout or 240
  self.retryAutomatically = given.retryAutomatically ~= false
  if self.maxConnectionsPerHost < 1 then error("HTTPConnectionPool: maxConnectionsPerHost must be at least 1", 3) end
  self._hosts = {}       -- key → Host, while it has connections or exchanges
  self._spaces = 0
  self._closed = {}      -- connections that closeCachedConnections, or a limit, closed → true until they are gone
  self._emptied = nil    -- fires when those are
end

---For agents: a prefix for keys, so that those that trust otherwise have connections of their own.
---@return string
function HTTPConnectionPool:newSpace()
  self._spaces = self._spaces + 1
  return self._spaces .. " "
end

---For agents: send `request` to where `endpoints:endpointForURI(request.uri)` connects. Connections are shared by all
---that use `key`.
---@param key string
---@param endpoints { endpointForURI: fun(self, uri: twistlua.web.URI): twistlua.ClientEndpoint }
---@param request twistlua.web.Request composed
---@return twistlua.Deferred response
function HTTPConnectionPool:request(key, endpoints, request)
  local host = self._hosts[key]
  if not host then
    host = Host(self, key, endpoints, request.uri)
    self._hosts[key] = host
  end
  local exchange = Exchange.make(host, request)
  local result = exchange.result
  host:serve(exchange)
  return result
end

-- A retry: the host may have been forgotten meanwhile.
function HTTPConnectionPool:_serve(host, exchange)
  local known = self._hosts[host.key]
  if not known then
    self._hosts[host.key] = host
    known = host
  end
  exchange._host = known
  known:serve(exchange)
end

function HTTPConnectionPool:_keep(host, connection)
  local idle = host.idle
  idle[#idle + 1] = connection
  host:watch(connection, self.cachedConnectionTimeout)
  if #idle > self.maxPersistentPerHost then host:close(table.remove(idle, 1)) end
end

function HTTPConnectionPool:_closing(connection)
  self._closed[connection] = true
  connection.transport:loseConnection()
end

function HTTPConnectionPool:_gone(connection)
  if connection.timer then connection.timer:cancel() end
  connection.timer = nil
  self._closed[connection] = nil
  local emptied = self._emptied
  if emptied and next(self._closed) == nil then
    self._emptied = nil
    emptied:callback()
  end
end

---Close what is idle; what is in use goes on.
---@return twistlua.Deferred done when they are closed
function HTTPConnectionPool:closeCachedConnections()
  for _, host in pairs(self._hosts) do
    while #host.idle > 0 do host:close(table.remove(host.idle)) end
  end
  if next(self._closed) == nil then return defer.succeed() end
  local result = defer.Deferred()
  if self._emptied then self._emptied:chainDeferred(result) else self._emptied = result end
  return result
end

return HTTPConnectionPool
