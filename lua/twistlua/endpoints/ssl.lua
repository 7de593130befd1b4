-- SPDX-License-Identifier: MIT
-- endpoints/ssl.lua -- `ssl:` and `tls:`: connections that are encrypted from their first byte, and TLS over any
-- other endpoint. A client verifies, whichever of the two names it uses.

local Factory     = require("twistlua.protocol.factory").Factory
local description = require "twistlua.endpoints.description"
local endpoint    = require "twistlua.endpoints.endpoint"
local options     = require "twistlua.options"
local registry    = require "twistlua.endpoints.registry"

---@class twistlua.SSL4ServerEndpoint: twistlua.ServerEndpoint
---@operator call(...): twistlua.SSL4ServerEndpoint
local SSL4ServerEndpoint = endpoint.ServerEndpoint:extend("SSL4ServerEndpoint")

---@param reactor twistlua.Reactor
---@param port integer 0 for one that is free
---@param contextFactory twistlua.ssl.CertificateOptions
---@param given? { backlog?: integer, interface?: string }
function SSL4ServerEndpoint:init(reactor, port, contextFactory, given)
  self._options = options.check(self.__name, given, { backlog = "integer", interface = "string" }, 4)
  self._reactor = reactor
  self._port = port
  self._contextFactory = contextFactory
end

function SSL4ServerEndpoint:_listen(factory)
  return self._reactor:listenSSL(self._port, factory, self._contextFactory, self._options)
end

---The same place without TLS, for who has to read something first.
---@return twistlua.ServerEndpoint endpoint
---@return twistlua.ssl.CertificateOptions contextFactory
function SSL4ServerEndpoint:withoutTLS()
  local TCP4ServerEndpoint = require("twistlua.endpoints.tcp").TCP4ServerEndpoint
  return TCP4ServerEndpoint(self._reactor, self._port, self._options), self._contextFactory
end

function SSL4ServerEndpoint:__tostring()
  return "ssl:" .. self._port
end

---@class twistlua.SSL4ClientEndpoint: twistlua.ClientEndpoint
---@operator call(...): twistlua.SSL4ClientEndpoint
local SSL4ClientEndpoint = endpoint.ClientEndpoint:extend("SSL4ClientEndpoint")

---@param reactor twistlua.Reactor
---@param host string
---@param port integer|string
---@param contextFactory twistlua.ssl.CertificateOptions
---@param given? { timeout?: number, bindAddress?: any }
function SSL4ClientEndpoint:init(reactor, host, port, contextFactory, given)
  self._options = options.check(self.__name, given, { timeout = "number", bindAddress = "any" }, 4)
  self._reactor = reactor
  self._host = host
  self._port = port
  self._contextFactory = contextFactory
end

function SSL4ClientEndpoint:_connect(factory)
  return self._reactor:connectSSL(self._host, self._port, factory, self._contextFactory, self._options)
end

function SSL4ClientEndpoint:__tostring()
  return ("ssl:%s:%s"):format((self._host:gsub(":", "\\:")), self._port)
end

-- Builds the user's protocols, whose connections begin with TLS.
local SecuringFactory = Factory:extend("SecuringFactory")

function SecuringFactory:init(contextFactory, wrapped)
  self._contextFactory = contextFactory
  self._wrapped = wrapped
end

function SecuringFactory:doStart() self._wrapped:doStart() end
function SecuringFactory:doStop() self._wrapped:doStop() end
function SecuringFactory:logPrefix() return self._wrapped:logPrefix() end

function SecuringFactory:buildProtocol(address)
  local protocol = self._wrapped:buildProtocol(address)
  if protocol == nil then return nil end
  local makeConnection = rawget(protocol, "makeConnection")
  protocol.makeConnection = function(_, transport)
    protocol.makeConnection = makeConnection
    if not transport.startTLS then error("wrapClientTLS: the transport has no startTLS (see protocols.tls)", 0) end
    transport:startTLS(self._contextFactory, { isClient = true })
    protocol:makeConnection(transport)
  end
  return protocol
end

---TLS on top of what another endpoint connects.
local TLSClientEndpoint = endpoint.ClientEndpoint:extend("TLSClientEndpoint")

function TLSClientEndpoint:init(contextFactory, wrapped)
  self._contextFactory = contextFactory
  self._wrapped = wrapped
end

function TLSClientEndpoint:connect(factory)
  return self._wrapped:connect(SecuringFactory(self._contextFactory, factory))
end

function TLSClientEndpoint:__tostring()
  return ("TLS over %s"):format(tostring(self._wrapped))
end

---TLS over any client endpoint. As with connectSSL, `connectionMade` comes before the handshake.
---@param contextFactory twistlua.ssl.CertificateOptions such as `ssl.optionsForClientTLS("example.org")`
---@param wrapped twistlua.ClientEndpoint
---@return twistlua.ClientEndpoint
local function wrapClientTLS(contextFactory, wrapped)
  return TLSClientEndpoint(contextFactory, wrapped)
end

-- ---- Strings ------------------------------------------------------------------------------------

