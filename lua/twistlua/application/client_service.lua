-- SPDX-License-Identifier: MIT
-- application/client_service.lua -- one connection that is always there: made again whenever it is lost.
--
--   stopped -> connecting -> connected -> waiting -> connecting ...     lost, or failed: wait, try again
--   connecting, connected -> disconnecting -> stopped                   stopService
--                            disconnecting -> restarting -> connecting  startService in between
--
-- A try is one attempt and the connection that came of it; only what the present try says counts.

local Factory = require("twistlua.protocol.factory").Factory
local Service = require("twistlua.application.service").Service
local defer   = require "twistlua.defer"
local guard   = require "twistlua.guard"
local log     = require "twistlua.log"
local options = require "twistlua.options"

local POLICY = { initialDelay = "number", maxDelay = "number", factor = "number", jitter = "any" }

---Delays that grow with each failure in a row.
---@param given? { initialDelay?: number, maxDelay?: number, factor?: number, jitter?: fun(): number }
---  initialDelay 1 second and maxDelay 60; factor 1.5; jitter is added, default a random part of a second
---@return fun(failures: integer): number policy seconds to wait after so many failures in a row
local function backoffPolicy(given)
  given = options.check("backoffPolicy", given, POLICY)
  local initialDelay, maxDelay = given.initialDelay or 1.0, given.maxDelay or 60.0
  local factor, jitter = given.factor or 1.5, given.jitter or math.random
  return function(failures)
    return math.min(initialDelay * factor ^ math.min(failures, 100), maxDelay) + jitter()
  end
end

-- Builds the user's protocols, and has the service hear of their end: each has a connectionLost of its own, once,
-- which costs nothing until then.
local WatchedFactory = Factory:extend("WatchedFactory")

function WatchedFactory:init(wrapped, lost)
  self._wrapped = wrapped
  self._lost = lost
end

function WatchedFactory:doStart() self._wrapped:doStart() end
function WatchedFactory:doStop() self._wrapped:doStop() end
function WatchedFactory:logPrefix() return self._wrapped:logPrefix() end

function WatchedFactory:buildProtocol(address)
  local protocol = self._wrapped:buildProtocol(address)
  if protocol == nil then return nil end
  local connectionLost = rawget(protocol, "connectionLost")
  protocol.connectionLost = function(_, reason)
    protocol.connectionLost = connectionLost
    guard.run("Unhandled error in connectionLost", protocol.connectionLost, protocol, reason)
    self._lost(reason)
  end
  return protocol
end

---Keeps a connection to an endpoint while it runs.
---@class twistlua.ClientService: twistlua.Service
---@operator call(...): twistlua.ClientService
local ClientService = Service:extend("ClientService")

local OPTIONS = { retryPolicy = "function", clock = "any", prepareConnection = "function" }

---@param endpoint twistlua.ClientEndpoint
---@param factory twistlua.Factory
---@param given? { retryPolicy?: fun(failures: integer): number, clock?: table, prepareConnection?: fun(protocol): any }
---  retryPolicy default `backoffPolicy()`; clock in place of the reactor; what prepareConnection does with each new
---  connection comes before anybody gets it, is waited for if it is a Deferred, and rejects it by failing
function ClientService:init(endpoint, factory, given)
  given = options.check(self.__name, given, OPTIONS, 4)
  self._endpoint = endpoint
  self._factory = factory
  self._retryPolicy = given.retryPolicy or backoffPolicy()
  self._clock = given.clock
  self._prepare = given.prepareConnection
  self._state = "stopped"
  self._wasStopped = false   -- nobody waits for a connection of a service that has stopped
  self._try = nil            -- { attempt = Deferred, protocol = once there is one, lost = reason }
  self._failures = 0         -- in a row
  self._retryCall = nil
  self._waiting = {}         -- { deferred, how many more failures it bears or nil } of whenConnected
  self._stopping = {}        -- Deferreds of stopService
end

---Connect, and again whenever it is needed. Where the service is still stopping, that is finished first.
function ClientService:startService()
  if self.running then
    log.msg(("%s is running already"):format(self.__name))
    return
  end
  Service.startService(self)
  self._failures = 0
  if self._state == "disconnecting" then
    self._state = "restarting"
  else
    self:_connect()
  end
end

