-- SPDX-License-Identifier: MIT
-- reactor/port.lua -- a listening socket and its factory.

local core     = require "twistlua.core"
local Object   = require("twistlua.class").Object
local errors   = require "twistlua.error"
local guard    = require "twistlua.guard"
local log      = require "twistlua.log"
local network  = require "twistlua.reactor.network"
local resolver = require "twistlua.reactor.resolver"

---@class twistlua.Port: twistlua.Object
---@field factory twistlua.Factory
---@field connected boolean it is listening
local Port = Object:extend("Port")

local UNIX_MODE = tonumber("666", 8)

-- `place` is what the core takes as an address: { kind, host or path, port }.
function Port:init(reactor, factory, place, options)
  self.reactor = reactor
  self.factory = factory
  self.connected = false
  self._place = place
  self._options = options
  self._secure = nil      -- starts TLS on a transport
  self._listener = nil
end

function Port.tcp(reactor, port, factory, given)
  local host = resolver.literal(given.interface or "")
  return Port(reactor, factory, { "TCP", host, port },
              { backlog = given.backlog, reusePort = given.reusePort, interface = given.interface })
end

function Port.unix(reactor, path, factory, given)
  if type(path) ~= "string" then error("listenUNIX: path must be a string, got " .. type(path), 3) end
  return Port(reactor, factory, { "UNIX", path },
              { backlog = given.backlog, mode = given.mode or UNIX_MODE, lock = given.wantPID })
end

function Port.adopted(reactor, fd, family, factory)
  return Port(reactor, factory, { family, "descriptor " .. fd }, { fd = fd })
end

---Have `start(transport)` start TLS on its connections.
---@return twistlua.Port self
function Port:secureWith(start)
  self._secure = start
  return self
end

---Bind and listen; done by the reactor, and again after stopListening. Raises CannotListenError.
---@return twistlua.Port self
function Port:startListening()
  if self.connected then return self end
  local place, factory = self._place, self.factory
  if not self._options.fd and not pcall(core.connector.check, place[1], place[2], place[3]) then
    self:_refuse("this is no address to listen on")
  end
  local listener, message, name, errno = core.listener.open(
    function(transport, kind, host, port)
      network.accepted(factory, transport, network.address(kind, host, port), self._secure)
    end,
    function(problem, code) self:_acceptFailed(problem, code) end,
    self._options, place[1], place[2], place[3])
  if not listener then self:_refuse(message, errno, name) end
  local started, failure = guard.call(factory.doStart, factory)
  if not started then
    listener:close()
    error(failure.value, 0)
  end
  self._listener = listener
  self.connected = true
  network.ports[self] = true
  log.msg(("%s starting on %s"):format(factory.__name or "Factory", self:_where()))
  return self
end

function Port:_refuse(message, errno, name)
  local place = self._place
  error(errors.getListenError(self._options.interface, place[3] or place[2], errno, name, message), 0)
end

-- Out of descriptors: the surplus was refused. Said once in a while, or a storm would fill the log.
function Port:_acceptFailed(message, code)
  local now = self.reactor:seconds()
  if self._complainedAt and now - self._complainedAt < 1 then return end
  self._complainedAt = now
  log.msg(("Could not accept a connection on %s: %s (%s)"):format(self:_where(), message, code))
end

---Close the port; connections that it accepted live on.
---@return twistlua.Deferred done fires with nil; what stopFactory raises fails it
function Port:stopListening()
  local defer = require "twistlua.defer"
  if not self.connected then return self._stopping or defer.succeed(nil) end
  local where = self:_where()
  self.connected = false
  network.ports[self] = nil
  self._listener:close()
  self._listener = nil
  local stopped = defer.Deferred()
  self._stopping = stopped
  self.reactor:_soon(function()
    self._stopping = nil
    log.msg(("(%s Closed)"):format(where))
    defer.execute(self.factory.doStop, self.factory):chainDeferred(stopped)
  end)
  return stopped
end

Port.loseConnection = Port.stopListening

---@return twistlua.IPv4Address|twistlua.IPv6Address|twistlua.UNIXAddress|nil where it listens
function Port:getHost()
  if not self._listener then return nil end
  return network.address(self._listener:address())
end

---Accept nothing until resumed; the kernel keeps up to `backlog` connections waiting.
function Port:pauseProducing()
  if self._listener then self._listener:pause(true) end
end

function Port:resumeProducing()
  if self._listener then self._listener:pause(false) end
end

---@return integer fd the listening socket; the port keeps it
function Port:fileno()
  return self._listener and self._listener:fd() or -1
end

function Port:_where()
  local host = self:getHost()
  return host and tostring(host.port or host.name or "unnamed socket") or tostring(self._place[2])
end

function Port:__tostring()
  local name = self.factory.__name or "a factory"
  if not self.connected then return ("<Port of %s (not listening)>"):format(name) end
  return ("<Port of %s on %s>"):format(name, self:_where())
end

return Port