local METHODS = {
  SSLv23_METHOD  = {},
  TLS_METHOD     = {},
  TLSv1_2_METHOD = { lowerMaximumSecurityTo = "1.2" },
  TLSv1_3_METHOD = { raiseMinimumTo = "1.3" },
}

local function method(given)
  return METHODS[given], "TLS_METHOD, TLSv1_2_METHOD or TLSv1_3_METHOD"
end

-- A file with certificates, or a folder with such files under their hashes.
local function trustRoots(path)
  local ssl = require "twistlua.ssl"
  local folder = io.open(path .. "/.")
  if not folder then return ssl.trustRootFromFile(path) end
  folder:close()
  return ssl.trustRootFromDirectory(path)
end

-- The position of the argument whose file the message names.
local function blamed(described, given, message)
  for name, value in pairs(given) do
    local at = type(value) == "string" and message:find(value, 1, true) and described:positionOf(name)
    if at then return at end
  end
  return 1
end

-- Make options by `make(...)`; a file of no use is told with the place where it is named.
local function secured(described, given, make, ...)
  local ok, made = pcall(make, ...)
  if ok then return made end
  local message = type(made) == "table" and made.message or tostring(made)
  described:fail(blamed(described, given, message), message)
end

local function serverOptions(described, given)
  local ssl = require "twistlua.ssl"
  local chosen = {
    privateKeyFile = given.privateKey,
    certificateFile = given.certKey,
    extraCertChainFile = given.extraCertChain,
    dhParameters = given.dhParameters and ssl.DiffieHellmanParameters.fromFile(given.dhParameters),
    trustRoot = given.trustRoots and trustRoots(given.trustRoots),
  }
  for name, value in pairs(given.sslmethod or {}) do chosen[name] = value end
  return secured(described, given, ssl.CertificateOptions, chosen)
end

local PORT, INTERFACE, BACKLOG =
  { "port", description.port, required = true }, { "interface", description.text }, { "backlog", description.integer }

local function file(name, required)
  return { name, description.text, required = required }
end

local SSL_SERVER = {
  PORT, file "privateKey", file "certKey", { "sslmethod", method }, INTERFACE, BACKLOG, file "extraCertChain",
  file "dhParameters",
}

local TLS_SERVER = {
  PORT, INTERFACE, BACKLOG, file("certificate", true), file "privateKey", file "extraCertChain", file "trustRoots",
}

local function serve(reactor, described, given)
  return SSL4ServerEndpoint(reactor, given.port, serverOptions(described, given),
    { interface = given.interface, backlog = given.backlog })
end

local function serveSSL(reactor, described)
  local given = described:read(SSL_SERVER)
  given.privateKey = given.privateKey or "server.pem"
  given.certKey = given.certKey or given.privateKey
  return serve(reactor, described, given)
end

local function serveTLS(reactor, described)
  local given = described:read(TLS_SERVER)
  given.certKey = given.certificate
  given.privateKey = given.privateKey or given.certificate
  return serve(reactor, described, given)
end

-- What a client is to trust and to show, of arguments as `tls:` names them.
local function clientOptions(described, given)
  local ssl = require "twistlua.ssl"
  return secured(described, given, ssl.optionsForClientTLS, given.hostname or given.host, {
    trustRoot = given.trustRoots and trustRoots(given.trustRoots),
    insecurelySkipVerification = given.insecurelySkipVerification,
    extraCertificateOptions = {
      certificateFile = given.certificate,
      privateKeyFile = given.privateKey or given.certificate,
    },
  })
end

local HOST, ADDRESS = { "host", description.text, required = true }, { "bindAddress", description.text }
local SERVICE, TIMEOUT = { "port", description.portOrService, required = true }, { "timeout", description.seconds }
local INSECURE = { "insecurelySkipVerification", description.flag }

local SSL_CLIENT = {
  HOST, SERVICE, TIMEOUT, ADDRESS, file "privateKey", file "certKey", file "caCertsDir",
  { "hostname", description.text }, INSECURE,
}

local TLS_CLIENT = {
  HOST, SERVICE, TIMEOUT, ADDRESS, file "certificate", file "privateKey", file "trustRoots",
  { "endpoint", description.text }, INSECURE,
}

local function connectSSL(reactor, described)
  local given = described:read(SSL_CLIENT)
  given.certificate = given.certKey or given.privateKey
  given.trustRoots = given.caCertsDir
  return SSL4ClientEndpoint(reactor, given.host, given.port, clientOptions(described, given),
    { timeout = given.timeout, bindAddress = given.bindAddress })
end

-- The endpoint under the encryption: another string, or the one that `tcp:` has for the same place.
local function connectTLS(reactor, described)
  local given = described:read(TLS_CLIENT)
  local under = given.endpoint and registry.parse("client", "clientFromString", reactor, given.endpoint)
    or require("twistlua.endpoints.tcp").connectTo(reactor, given)
  return wrapClientTLS(clientOptions(described, given), under)
end

return {
  SSL4ServerEndpoint = SSL4ServerEndpoint,
  SSL4ClientEndpoint = SSL4ClientEndpoint,
  wrapClientTLS      = wrapClientTLS,

  server = { ssl = serveSSL, tls = serveTLS },
  client = { ssl = connectSSL, tls = connectTLS },
}
