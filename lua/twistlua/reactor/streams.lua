-- SPDX-License-Identifier: MIT
-- reactor/streams.lua -- ports and connections: what the reactor listens on and connects to.
-- Methods of the reactor, which reactor.lua loads with the first call of one.

local Connector = require "twistlua.reactor.connector"
local Port      = require "twistlua.reactor.port"
local network   = require "twistlua.reactor.network"
local options   = require "twistlua.options"

---@class twistlua.Reactor
local Reactor = {}

local LISTEN_TCP = { backlog = "integer", interface = "string", reusePort = "boolean" }
local LISTEN_SSL = {
  backlog = "integer", interface = "string", reusePort = "boolean", handshakeTimeout = "number",
}
local LISTEN_UNIX = { backlog = "integer", mode = "integer", wantPID = "boolean" }
local CONNECT_TCP = { timeout = "number", bindAddress = "any" }
local CONNECT_SSL = { timeout = "number", bindAddress = "any", handshakeTimeout = "number" }
local CONNECT_UNIX = { timeout = "number", checkPID = "boolean" }

local function checkPort(what, port, level)
  if math.type(port) ~= "integer" or port < 0 or port > 65535 then
    error(("%s: port must be an integer between 0 and 65535, got %s"):format(what, tostring(port)), level or 3)
  end
end

local function checkFactory(what, factory, level)
  if type(factory) ~= "table" or not factory.buildProtocol then
    error(("%s: a factory expected, got %s"):format(what, type(factory)), level or 3)
  end
end

local function checkConnect(what, host, port, factory)
  if type(host) ~= "string" then error(("%s: host must be a string, got %s"):format(what, type(host)), 3) end
  if type(port) ~= "string" then checkPort(what, port, 4) end
  checkFactory(what, factory, 4)
end

---Serve TCP. The port is open when this returns.
---@param port integer 0 takes a free one: see getHost().port
---@param factory twistlua.Factory
---@param given? { backlog?: integer, interface?: string, reusePort?: boolean } backlog 50; interface an IPv4
---  or IPv6 literal or a name; "" is all of IPv4
---@return twistlua.Port
function Reactor:listenTCP(port, factory, given)
  given = options.check("listenTCP", given, LISTEN_TCP)
  checkPort("listenTCP", port)
  checkFactory("listenTCP", factory)
  return Port.tcp(self, port, factory, given):startListening()
end

---Serve TLS. Protocols have their `connectionMade` at once, and then `handshakeCompleted`, if they have it. What is
---wrong with a client's handshake costs its connection.
---@param port integer
---@param factory twistlua.Factory
---@param contextFactory twistlua.ssl.CertificateOptions or any object with getContext()
---@param given? { backlog?: integer, interface?: string, reusePort?: boolean, handshakeTimeout?: number } as
---  listenTCP; handshakeTimeout in seconds, default 30, 0 for none
---@return twistlua.Port port raises an SSLError for a context that cannot serve
function Reactor:listenSSL(port, factory, contextFactory, given)
  given = options.check("listenSSL", given, LISTEN_SSL)
  checkPort("listenSSL", port)
  checkFactory("listenSSL", factory)
  local secure = require "twistlua.reactor.secure"
  local starter = secure.starter("listenSSL", contextFactory, false, nil, given.handshakeTimeout)
  return Port.tcp(self, port, factory, given):secureWith(starter):startListening()
end

---Serve a UNIX socket.
---@param path string a leading "\0" means the abstract name space
---@param factory twistlua.Factory
---@param given? { backlog?: integer, mode?: integer, wantPID?: boolean } backlog 50; mode of the file,
---  default tonumber("666", 8); wantPID holds PATH.lock and replaces a socket left over
---@return twistlua.Port
function Reactor:listenUNIX(path, factory, given)
  given = options.check("listenUNIX", given, LISTEN_UNIX)
  checkFactory("listenUNIX", factory)
  return Port.unix(self, path, factory, given):startListening()
end

---Connect by TCP. The factory hears of the outcome, always later.
---@param host string an IP literal or a name
---@param port integer|string a number or the name of a service
---@param factory twistlua.ClientFactory
---@param given? { timeout?: number, bindAddress?: table|string } timeout in seconds, default 30;
---  bindAddress "host" or { "host", port }
---@return twistlua.Connector
function Reactor:connectTCP(host, port, factory, given)
  given = options.check("connectTCP", given, CONNECT_TCP)
  checkConnect("connectTCP", host, port, factory)
  local connector = Connector.tcp("connectTCP", self, host, port, factory, given)
  connector:connect()
  return connector
end

---Connect by TLS. The protocol has its `connectionMade` at once, and then `handshakeCompleted`, if it has it; a
---handshake that fails is the reason of `connectionLost`, an SSLError.
---@param host string an IP literal or a name; the certificate must be for it, unless `contextFactory.hostname` says
---  otherwise
---@param port integer|string
---@param factory twistlua.ClientFactory
---@param contextFactory twistlua.ssl.CertificateOptions or any object with getContext() and perhaps hostname; see
---  ssl.optionsForClientTLS
---@param given? { timeout?: number, bindAddress?: table|string, handshakeTimeout?: number } as connectTCP;
---  handshakeTimeout in seconds, default 30, 0 for none
---@return twistlua.Connector connector raises an SSLError for a context that is of no use
function Reactor:connectSSL(host, port, factory, contextFactory, given)
  given = options.check("connectSSL", given, CONNECT_SSL)
  checkConnect("connectSSL", host, port, factory)
  local secure = require "twistlua.reactor.secure"
  local starter = secure.starter("connectSSL", contextFactory, true, host, given.handshakeTimeout)
  local connector = Connector.tcp("connectSSL", self, host, port, factory, given)
  connector:secureWith(starter)
  connector:connect()
  return connector
end

---Connect to a UNIX socket.
---@param path string
---@param factory twistlua.ClientFactory
---@param given? { timeout?: number, checkPID?: boolean } checkPID refuses when nobody holds PATH.lock
---@return twistlua.Connector
function Reactor:connectUNIX(path, factory, given)
  given = options.check("connectUNIX", given, CONNECT_UNIX)
  checkFactory("connectUNIX", factory)
  local connector = Connector.unix(self, path, factory, given)
  connector:connect()
  return connector
end

---Serve a listening socket that exists, through a duplicate of it.
---@param fd integer
---@param family "AF_INET"|"AF_INET6"|"AF_UNIX"
---@param factory twistlua.Factory
---@return twistlua.Port
function Reactor:adoptStreamPort(fd, family, factory)
  network.checkFamily("adoptStreamPort", family)
  checkFactory("adoptStreamPort", factory)
  return Port.adopted(self, fd, family, factory):startListening()
end

---Give a connected socket that exists, through a duplicate of it, to a protocol of the factory.
---@param fd integer
---@param family "AF_INET"|"AF_INET6"|"AF_UNIX"
---@param factory twistlua.Factory
---@return twistlua.Transport transport
function Reactor:adoptStreamConnection(fd, family, factory)
  network.checkFamily("adoptStreamConnection", family)
  checkFactory("adoptStreamConnection", factory)
  return network.adopt(fd, factory)
end

return Reactor
