-- SPDX-License-Identifier: MIT
-- reactor/connector.lua -- a client's connection: the attempts, the transport, and the factory that hears.
-- disconnected → connecting → connected → disconnected; `connect()` begins again from the first.

local core     = require "twistlua.core"
local Object   = require("twistlua.class").Object
local Failure  = require("twistlua.failure").Failure
local address  = require "twistlua.address"
local errors   = require "twistlua.error"
local network  = require "twistlua.reactor.network"
local resolver = require "twistlua.reactor.resolver"
local guard = require "twistlua.guard"

---@class twistlua.Connector: twistlua.Object
---@field state "disconnected"|"connecting"|"connected"
---@field factory twistlua.ClientFactory
---@field transport twistlua.Transport|nil while connected
local Connector = Object:extend("Connector")

local DEFAULT_TIMEOUT = 30   -- seconds

-- What is wrong with the arguments is raised where connectTCP or connectUNIX was called.
local CALLER = 4

local function checkTimeout(what, timeout)
  if timeout and not (timeout >= 0 and timeout < math.huge) then
    error(("%s: timeout must be a number of seconds, 0 for none, got %s"):format(what, timeout), CALLER)
  end
end

local function checkPort(what, port, level)
  local number = tonumber(port)
  if number and not (math.tointeger(number) and number >= 0 and number <= 65535) then
    error(("%s must be between 0 and 65535, got %s"):format(what, port), level)
  end
end

function Connector:init(reactor, factory, destination, given)
  self.reactor = reactor
  self.factory = factory
  self.state = "disconnected"
  self.timeout = given.timeout or DEFAULT_TIMEOUT
  self.transport = nil
  self._destination = destination
  self._secure = nil           -- starts TLS on a transport
  self._attempt = nil          -- the core's, or a look-up: what cancels it
  self._factoryStarted = false
end

local function bindPlace(what, bindAddress)
  if bindAddress == nil then return nil end
  if type(bindAddress) == "string" then bindAddress = { bindAddress } end
  local host = type(bindAddress) == "table" and bindAddress[1]
  local port = host and bindAddress[2] or 0
  if type(host) ~= "string" or math.type(port) ~= "integer" then
    error(what .. ': bindAddress must be "host" or { "host", port }', CALLER)
  end
  checkPort(what .. ": the port of bindAddress", port, CALLER + 1)
  return { "TCP", host, port }
end

function Connector.tcp(what, reactor, host, port, factory, given)
  checkTimeout(what, given.timeout)
  checkPort(what .. ": port", port, CALLER)
  local connector = Connector(reactor, factory, nil, given)
  connector.host, connector.port = host, port
  connector._bind = bindPlace(what, given.bindAddress)
  return connector
end

function Connector.unix(reactor, path, factory, given)
  checkTimeout("connectUNIX", given.timeout)
  if type(path) ~= "string" or not pcall(core.connector.check, "UNIX", path) then
    error("connectUNIX: path must be a string that fits a UNIX socket's address", CALLER - 1)
  end
  local connector = Connector(reactor, factory, { "UNIX", path }, given)
  connector._checkLock = given.checkPID
  return connector
end

---Have `start(transport)` start TLS on its connections.
function Connector:secureWith(start)
  self._secure = start
end

---Where it connects to.
---@return twistlua.IPv4Address|twistlua.IPv6Address|twistlua.HostnameAddress|twistlua.UNIXAddress
function Connector:getDestination()
  if not self.host then return address.UNIXAddress(self._destination[2]) end
  if resolver.isLiteral(self.host) then
    local class = self.host:find(":", 1, true) and address.IPv6Address or address.IPv4Address
    return class("TCP", self.host, self.port)
  end
  return address.IPv4Address("TCP", self.host, self.port)
end

---Begin an attempt. Also from clientConnectionFailed and clientConnectionLost.
function Connector:connect()
  if self.state ~= "disconnected" then
    error(("cannot connect: the connector is %s"):format(self.state), 2)
  end
  if not self._factoryStarted then
    self.factory:doStart()
    self._factoryStarted = true
  end
  self.state = "connecting"
  network.connecting[self] = true
  self:_begin()
  local started, failure = guard.call(self.factory.startedConnecting, self.factory, self)
  if started then return end
  self:_cancelAttempt()
  self:_release()
  error(failure.value, 0)
end

-- Every outcome comes in a later turn: also one that is known now.
function Connector:_begin()
  if self._destination then return self:_start(self._destination) end
  local port = resolver.port(self.port)
  if not port then
    return self:_failSoon(errors.ServiceNameUnknownError(tostring(self.port)))
  end
  if resolver.isLiteral(self.host) then return self:_start({ "TCP", self.host, port }) end
  self:_lookUp(port)
end

