-- SPDX-License-Identifier: MIT
-- web/client/pool.lua -- the connections that are open: for each host the idle ones, how many there are, and the
-- exchanges that wait for one.

local Object   = require("twistlua.class").Object
local Factory  = require("twistlua.protocol.factory").Factory
local HTTP11ClientProtocol = require "twistlua.web.client.connection"
local defer    = require "twistlua.defer"
local errors   = require "twistlua.web.client.errors"
local options  = require "twistlua.options"

local NEVER = math.huge
local newDeferred = defer.Deferred

-- ---- Hosts ---------------------------------------------------------------------------------------

-- One place to connect to. It is a factory of the connections, and their owner.
local Host = Factory:extend("HTTP11ClientFactory")

Host.noisy = false

function Host:init(pool, key, endpoints, uri)
  self.pool = pool
  self.reactor, self.seconds = pool._reactor, pool._reactor.seconds
  self.key = key
  self.endpoints = endpoints
  self.uri = uri
  self.idle = {}        -- the one that was used last stands last
  self.idleCount = 0
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
  exchange._host, exchange._place = self, self.last
end

function Host:withdraw(exchange)
  self.waiting[exchange._place] = false
  self.queued = self.queued - 1
  exchange._place = nil
  self:forgetIfUnused()
end

function Host:dequeue()
  while self.first <= self.last do
    local exchange = self.waiting[self.first]
    self.waiting[self.first] = nil
    self.first = self.first + 1
    if exchange then
      self.queued = self.queued - 1
      exchange._place = nil
      return exchange
    end
  end
end

function Host:forgetIfUnused()
  local hosts = self.pool._hosts
  if self.count == 0 and self.queued == 0 and hosts[self.key] == self then hosts[self.key] = nil end
end

-- ---- Time ----------------------------------------------------------------------------------------

-- One timer a connection, for the head that it waits for and for its idleness. It is set anew when it rings, or if
-- it would ring too late: requests that come quickly one after the other cost no timers.
local ring

-- It rings at `deadline`.
local function arm(host, connection, now, deadline)
  if connection.timer then connection.timer:cancel() end
  connection.rings = deadline
  connection.timer = host.reactor:callLater(deadline - now, ring, host, connection)
end

function ring(host, connection)
  connection.timer, connection.rings = false, NEVER
  local deadline = connection.deadline
  if deadline == NEVER then return end
  local now = host.reactor:seconds()
  if deadline > now then return arm(host, connection, now, deadline) end
  local exchange = connection.exchange
  if exchange then return exchange:_timedOut() end
  host:expire(connection)
end

-- What `connection` waits for, a head or an exchange, is to come within so many seconds.
local function watch(host, connection, seconds)
  local now = host.seconds(host.reactor)
  local deadline = now + seconds
  connection.deadline = deadline
  if connection.rings > deadline then arm(host, connection, now, deadline) end
end

Host.watch = watch

function Host:expire(connection)
  if self:takeIdle(connection) then self:close(connection) end
end

-- ---- Idle connections ----------------------------------------------------------------------------

-- `wanted`, or the one that has been idle for longest, is idle no more. Returns it, or nil if there is none.
function Host:takeIdle(wanted)
  local idle = self.idle
  for i = 1, self.idleCount do
    if not wanted or idle[i] == wanted then
      self.idleCount = self.idleCount - 1
      return table.remove(idle, i)
    end
  end
end

---Give `exchange` a connection: an idle one, or a new one, or have it wait.
function Host:serve(exchange)
  local idle, count = self.idle, self.idleCount
  if count == 0 then return self:open(exchange) end
  local connection = idle[count]
  idle[count], self.idleCount = nil, count - 1
  if not exchange.plain then return exchange:_connected(connection) end
  connection:begin(exchange)   -- what that would do, in fewer steps
  watch(self, connection, exchange.headTimeout)
end

---Give `exchange` a new connection, for which an idle one may have to make room, or have it wait.
function Host:open(exchange)
  if self.count >= self.pool.maxConnectionsPerHost then self:makeRoom() end
  if self.count >= self.pool.maxConnectionsPerHost then return self:enqueue(exchange) end
  self:connect(exchange)
end

-- A fresh connection may be wanted while idle ones take all the places.
function Host:makeRoom()
  local oldest = self:takeIdle()
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
  exchange._connecting = connecting
  connecting:addCallbacks(
    function(connection)
      exchange._connecting = nil
      exchange:_connected(connection)
    end,
    function(failure)
      exchange._connecting = nil
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
  local exchange = self.first <= self.last and self:dequeue()
  if exchange then return exchange:_connected(connection) end
  local pool, count = self.pool, self.idleCount + 1
  self.idle[count], self.idleCount = connection, count
  if count > pool.maxPersistentPerHost then self:makeRoom() end
end

-- Its time begins when it is known that it is not used again at once, as it mostly is.
function Host:resting(connection)
  watch(self, connection, self.pool.cachedConnectionTimeout)
end

function Host:gone(connection)
  self:takeIdle(connection)
  self.pool:_gone(connection)
  if connection.uncounted then return self:forgetIfUnused() end
  self:vacated()
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
---@param request twistlua.web.client.Exchange composed
---@return twistlua.Deferred response
function HTTPConnectionPool:request(key, endpoints, request)
  local host = self._hosts[key]
  if not host then
    host = Host(self, key, endpoints, request.uri)
    self._hosts[key] = host
  end
  local result = newDeferred(request)
  request._result = result
  host:serve(request)
  return result
end

-- A retry, on a new connection: the host may have been forgotten meanwhile.
function HTTPConnectionPool:_serveAgain(host, exchange)
  local known = self._hosts[host.key]
  if not known then
    self._hosts[host.key] = host
    known = host
  end
  known:open(exchange)
end

function HTTPConnectionPool:_closing(connection)
  self._closed[connection] = true
  connection.transport:loseConnection()
end

function HTTPConnectionPool:_gone(connection)
  if connection.timer then connection.timer:cancel() end
  connection.timer = false
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
    while host.idleCount > 0 do host:makeRoom() end
  end
  if next(self._closed) == nil then return defer.succeed() end
  local result = defer.Deferred()
  if self._emptied then self._emptied:chainDeferred(result) else self._emptied = result end
  return result
end

return HTTPConnectionPool
