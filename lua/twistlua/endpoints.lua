-- SPDX-License-Identifier: MIT
-- endpoints.lua -- where to listen or connect, as an object that a program can be given: made in code, or
-- from a string such as `tcp:8080`. `listen` and `connect` return Deferreds: every error comes through these.

local Object       = require("twistlua.class").Object
local description  = require "twistlua.endpoints.description"
local wrapping     = require "twistlua.endpoints.wrapping"
local defer        = require "twistlua.defer"
local options      = require "twistlua.options"
local Factory      = require("twistlua.protocol.factory").Factory

local endpoints = {}

---Where to listen.
---@class twistlua.ServerEndpoint: twistlua.Object
local ServerEndpoint = Object:extend("ServerEndpoint")

---Open the port; it is open when this returns.
---@param factory twistlua.Factory
---@return twistlua.Deferred port
function ServerEndpoint:listen(factory)
  return defer.execute(self._listen, self, factory)
end

---Where to connect to.
---@class twistlua.ClientEndpoint: twistlua.Object
local ClientEndpoint = Object:extend("ClientEndpoint")

---Connect. Fails with NoProtocol when the factory builds none; cancelling fails it with
---ConnectingCancelledError and ends the attempt.
---@param factory twistlua.Factory
---@return twistlua.Deferred protocol once its `connectionMade` has run
function ClientEndpoint:connect(factory)
  return wrapping.connect(factory, function(wrapper) self:_connect(wrapper) end)
end

---@class twistlua.TCP4ServerEndpoint: twistlua.ServerEndpoint
---@operator call(...): twistlua.TCP4ServerEndpoint
local TCP4ServerEndpoint = ServerEndpoint:extend("TCP4ServerEndpoint")

TCP4ServerEndpoint._anyInterface = ""

local SERVER_OPTIONS = { backlog = "integer", interface = "string", reusePort = "boolean" }

---@param reactor twistlua.Reactor
---@param port integer 0 for one that is free
---@param given? { backlog?: integer, interface?: string, reusePort?: boolean }
function TCP4ServerEndpoint:init(reactor, port, given)
  given = options.check(self.__name, given, SERVER_OPTIONS, 4)
  self._reactor = reactor
  self._port = port
  self._options = {
    backlog   = given.backlog,
    interface = given.interface or self._anyInterface,
    reusePort = given.reusePort,
  }
end

function TCP4ServerEndpoint:_listen(factory)
  return self._reactor:listenTCP(self._port, factory, self._options)
end

---@class twistlua.TCP6ServerEndpoint: twistlua.TCP4ServerEndpoint
local TCP6ServerEndpoint = TCP4ServerEndpoint:extend("TCP6ServerEndpoint")

TCP6ServerEndpoint._anyInterface = "::"

---@class twistlua.UNIXServerEndpoint: twistlua.ServerEndpoint
---@operator call(...): twistlua.UNIXServerEndpoint
local UNIXServerEndpoint = ServerEndpoint:extend("UNIXServerEndpoint")

---@param reactor twistlua.Reactor
---@param path string
---@param given? { backlog?: integer, mode?: integer, wantPID?: boolean }
function UNIXServerEndpoint:init(reactor, path, given)
  self._options = options.check(self.__name, given,
    { backlog = "integer", mode = "integer", wantPID = "boolean" }, 4)
  self._reactor = reactor
  self._path = path
end

function UNIXServerEndpoint:_listen(factory)
  return self._reactor:listenUNIX(self._path, factory, self._options)
end

---@class twistlua.TCP4ClientEndpoint: twistlua.ClientEndpoint
---@operator call(...): twistlua.TCP4ClientEndpoint
local TCP4ClientEndpoint = ClientEndpoint:extend("TCP4ClientEndpoint")

---@param reactor twistlua.Reactor
---@param host string
---@param port integer|string
---@param given? { timeout?: number, bindAddress?: any }
function TCP4ClientEndpoint:init(reactor, host, port, given)
  self._options = options.check(self.__name, given, { timeout = "number", bindAddress = "any" }, 4)
  self._reactor = reactor
  self._host = host
  self._port = port
end

function TCP4ClientEndpoint:_connect(factory)
  return self._reactor:connectTCP(self._host, self._port, factory, self._options)
end

---@class twistlua.TCP6ClientEndpoint: twistlua.TCP4ClientEndpoint
local TCP6ClientEndpoint = TCP4ClientEndpoint:extend("TCP6ClientEndpoint")

---@class twistlua.UNIXClientEndpoint: twistlua.ClientEndpoint
---@operator call(...): twistlua.UNIXClientEndpoint
local UNIXClientEndpoint = ClientEndpoint:extend("UNIXClientEndpoint")

---@param reactor twistlua.Reactor
---@param path string
---@param given? { timeout?: number, checkPID?: boolean }
function UNIXClientEndpoint:init(reactor, path, given)
  self._options = options.check(self.__name, given, { timeout = "number", checkPID = "boolean" }, 4)
  self._reactor = reactor
  self._path = path
end

function UNIXClientEndpoint:_connect(factory)
  return self._reactor:connectUNIX(self._path, factory, self._options)
end

local servers, clients = {}, {}   -- prefix → function(reactor, description)