---Connect no more, and close the connection.
---@return twistlua.Deferred done fires with nil when no attempt and no connection is left
function ClientService:stopService()
  Service.stopService(self)
  local done = defer.Deferred()
  self._stopping[#self._stopping + 1] = done
  local state, try = self._state, self._try
  self._state = "disconnecting"
  if state == "connecting" then
    try.attempt:cancel()
  elseif state == "connected" then
    try.protocol.transport:loseConnection()
  elseif state == "stopped" or state == "waiting" then
    if self._retryCall then self._retryCall:cancel() end
    self:_ended()
  end
  return done
end

---The connected protocol, or the next to be connected.
---@param given? { failAfterFailures?: integer } fail with the error of that attempt after so many of them have
---  failed from now on, 1 being the very next; default: wait for ever
---@return twistlua.Deferred protocol fails with CancelledError when the service stops or has stopped
function ClientService:whenConnected(given)
  local bears = options.check("whenConnected", given, { failAfterFailures = "integer" }).failAfterFailures
  if self._state == "connected" then return defer.succeed(self._try.protocol) end
  if self._state == "stopped" and self._wasStopped then return defer.fail(defer.CancelledError()) end
  local entry = { bears = bears }
  entry.deferred = defer.Deferred(function()
    for index, other in ipairs(self._waiting) do
      if other == entry then return table.remove(self._waiting, index) end
    end
  end)
  self._waiting[#self._waiting + 1] = entry
  return entry.deferred
end

function ClientService:_fireWaiting(method, outcome)
  local waiting = self._waiting
  self._waiting = {}
  for _, entry in ipairs(waiting) do entry.deferred[method](entry.deferred, outcome) end
end

-- Tell a failure to those who have borne as many as they wanted to.
function ClientService:_failWaiting(failure)
  local failing, kept = {}, {}
  for _, entry in ipairs(self._waiting) do
    if entry.bears then entry.bears = entry.bears - 1 end
    local list = entry.bears and entry.bears <= 0 and failing or kept
    list[#list + 1] = entry
  end
  self._waiting = kept
  for _, entry in ipairs(failing) do entry.deferred:errback(failure) end
end

function ClientService:_connect()
  local try = {}
  self._state, self._try = "connecting", try
  local factory = WatchedFactory(self._factory, function(reason) self:_lost(try, reason) end)
  try.attempt = defer.maybeDeferred(self._endpoint.connect, self._endpoint, factory)
  try.attempt:addCallback(function(protocol)
    try.protocol = protocol
    return self._prepare and self._prepare(protocol)
  end)
  try.attempt:addCallbacks(
    function() self:_made(try) end,
    function(failure) self:_failed(try, failure) end)
end

function ClientService:_made(try)
  if try.lost then return self:_failed(try, try.lost) end
  if self._state ~= "connecting" then return try.protocol.transport:loseConnection() end
  self._state = "connected"
  self._failures = 0
  self:_fireWaiting("callback", try.protocol)
end

-- The attempt failed, or the connection was rejected, or it is lost before it was prepared.
function ClientService:_failed(try, failure)
  local open, reason = try.protocol and not try.lost, try.lost or failure
  if open then try.protocol.transport:loseConnection() end
  if self._state == "connecting" then
    self:_retry()
    self:_failWaiting(reason)
  elseif not open then
    self:_ended()
  end
end

function ClientService:_lost(try, reason)
  try.lost = reason
  if try ~= self._try then return end
  if self._state == "connected" then
    self:_retry()
  elseif self._state == "connecting" then
    -- Before the attempt has a result it fails by itself.
    if try.protocol then try.attempt:cancel() end
  else
    self:_ended()
  end
end

function ClientService:_retry()
  self._state, self._try = "waiting", nil
  self._failures = self._failures + 1
  local delay = self._retryPolicy(self._failures)
  log.msg(("%s: connecting to %s again in %.2f seconds (attempt %d)")
    :format(self.__name, self._endpoint, delay, self._failures))
  local clock = self._clock or require "twistlua.reactor"
  self._retryCall = clock:callLater(delay, function()
    self._retryCall = nil
    self:_connect()
  end)
end

-- Nothing is left of what there was.
function ClientService:_ended()
  local restarting, stopping = self._state == "restarting", self._stopping
  self._state, self._try, self._retryCall, self._stopping = "stopped", nil, nil, {}
  self._wasStopped = not restarting
  if restarting then
    self:_connect()
  else
    self:_fireWaiting("errback", defer.CancelledError())
  end
  for _, done in ipairs(stopping) do done:callback(nil) end
end

return { ClientService = ClientService, backoffPolicy = backoffPolicy }
