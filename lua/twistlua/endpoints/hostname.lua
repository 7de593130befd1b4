-- SPDX-License-Identifier: MIT
-- endpoints/hostname.lua -- connecting to a name by whichever of its addresses answers first: RFC 8305,
-- "Happy Eyeballs". Both families are looked up at once; attempts begin one after the other, the families by
-- turns, without waiting for each other's end; the first connection wins.

local Object   = require("twistlua.class").Object
local Failure  = require("twistlua.failure").Failure
local address  = require "twistlua.address"
local defer    = require "twistlua.defer"
local errors   = require "twistlua.error"
local guard    = require "twistlua.guard"
local options  = require "twistlua.options"
local resolver = require "twistlua.reactor.resolver"
local wrapping = require "twistlua.endpoints.wrapping"

local RESOLUTION_DELAY = 0.05   -- seconds that IPv4 addresses wait for IPv6 ones (RFC 8305, 8)

-- ---- One connect -----------------------------------------------------------------------------

-- It is the receiver of the look-up. Invariant: while it is not over, an attempt is under way, a timer runs,
-- or the look-up does.
local Race = Object:extend("Race")

function Race:init(endpoint, factory)
  self.endpoint = endpoint
  self.reactor = endpoint._reactor
  self.factory = factory
  self.waiting = { [4] = {}, [6] = {} }   -- addresses to be tried
  self.last = 4              -- the family that was tried last
  self.begun = false         -- an attempt has begun
  self.under = {}            -- attempts that are under way → true
  self.attempts = {}         -- all: { address, failure }, in their order
  self.resolution = nil      -- while the look-up is under way
  self.resolved = false      -- no more addresses will come
  self.reason = nil          -- why there are none
  self.over = false
  self.pause = nil           -- until the next attempt
  self.hold = nil            -- until the first, while there are only IPv4 addresses
  self.limit = nil           -- of all
  self.result = defer.Deferred(function()
    self:finish("errback", errors.ConnectingCancelledError(tostring(endpoint)))
  end)
end

local function cancelTimer(timer)
  if timer and timer:active() then timer:cancel() end
end

function Race:finish(method, outcome)
  self.over = true
  cancelTimer(self.pause)
  cancelTimer(self.hold)
  cancelTimer(self.limit)
  if self.resolution then self.resolution:cancel() end
  for attempt in pairs(self.under) do attempt.connecting:cancel() end
  self.result[method](self.result, outcome)
end

local function familyOf(host)
  return host:find(":", 1, true) and 6 or 4
end

local CLASSES = { [4] = address.IPv4Address, [6] = address.IPv6Address }

function Race:run()
  local endpoint = self.endpoint
  if endpoint._timeout > 0 then
    self.limit = self.reactor:callLater(endpoint._timeout, function() self:timeOut() end)
  end
  local port = math.type(endpoint._port) == "integer" and endpoint._port or 0
  if endpoint._host ~= "" and resolver.isLiteral(endpoint._host) then
    self.resolved = true
    local family = familyOf(endpoint._host)
    table.insert(self.waiting[family], CLASSES[family]("TCP", endpoint._host, port))
    return self:proceed()
  end
  local types = endpoint._family and { CLASSES[endpoint._family] } or nil
  self.reactor.nameResolver:resolveHostName(self, endpoint._host, port, types, "TCP")
end

function Race:resolutionBegan(resolution)
  self.resolution = resolution
end

function Race:addressResolved(found)
  if self.over then return end
  local family = familyOf(found.host)
  table.insert(self.waiting[family], found)
  if self.begun or family == 6 then return self:proceed() end
  self.hold = self.hold or self.reactor:callLater(RESOLUTION_DELAY, function() self:proceed() end)
end

function Race:resolutionComplete(failure)
  if self.over then return end
  self.resolution, self.resolved, self.reason = nil, true, failure
  self:proceed()
end

function Race:take()
  local family = self.last == 4 and 6 or 4
  if #self.waiting[family] == 0 then family = self.last end
  local found = table.remove(self.waiting[family], 1)
  if found then self.last = family end
  return found
end

-- Begin the next attempt if it is time for it; fail if there is none and all have failed.
function Race:proceed()
  if self.over or self.pause and self.pause:active() then return end
  local found = self:take()
  if found then
    cancelTimer(self.hold)
    self.pause = self.reactor:callLater(self.endpoint._attemptDelay, function() self:proceed() end)
    return self:attempt(found)
  end
  if self.resolved and next(self.under) == nil then self:finish("errback", self:failure()) end
end

function Race:attempt(found)
  local endpoint = self.endpoint
  local attempt = { address = found, failure = nil }
  self.begun = true
  self.under[attempt] = true
  table.insert(self.attempts, attempt)
  attempt.connecting = wrapping.connect(self.factory, function(wrapper)
    self.reactor:connectTCP(found.host, endpoint._port, wrapper,
      { timeout = 0, bindAddress = endpoint._bindAddress })
  end)
  attempt.connecting:addCallbacks(
    function(protocol)
      self.under[attempt] = nil
      self:finish("callback", protocol)
    end,
    function(failure) self:failed(attempt, failure) end)
