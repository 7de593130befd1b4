-- SPDX-License-Identifier: MIT
-- reactor/datagram_port.lua -- an open socket for datagrams and its protocol, whose transport it is.

local core     = require "twistlua.core"
local Object   = require("twistlua.class").Object
local address  = require "twistlua.address"
local defer    = require "twistlua.defer"
local errors   = require "twistlua.error"
local guard    = require "twistlua.guard"
local log      = require "twistlua.log"
local network  = require "twistlua.reactor.network"
local resolver = require "twistlua.reactor.resolver"

---@class twistlua.DatagramPort: twistlua.Object
---@field protocol twistlua.DatagramProtocol
---@field connected boolean it is open
---@field dropped integer datagrams that were not sent because too many waited already
local Port = Object:extend("DatagramPort")

-- The core's write() finds the socket in the field 1. `place` and `peer` are what the core takes as an address:
-- { kind, host or path, port }.
function Port:init(reactor, protocol, place, options, peer)
  self[1] = nil
  self.reactor = reactor
  self.protocol = protocol
  self.connected = false
  self.dropped = 0
  self._place, self._peer = place, peer
  self._options = options
end

-- ---- Opening and closing ---------------------------------------------------------------------

---Bind and begin to receive; done by the reactor, and again after stopListening. Raises CannotListenError.
---@return twistlua.DatagramPort self
function Port:startListening()
  if self.connected then return self end
  local place, protocol = self._place, self.protocol
  if place and not pcall(core.connector.check, table.unpack(place, 1, 3)) then
    self:_refuse("this is no address to listen on")
  end
  local socket, message, name, errno = core.datagram.bind(protocol,
    function(problem, code) self:_failed(problem, code) end, self._options, place, self._peer)
  if not socket then self:_refuse(message, errno, name) end
  self[1] = socket
  self.connected = true
  network.ports[self] = true
  log.msg(("%s starting on %s"):format(protocol.__name or "Protocol", self:_where()))
  local started, failure = guard.call(protocol.makeConnection, protocol, self)
  if not started then
    self:_close()
    error(failure.value, 0)
  end
  return self
end

function Port:_refuse(message, errno, name)
  local place = self._place or self._peer or { "", "descriptor " .. tostring(self._options.fd) }
  error(errors.getListenError(self._options.interface, place[3] or place[2], errno, name, message), 0)
end

function Port:_close()
  self[1]:close()
  self[1] = nil
  self.connected = false
  network.ports[self] = nil
end

---Close the port at once. What waits to be sent is lost.
---@return twistlua.Deferred done fires with nil after the protocol's stopProtocol; what that raises fails it
function Port:stopListening()
  if not self.connected then return self._stopping or defer.succeed(nil) end
  local where = self:_where()
  self:_close()
  local stopped = defer.Deferred()
  self._stopping = stopped
  self.reactor:_soon(function()
    self._stopping = nil
    log.msg(("(%s Closed)"):format(where))
    defer.execute(self.protocol.doStop, self.protocol):chainDeferred(stopped)
  end)
  return stopped
end

Port.loseConnection = Port.stopListening

-- ---- Sending -----------------------------------------------------------------------------------

---Send a datagram, at once unless the kernel takes none: then up to 256 KiB wait, in order, and what comes on top
---is dropped, counted in `dropped` and logged. Dropped silently once the port is closed. `addr` is what
---datagramReceived got, a table { host, port }, a host (with the port behind it), or the path of a UNIX socket; a
---connected port needs none. Raises InvalidAddressError (a name, another family, another than the one connected
---to), MessageLengthError, or IOError with what the system said.
---@type fun(self, data: string, addr?: table|string, port?: integer)
Port.write = core.datagram.write

-- What write() cannot do.
local function refuse(port, message, code, errno)
  if code == "ENOBUFS" then return port:_drop() end
  if code == "EDENIED" then error(errors.PermissionError(message), 0) end
  if code == "EINVAL" and errno == 0 then error(errors.InvalidAddressError(message), 0) end
  local class = code == "EMSGSIZE" and errors.MessageLengthError or errors.IOError
  error(class(message, { errno = errno, code = code }), 0)
end

local function makeAddress(kind, host, port)
  if kind == "TCP4" then return address.IPv4Address("UDP", host, port) end
  if kind == "TCP6" then return address.IPv6Address("UDP", host, port) end
  return address.UNIXAddress(host ~= "" and host or nil)
end

core.datagram.open(makeAddress, refuse)

-- Said once in a while, or a storm would fill the log.
function Port:_complain(text)
  local now = self.reactor:seconds()
  if self._complainedAt and now - self._complainedAt < 1 then return end
  self._complainedAt = now
  log.msg(text)
end

function Port:_drop()
  self.dropped = self.dropped + 1
  self:_complain(("Too much waits to be sent from %s: %d datagrams dropped so far"):format(self:_where(), self.dropped))
end

function Port:_failed(message, code)
  if code == "ECONNREFUSED" then return self.protocol:connectionRefused() end
  self:_complain(("The network said of %s: %s (%s)"):format(self:_where(), message, code))
end

---Send to, and receive from, one peer only. Raises if it is connected already.
---@param host string an IP literal
---@param port integer
function Port:connect(host, port)
  if not self[1] then error("connect: the port is closed", 2) end
  if self._connectedTo then error("connect: the port is connected already", 2) end
  if type(host) ~= "string" or not resolver.isLiteral(host) then
    error(errors.InvalidAddressError(("'%s' is not an IP address"):format(tostring(host))), 0)
  end
  if math.type(port) ~= "integer" or port < 1 or port > 65535 then
    error("connect: port must be an integer between 1 and 65535, got " .. tostring(port), 2)
  end
  local ok, message, name, errno = self[1]:connect("UDP", host, port)
  if not ok then error(errors.getConnectError(errno, name, message), 0) end
  self._connectedTo = true
