-- SPDX-License-Identifier: MIT
-- reactor/datagram.lua -- the reactor's makers of ports for datagrams, which reactor.lua loads with their first
-- call.

local Failure  = require("twistlua.failure").Failure
local guard    = require "twistlua.guard"
local network  = require "twistlua.reactor.network"
local options  = require "twistlua.options"
local ports    = require "twistlua.reactor.datagram_port"
local resolver = require "twistlua.reactor.resolver"

local datagram = {}

local LARGEST_PACKET = 128 * 1024
local UNIX_MODE = tonumber("666", 8)

local LISTEN_UDP       = { interface = "string", maxPacketSize = "integer", reusePort = "boolean" }
local LISTEN_MULTICAST = { interface = "string", maxPacketSize = "integer", listenMultiple = "boolean" }
local LISTEN_UNIX      = { maxPacketSize = "integer", mode = "integer" }
local CONNECT_UNIX     = { maxPacketSize = "integer", mode = "integer", bindAddress = "string" }
local ADOPT            = { maxPacketSize = "integer" }

local function checkProtocol(what, protocol)
  if type(protocol) ~= "table" or not protocol.makeConnection or not protocol.datagramReceived then
    error(("%s: a DatagramProtocol expected, got %s"):format(what, type(protocol)), 3)
  end
end

local function checkPacketSize(what, given)
  local size = given.maxPacketSize
  if size and (size < 1 or size > LARGEST_PACKET) then
    error(("%s: maxPacketSize must be between 1 and %d, got %d"):format(what, LARGEST_PACKET, size), 3)
  end
end

local function checkPort(what, port)
  if math.type(port) ~= "integer" or port < 0 or port > 65535 then
    error(("%s: port must be an integer between 0 and 65535, got %s"):format(what, tostring(port)), 3)
  end
end

local function checkPath(what, path)
  if type(path) ~= "string" then error(("%s: path must be a string, got %s"):format(what, type(path)), 3) end
end

local function udpPort(class, reactor, port, protocol, given)
  local place = { "UDP", resolver.literal(given.interface or ""), port }
  return class(reactor, protocol, place, {
    interface = given.interface, packetSize = given.maxPacketSize,
    reuseAddress = given.listenMultiple, reusePort = given.reusePort or given.listenMultiple,
  }):startListening()
end

---Serve UDP. The port is open when this returns.
---@param port integer 0 takes a free one: see getHost().port
---@param protocol twistlua.DatagramProtocol
---@param given? { interface?: string, maxPacketSize?: integer, reusePort?: boolean } interface an IPv4 or IPv6
---  literal or a name, "" is all of IPv4; maxPacketSize in bytes, default 8192: of a longer datagram the rest is lost
---@return twistlua.DatagramPort
function datagram:listenUDP(port, protocol, given)
  given = options.check("listenUDP", given, LISTEN_UDP)
  checkPort("listenUDP", port)
  checkProtocol("listenUDP", protocol)
  checkPacketSize("listenUDP", given)
  return udpPort(ports.Port, self, port, protocol, given)
end

---Serve UDP by a port that can join multicast groups.
---@param port integer
---@param protocol twistlua.DatagramProtocol
---@param given? { interface?: string, maxPacketSize?: integer, listenMultiple?: boolean } listenMultiple lets other
---  ports, of this process or another, have the same number
---@return twistlua.MulticastPort
function datagram:listenMulticast(port, protocol, given)
  given = options.check("listenMulticast", given, LISTEN_MULTICAST)
  checkPort("listenMulticast", port)
  checkProtocol("listenMulticast", protocol)
  checkPacketSize("listenMulticast", given)
  return udpPort(ports.MulticastPort, self, port, protocol, given)
end

---Serve a UNIX socket for datagrams. Its file is removed when the port stops.
---@param path string a leading "\0" means the abstract name space
---@param protocol twistlua.DatagramProtocol
---@param given? { maxPacketSize?: integer, mode?: integer } mode of the file, default tonumber("666", 8)
---@return twistlua.DatagramPort
function datagram:listenUNIXDatagram(path, protocol, given)
  given = options.check("listenUNIXDatagram", given, LISTEN_UNIX)
  checkPath("listenUNIXDatagram", path)
  checkProtocol("listenUNIXDatagram", protocol)
  checkPacketSize("listenUNIXDatagram", given)
  return ports.Port(self, protocol, { "UNIX", path },
    { packetSize = given.maxPacketSize, mode = given.mode or UNIX_MODE }):startListening()
end

---Connect to a UNIX socket for datagrams. A failure comes later, by the protocol's connectionFailed.
---@param path string
---@param protocol twistlua.ConnectedDatagramProtocol
---@param given? { maxPacketSize?: integer, mode?: integer, bindAddress?: string } bindAddress is the path of a
---  socket of ours, which the peer needs to answer; mode is that of its file
---@return twistlua.DatagramPort
function datagram:connectUNIXDatagram(path, protocol, given)
  given = options.check("connectUNIXDatagram", given, CONNECT_UNIX)
  checkPath("connectUNIXDatagram", path)
  checkProtocol("connectUNIXDatagram", protocol)
  checkPacketSize("connectUNIXDatagram", given)
  local place = given.bindAddress and { "UNIX", given.bindAddress }
  local port = ports.Port(self, protocol, place,
    { packetSize = given.maxPacketSize, mode = given.mode or UNIX_MODE }, { "UNIX", path })
  local ok, problem = pcall(port.startListening, port)
  if ok then return port end
  if not protocol.connectionFailed then error(problem, 0) end
  self:_soon(function()
    guard.run("Unhandled error in connectionFailed", protocol.connectionFailed, protocol, Failure(problem))
  end)
  return port
end

---Serve a socket for datagrams that exists, through a duplicate of it.
---@param fd integer
---@param family "AF_INET"|"AF_INET6"|"AF_UNIX"
---@param protocol twistlua.DatagramProtocol
---@param given? { maxPacketSize?: integer }
---@return twistlua.DatagramPort
function datagram:adoptDatagramPort(fd, family, protocol, given)
  given = options.check("adoptDatagramPort", given, ADOPT)
  network.checkFamily("adoptDatagramPort", family)
  if math.type(fd) ~= "integer" or fd < 0 then
    error("adoptDatagramPort: fd must be a descriptor, got " .. tostring(fd), 2)
  end
  checkProtocol("adoptDatagramPort", protocol)
  checkPacketSize("adoptDatagramPort", given)
  return ports.Port(self, protocol, nil, { fd = fd, packetSize = given.maxPacketSize }):startListening()
end

return datagram