end

-- A failed attempt does not wait for the next one's time.
function Race:failed(attempt, failure)
  self.under[attempt] = nil
  attempt.failure = failure
  if self.over then return end
  if failure:check(errors.NoProtocol) then return self:finish("errback", failure) end   -- no address helps
  cancelTimer(self.pause)
  self:proceed()
end

-- ---- What went wrong ---------------------------------------------------------------------------

local function describe(attempts)
  local texts = {}
  for i, attempt in ipairs(attempts) do
    local value = attempt.failure.value
    local text = tostring(type(value) == "table" and value.message or value):gsub("%.$", "")
    texts[i] = ("%s (%s)"):format(attempt.address.host, text)
  end
  return table.concat(texts, ", ")
end

-- The class that all errors have, if it is one, else the general one.
local function classOf(attempts)
  local name = attempts[1].failure.value.__name
  for _, attempt in ipairs(attempts) do
    if attempt.failure.value.__name ~= name then return errors.ConnectError end
  end
  if name == "PermissionError" then return errors.PermissionError end
  local class = errors[name]
  return class and class:is(errors.ConnectError) and class or errors.ConnectError
end

function Race:combine(class)
  local err = class(("%s: %s"):format(self.endpoint, describe(self.attempts)))
  local first = self.attempts[1].failure.value
  err.permission, err.resource, err.attempts = first.permission, first.resource, {}
  for i, attempt in ipairs(self.attempts) do
    err.attempts[i] = { address = attempt.address, failure = attempt.failure }
  end
  return err
end

function Race:failure()
  if #self.attempts > 0 then return self:combine(classOf(self.attempts)) end
  return self.reason or errors.DNSLookupError(("'%s': it has no addresses"):format(self.endpoint._host))
end

function Race:timeOut()
  if #self.attempts == 0 then
    return self:finish("errback", errors.TimeoutError(("%s: the look-up has not ended"):format(self.endpoint)))
  end
  for attempt in pairs(self.under) do attempt.failure = Failure(errors.TimeoutError()) end
  self:finish("errback", self:combine(errors.TimeoutError))
end

-- ---- The endpoint --------------------------------------------------------------------------------

---A client endpoint that connects by a name. The error of a connect lists each address with what happened there,
---in its message and as `attempts`: a list of { address, failure }. It has the class that all of them have, or
---is a ConnectError; DNSLookupError when there are no addresses; TimeoutError.
---@class twistlua.HostnameEndpoint: twistlua.Object
---@operator call(...): twistlua.HostnameEndpoint
local HostnameEndpoint = Object:extend("HostnameEndpoint")

local OPTIONS = { timeout = "number", bindAddress = "any", attemptDelay = "number" }

local function checkSeconds(name, seconds, least)
  if seconds >= least and seconds < math.huge then return end
  error(("HostnameEndpoint: %s must be a number of seconds, got %s"):format(name, seconds), 4)
end

---@param reactor twistlua.Reactor
---@param host string a name, or an IP literal
---@param port integer|string a number or the name of a service
---@param given? { timeout?: number, bindAddress?: string|table, attemptDelay?: number } timeout of all of it,
---  look-up included, default 30 s, 0 for none; bindAddress as for connectTCP, whose family is then the only
---  one that is tried; attemptDelay between the beginnings of two attempts, default 0.25 s
function HostnameEndpoint:init(reactor, host, port, given)
  given = options.check("HostnameEndpoint", given, OPTIONS, 4)
  if type(host) ~= "string" then error("HostnameEndpoint: host must be a string, got " .. type(host), 3) end
  if math.type(port) ~= "integer" and type(port) ~= "string" then
    error("HostnameEndpoint: port must be an integer or the name of a service, got " .. type(port), 3)
  end
  self._reactor = reactor
  self._host = host
  self._port = port
  self._timeout = given.timeout or 30
  self._attemptDelay = given.attemptDelay or 0.25
  self._bindAddress = given.bindAddress
  checkSeconds("timeout", self._timeout, 0)
  checkSeconds("attemptDelay", self._attemptDelay, 0)
  local bindHost = type(given.bindAddress) == "table" and given.bindAddress[1] or given.bindAddress
  self._family = type(bindHost) == "string" and bindHost ~= "" and familyOf(bindHost) or nil
end

---Connect. Cancelling ends the look-up and all attempts, and fails it with ConnectingCancelledError.
---@param factory twistlua.Factory
---@return twistlua.Deferred protocol once its `connectionMade` has run
function HostnameEndpoint:connect(factory)
  local race = Race(self, factory)
  local ok, failure = guard.call(race.run, race)
  if not ok and not race.over then race:finish("errback", failure) end
  return race.result
end

function HostnameEndpoint:__tostring()
  return ("'%s' port %s"):format(self._host, self._port)
end

return HostnameEndpoint