end

-- ---- Looking and options ---------------------------------------------------------------------------

---@return twistlua.IPv4Address|twistlua.IPv6Address|twistlua.UNIXAddress|nil where it listens
function Port:getHost()
  if not self[1] then return nil end
  return makeAddress(self[1]:address())
end

---@return integer fd the port keeps it; -1 once closed
function Port:fileno()
  return self[1] and self[1]:fd() or -1
end

Port.getHandle = Port.fileno

local function checked(value, message, code, errno)
  if value then return value end
  error(errors.permission(code, message) or errors.IOError(message, { errno = errno, code = code }), 0)
end

function Port:_socket(what)
  return self[1] or error(what .. ": the port is closed", 3)
end

---@param allowed boolean whether datagrams may go to broadcast addresses
function Port:setBroadcastAllowed(allowed)
  checked(self:_socket("setBroadcastAllowed"):setOption("broadcast", allowed and 1 or 0))
end

---@return boolean
function Port:getBroadcastAllowed()
  return checked(self:_socket("getBroadcastAllowed"):getOption("broadcast")) ~= 0
end

function Port:_where()
  local host = self:getHost()
  return host and tostring(host.port or host.name or "unnamed socket") or "a closed port"
end

function Port:__tostring()
  local name = self.protocol.__name or "a protocol"
  if not self.connected then return ("<DatagramPort of %s (not listening)>"):format(name) end
  return ("<DatagramPort of %s on %s>"):format(name, self:_where())
end

-- ---- Multicast ----------------------------------------------------------------------------------------

---@class twistlua.MulticastPort: twistlua.DatagramPort
local MulticastPort = Port:extend("MulticastPort")

-- For IPv6, an interface is named in the scope of an address.
local function interfacePlace(interface)
  if interface == nil or interface == "" then return nil end
  if resolver.isLiteral(interface) then return { "UDP", interface, 0 } end
  return { "UDP", "::%" .. interface, 0 }
end

local function member(port, what, joining, group, interface)
  if type(group) ~= "string" then error(("%s: group must be a string, got %s"):format(what, type(group)), 3) end
  if interface ~= nil and type(interface) ~= "string" then
    error(("%s: interface must be a string, got %s"):format(what, type(interface)), 3)
  end
  return port.reactor:resolve(group):addCallback(function(literal)
    local known, ok, message, code, errno = pcall(port:_socket(what).join, port[1], joining,
      { "UDP", literal, 0 }, interfacePlace(interface))
    if known and ok then return nil end
    error(errors.MulticastJoinError(("%s%s: %s"):format(group, interface and " on " .. interface or "",
      known and message or "no such interface"), { errno = errno, code = code }), 0)
  end)
end

---Hear a group.
---@param group string an IP literal or a name
---@param interface? string the IPv4 address of an interface; for IPv6 its name; default the system's choice
---@return twistlua.Deferred done fires with nil, or fails with MulticastJoinError
function MulticastPort:joinGroup(group, interface)
  return member(self, "joinGroup", true, group, interface)
end

---Hear a group no more.
---@param group string
---@param interface? string
---@return twistlua.Deferred done as for joinGroup
function MulticastPort:leaveGroup(group, interface)
  return member(self, "leaveGroup", false, group, interface)
end

---@param ttl integer 0 to 255: how many routers a multicast datagram passes
function MulticastPort:setTTL(ttl)
  if math.type(ttl) ~= "integer" or ttl < 0 or ttl > 255 then
    error("setTTL: ttl must be an integer between 0 and 255, got " .. tostring(ttl), 2)
  end
  checked(self:_socket("setTTL"):setOption("ttl", ttl))
end

---@return integer
function MulticastPort:getTTL()
  return checked(self:_socket("getTTL"):getOption("ttl"))
end

---@param on boolean whether this machine hears the multicast datagrams it sends
function MulticastPort:setLoopbackMode(on)
  checked(self:_socket("setLoopbackMode"):setOption("loopback", on and 1 or 0))
end

---@return boolean
function MulticastPort:getLoopbackMode()
  return checked(self:_socket("getLoopbackMode"):getOption("loopback")) ~= 0
end

---Send multicast datagrams by this interface.
---@param interface string as for joinGroup
---@return twistlua.Deferred done fires with nil, or fails with IOError
function MulticastPort:setOutgoingInterface(interface)
  if type(interface) ~= "string" then
    error("setOutgoingInterface: interface must be a string, got " .. type(interface), 2)
  end
  local socket = self:_socket("setOutgoingInterface")
  return defer.execute(function()
    local known, ok, message, code, errno = pcall(socket.interface, socket, interfacePlace(interface))
    if not known then error(errors.IOError(("there is no interface '%s'"):format(interface)), 0) end
    checked(ok, message, code, errno)
  end)
end

---@return string interface as for joinGroup; "0.0.0.0", or "" for IPv6, while it is the system's choice
function MulticastPort:getOutgoingInterface()
  local socket = self:_socket("getOutgoingInterface")
  local kind, host, code, errno = socket:interface()
  if not kind then checked(kind, host, code, errno) end
  return kind == "TCP6" and host:match("^::%%?(.*)$") or host
end

return { Port = Port, MulticastPort = MulticastPort }
