-- SPDX-License-Identifier: MIT
-- reactor/network.lua -- what ports and connectors share: addresses, giving a connection to its protocol,
-- its end, and the register of everything that is open.

local core    = require "twistlua.core"
local Failure = require("twistlua.failure").Failure
local address = require "twistlua.address"
local errors  = require "twistlua.error"
local guard = require "twistlua.guard"

local network = {
  ports = {},        -- port → true while it listens
  connecting = {},   -- connector → true while it tries
}

local connectors = {}   -- transport → its connector, on the client's side

local DONE = Failure(errors.ConnectionDone())

---An address object of what the core tells.
---@param kind "TCP4"|"TCP6"|"UNIX"
---@param host string a literal, or a path
---@param port integer|nil
function network.address(kind, host, port)
  if kind == "TCP4" then return address.IPv4Address("TCP", host, port) end
  if kind == "TCP6" then return address.IPv6Address("TCP", host, port) end
  return address.UNIXAddress(host ~= "" and host or nil)
end

---The reason for the end of a connection, from what the core tells.
function network.reasonOf(message, name, errno)
  if name == "EOF" then return DONE end
  if name == "ECONNABORTED" then return Failure(errors.ConnectionAborted()) end
  if name == "ECLOSED" then return Failure(errors.ConnectionLost()) end
  if name == "ETLS" then return Failure(errors.SSLError(message, { code = name })) end
  return Failure(errors.ConnectionLost(message, { errno = errno, code = name }))
end

local function lost(transport, protocol, failure, message, name, errno)
  local reason = failure or network.reasonOf(message, name, errno)
  local connector = connectors[transport]
  if not connector then
    protocol:connectionLost(reason)
    return
  end
  connectors[transport] = nil
  guard.run("Unhandled error in connectionLost", protocol.connectionLost, protocol, reason)
  connector:connectionLost(reason)
end

-- A write came while more waited than may. Most protocols do not tell anybody why they end: the log does.
local function exceeded(transport, protocol, pending)
  if protocol.outputLimitExceeded then return protocol:outputLimitExceeded(pending) end
  local reason = errors.OutputLimitExceeded(("%d bytes wait to be sent"):format(pending))
  require("twistlua.log").msg(("%s, connected to %s: %s"):format(
    protocol.__name or "Protocol", transport:getPeer(), reason.message))
  core.transport.fail(transport, Failure(reason), true)
end

local function begin(transport, protocol)
  local limit = protocol.outputLimit
  if limit ~= nil then transport:setOutputLimit(limit) end
  protocol:makeConnection(transport)
end

---Join a new connection and its protocol. What `connectionMade` raises costs it the connection.
---@param connector? twistlua.Connector
function network.attach(transport, protocol, connector)
  connectors[transport] = connector
  core.transport.attach(transport, protocol)
  local ok, failure = guard.call(begin, transport, protocol)
  if ok then return end
  require("twistlua.log").err(failure, "Unhandled Error")
  core.transport.fail(transport, failure)
end

local function build(factory, peer)
  local protocol = factory:buildProtocol(peer)
  local kind = type(protocol)
  if kind == "table" or kind == "userdata" or kind == "nil" then return protocol end
  error("buildProtocol must return a protocol or nil, not a " .. kind, 0)
end

---Have the factory build a protocol. What goes wrong is logged.
---@return boolean ok
---@return twistlua.Protocol|twistlua.Failure|nil protocol or failure
function network.build(factory, peer)
  local ok, protocol = guard.call(build, factory, peer)
  if not ok then require("twistlua.log").err(protocol, "Unhandled error in buildProtocol") end
  return ok, protocol
end

---A connection that a port accepted.
---@param secure? fun(transport) starts TLS on it
function network.accepted(factory, transport, peer, secure)
  local ok, protocol = network.build(factory, peer)
  if ok and protocol ~= nil and secure then
    local failure
    ok, failure = guard.call(secure, transport)
    if not ok then require("twistlua.log").err(failure, "Unhandled error in startTLS") end
  end
  if not ok or protocol == nil then
    core.transport.refuse(transport)
  else
    network.attach(transport, protocol)
  end
end

function network.adopt(fd, factory)
  local transport, message, name, errno = core.transport.adopt(fd)
  if not transport then
    error(errors.getConnectError(errno, name, message), 3)
  end
  network.accepted(factory, transport, transport:getPeer())
  return transport
end

local FAMILIES = { AF_INET = true, AF_INET6 = true, AF_UNIX = true }

function network.checkFamily(what, family)
  if not FAMILIES[family] then
    error(("%s: family must be AF_INET, AF_INET6 or AF_UNIX, got %s"):format(what, tostring(family)), 3)
  end
end

local function keys(set)
  local list = {}
  for key in pairs(set) do list[#list + 1] = key end
  return list
end

---Close every port.
function network.stopListening()
  for _, port in ipairs(keys(network.ports)) do
    guard.run("Unhandled error in stopListening", port.stopListening, port)
  end
end

---Close every port, give up every attempt, lose every connection.
function network.disconnectAll()
  for _, connector in ipairs(keys(network.connecting)) do
    guard.run("Unhandled error in ending an attempt to connect", connector._giveUp, connector,
                  errors.ConnectError("the reactor was stopped"))
  end
  network.stopListening()
  for _, transport in ipairs(core.transport.live()) do core.transport.lose(transport) end
  for _, pipe in ipairs(core.pipe.live()) do pipe:lose() end
end

function network.isBusy()
  return next(network.ports) ~= nil or next(network.connecting) ~= nil or #core.transport.live() > 0
    or #core.pipe.live() > 0 or #core.process.live() > 0
end

local function startTLS(transport, contextFactory, given)
  return require("twistlua.reactor.secure").start(connectors[transport] ~= nil, transport, contextFactory, given)
end

local function certificate(der)
  return require("twistlua.ssl").Certificate.load(der, "DER")
end

function network.open()
  core.transport.open(lost, network.address, exceeded)
  core.transport.useTLS(startTLS, certificate)
end

return network