-- A look-up that was cancelled may be followed by another attempt when its outcome is told. What time it
-- takes is taken from the attempt's.
function Connector:_lookUp(port)
  local reactor, lookup, alarm = self.reactor, self.reactor:resolve(self.host), nil
  local began = reactor:seconds()
  local function quiet()
    if alarm and alarm:active() then alarm:cancel() end
  end
  local attempt = { cancel = function()
    quiet()
    lookup:cancel()
  end }
  self._attempt = attempt
  if self.timeout > 0 then
    alarm = reactor:callLater(self.timeout, function() self:_giveUp(errors.TimeoutError()) end)
  end
  reactor:_soon(function()
    lookup:addBoth(function(outcome)
      quiet()
      if self._attempt ~= attempt then return end
      if core.failure.isFailure(outcome) then return self:_fail(outcome) end
      self:_resolved(outcome, port, reactor:seconds() - began)
    end)
  end)
end

function Connector:_resolved(literal, port, elapsed)
  if type(literal) == "string" and resolver.isLiteral(literal) then
    return self:_start({ "TCP", literal, port }, elapsed)
  end
  local answer = ("the resolver answered '%s' for '%s'"):format(tostring(literal), self.host)
  self:_fail(Failure(errors.DNSLookupError(answer)))
end

function Connector:_failSoon(err)
  local cancelled = false
  self._attempt = { cancel = function() cancelled = true end }
  self.reactor:_soon(function()
    if not cancelled then self:_fail(Failure(err)) end
  end)
end

function Connector:_start(place, elapsed)
  if self._checkLock then
    local locked, message, code = core.listener.locked(place[2])
    if not locked then
      return self:_failSoon(errors.permission(code, message)
        or errors.ConnectError("nobody holds " .. place[2] .. ".lock"))
    end
  end
  local bind = self._bind or {}
  if bind[1] and not resolver.isLiteral(bind[2]) then
    return self:_failSoon(errors.ConnectBindError(("'%s' is no IP address"):format(bind[2])))
  end
  local timeout = self.timeout
  if timeout > 0 and elapsed then timeout = math.max(timeout - elapsed, 0.001) end
  local attempt, message, name = core.connector.start(function(transport, ...)
    self._attempt = nil
    if transport then
      self:_connected(transport)
    else
      self:_fail(Failure(self:_errorOf(...)))
    end
  end, timeout, place[1], place[2], place[3], bind[1], bind[2], bind[3])
  if not attempt then return self:_failSoon(errors.getConnectError(nil, name, message)) end
  self._attempt = attempt
end

function Connector:_errorOf(message, name, errno, binding)
  local fields = { errno = errno, code = name }
  if binding then return errors.ConnectBindError(message, fields) end
  -- The kernel's own time-out comes minutes later than any of ours.
  if name == "ETIMEDOUT" then return errors.TimeoutError(nil) end
  return errors.getConnectError(errno, name, message)
end

function Connector:_connected(transport)
  self.state = "connected"
  network.connecting[self] = nil
  self.transport = transport
  local ok, protocol = network.build(self.factory, transport:getPeer())
  if not ok then
    core.transport.refuse(transport)
    return self:_fail(protocol)
  end
  if self._secure then
    local secured, failure = guard.call(self._secure, transport)
    if not secured then
      core.transport.refuse(transport)
      return self:_fail(failure)
    end
  end
  if protocol ~= nil then return network.attach(transport, protocol, self) end
  -- No protocol means no interest, but the factory still hears that the connection is gone.
  network.attach(transport, require("twistlua.protocol").Protocol(), self)
  transport:loseConnection()
end

-- Be disconnected, and tell the factory by its method `event`, if one is named.
function Connector:_release(event, reason)
  self.state = "disconnected"
  network.connecting[self] = nil
  self.transport = nil
  self._attempt = nil
  local factory = self.factory
  if event then guard.run("Unhandled error in " .. event, factory[event], factory, self, reason) end
  -- The factory may have called connect().
  if self.state == "disconnected" and self._factoryStarted then
    self._factoryStarted = false
    factory:doStop()
  end
end

function Connector:_fail(reason)
  self:_release("clientConnectionFailed", reason)
end

-- Called when the transport's protocol has heard of it.
function Connector:connectionLost(reason)
  self:_release("clientConnectionLost", reason)
end

function Connector:_cancelAttempt()
  local attempt = self._attempt
  self._attempt = nil
  if attempt then attempt:cancel() end
end

function Connector:_giveUp(err)
  self:_cancelAttempt()
  self:_fail(Failure(err))
end

---End an attempt: the factory hears clientConnectionFailed with a UserError. Raises NotConnectingError.
function Connector:stopConnecting()
  if self.state ~= "connecting" then error(errors.NotConnectingError()) end
  self:_giveUp(errors.UserError())
end

---End the attempt, or close the connection.
function Connector:disconnect()
  if self.state == "connecting" then
    self:stopConnecting()
  elseif self.state == "connected" then
    self.transport:loseConnection()
  end
end

function Connector:__tostring()
  return ("<Connector to %s (%s)>"):format(tostring(self:getDestination()), self.state)
end

return Connector