local function register(parsers, what, prefix, parse)
  if type(prefix) ~= "string" or prefix == "" then error(what .. ": expected a prefix", 3) end
  if type(parse) ~= "function" then error(what .. ": expected a function, got " .. type(parse), 3) end
  parsers[prefix] = parse
end

---Add a syntax for `serverFromString`.
---@param prefix string what stands before the first colon
---@param parse fun(reactor: any, description: twistlua.EndpointDescription): table
function endpoints.registerServerPrefix(prefix, parse)
  register(servers, "registerServerPrefix", prefix, parse)
end

---Add a syntax for `clientFromString`.
---@param prefix string what stands before the first colon
---@param parse fun(reactor: any, description: twistlua.EndpointDescription): table
function endpoints.registerClientPrefix(prefix, parse)
  register(clients, "registerClientPrefix", prefix, parse)
end

local function prefixesOf(parsers)
  local prefixes = {}
  for prefix in pairs(parsers) do prefixes[#prefixes + 1] = prefix end
  table.sort(prefixes)
  return table.concat(prefixes, ", ")
end

local function parse(parsers, what, reactor, text)
  local described = description.Description(text, what)
  local make = parsers[described.prefix]
  if not make then
    described:fail(1, ("unknown type '%s' (known: %s)"):format(described.prefix, prefixesOf(parsers)))
  end
  return make(reactor, described)
end

-- What is wrong with a string is raised where the string stands.
local function fromString(parsers, what, reactor, text)
  local ok, endpoint = pcall(parse, parsers, what, reactor, text)
  if not ok then error(endpoint, 3) end
  return endpoint
end

---`tcp:PORT[:interface=I][:backlog=N]`, `tcp6:...` alike, `unix:PATH[:mode=660][:backlog=N][:lockfile=1]`.
---@param reactor twistlua.Reactor
---@param text string
---@return twistlua.ServerEndpoint
function endpoints.serverFromString(reactor, text)
  local endpoint = fromString(servers, "serverFromString", reactor, text)
  return endpoint
end

---`tcp:HOST:PORT[:timeout=30][:bindAddress=A]` (or `host=`, `port=`), `tcp6:...` alike,
---`unix:PATH[:timeout=30][:lockfile=1]`.
---@param reactor twistlua.Reactor
---@param text string
---@return twistlua.ClientEndpoint
function endpoints.clientFromString(reactor, text)
  local endpoint = fromString(clients, "clientFromString", reactor, text)
  return endpoint
end

local function serveTCP(class)
  return function(reactor, described)
    local given = described:read {
      { "port", description.port, required = true },
      { "interface", description.text },
      { "backlog", description.integer },
    }
    return class(reactor, given.port, { interface = given.interface, backlog = given.backlog })
  end
end

endpoints.registerServerPrefix("tcp", serveTCP(TCP4ServerEndpoint))
endpoints.registerServerPrefix("tcp6", serveTCP(TCP6ServerEndpoint))

endpoints.registerServerPrefix("unix", function(reactor, described)
  local given = described:read {
    { "address", description.text, required = true },
    { "mode", description.octal },
    { "backlog", description.integer },
    { "lockfile", description.flag },
  }
  return UNIXServerEndpoint(reactor, given.address,
    { mode = given.mode, backlog = given.backlog, wantPID = given.lockfile })
end)

local function connectTCP(class)
  return function(reactor, described)
    local given = described:read {
      { "host", description.text, required = true },
      { "port", description.portOrService, required = true },
      { "timeout", description.seconds },
      { "bindAddress", description.text },
    }
    return class(reactor, given.host, given.port,
      { timeout = given.timeout, bindAddress = given.bindAddress })
  end
end

endpoints.registerClientPrefix("tcp", connectTCP(TCP4ClientEndpoint))
endpoints.registerClientPrefix("tcp6", connectTCP(TCP6ClientEndpoint))

endpoints.registerClientPrefix("unix", function(reactor, described)
  local given = described:read {
    { "path", description.text, required = true },
    { "timeout", description.seconds },
    { "lockfile", description.flag },
  }
  return UNIXClientEndpoint(reactor, given.path, { timeout = given.timeout, checkPID = given.lockfile })
end)

---Connect a protocol that exists already.
---@param endpoint twistlua.ClientEndpoint
---@param protocol twistlua.Protocol
---@return twistlua.Deferred protocol
function endpoints.connectProtocol(endpoint, protocol)
  local factory = Factory.forProtocol(function() return protocol end)
  factory.noisy = false
  return endpoint:connect(factory)
end

endpoints.ServerEndpoint     = ServerEndpoint
endpoints.ClientEndpoint     = ClientEndpoint
endpoints.TCP4ServerEndpoint = TCP4ServerEndpoint
endpoints.TCP6ServerEndpoint = TCP6ServerEndpoint
endpoints.UNIXServerEndpoint = UNIXServerEndpoint
endpoints.TCP4ClientEndpoint = TCP4ClientEndpoint
endpoints.TCP6ClientEndpoint = TCP6ClientEndpoint
endpoints.UNIXClientEndpoint = UNIXClientEndpoint
endpoints.HostnameEndpoint   = require "twistlua.endpoints.hostname"

return endpoints
