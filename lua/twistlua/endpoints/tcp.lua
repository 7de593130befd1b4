-- SPDX-License-Identifier: MIT
-- endpoints/tcp.lua -- `tcp:` and `tcp6:`.

local description = require "twistlua.endpoints.description"
local endpoint    = require "twistlua.endpoints.endpoint"
local options     = require "twistlua.options"
local resolver    = require "twistlua.reactor.resolver"

---@class twistlua.TCP4ServerEndpoint: twistlua.ServerEndpoint
---@operator call(...): twistlua.TCP4ServerEndpoint
local TCP4ServerEndpoint = endpoint.ServerEndpoint:extend("TCP4ServerEndpoint")

TCP4ServerEndpoint._prefix = "tcp"
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

function TCP4ServerEndpoint:__tostring()
  return ("%s:%s"):format(self._prefix, self._port)
end

---@class twistlua.TCP6ServerEndpoint: twistlua.TCP4ServerEndpoint
local TCP6ServerEndpoint = TCP4ServerEndpoint:extend("TCP6ServerEndpoint")

TCP6ServerEndpoint._prefix = "tcp6"
TCP6ServerEndpoint._anyInterface = "::"

---@class twistlua.TCP4ClientEndpoint: twistlua.ClientEndpoint
---@operator call(...): twistlua.TCP4ClientEndpoint
local TCP4ClientEndpoint = endpoint.ClientEndpoint:extend("TCP4ClientEndpoint")

TCP4ClientEndpoint._prefix = "tcp"

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

function TCP4ClientEndpoint:__tostring()
  return ("%s:%s:%s"):format(self._prefix, (self._host:gsub(":", "\\:")), self._port)
end

---@class twistlua.TCP6ClientEndpoint: twistlua.TCP4ClientEndpoint
local TCP6ClientEndpoint = TCP4ClientEndpoint:extend("TCP6ClientEndpoint")

TCP6ClientEndpoint._prefix = "tcp6"

local function serve(class)
  return function(reactor, described)
    local given = described:read {
      { "port", description.port, required = true },
      { "interface", description.text },
      { "backlog", description.integer },
    }
    return class(reactor, given.port, { interface = given.interface, backlog = given.backlog })
  end
end

-- A literal is connected to; a name may have several addresses.
local function connectTo(reactor, given, family)
  local chosen = { timeout = given.timeout, bindAddress = given.bindAddress }
  if resolver.isLiteral(given.host) then
    local class = given.host:find(":", 1, true) and TCP6ClientEndpoint or TCP4ClientEndpoint
    return class(reactor, given.host, given.port, chosen)
  end
  -- An address to bind to chooses the family.
  if family == 6 then chosen.bindAddress = chosen.bindAddress or "::" end
  return require "twistlua.endpoints.hostname"(reactor, given.host, given.port, chosen)
end

local function connect(family)
  return function(reactor, described)
    return connectTo(reactor, described:read {
      { "host", description.text, required = true },
      { "port", description.portOrService, required = true },
      { "timeout", description.seconds },
      { "bindAddress", description.text },
    }, family)
  end
end

return {
  TCP4ServerEndpoint = TCP4ServerEndpoint,
  TCP6ServerEndpoint = TCP6ServerEndpoint,
  TCP4ClientEndpoint = TCP4ClientEndpoint,
  TCP6ClientEndpoint = TCP6ClientEndpoint,

  server = { tcp = serve(TCP4ServerEndpoint), tcp6 = serve(TCP6ServerEndpoint) },
  client = { tcp = connect(4), tcp6 = connect(6) },

  connectTo = connectTo,
}
