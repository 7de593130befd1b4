-- SPDX-License-Identifier: MIT
-- endpoints.lua -- where to listen or connect, as an object that a program can be given: made in code, or
-- from a string such as `tcp:8080`. `listen` and `connect` return Deferreds: every error comes through these.
-- The kinds of endpoints stand in endpoints/, and each is loaded when it is first used.

local registry = require "twistlua.endpoints.registry"

local endpoints = {}

-- A class or function of `endpoints` → the module in endpoints/ that has it.
local MODULES = {
  ServerEndpoint = "endpoint", ClientEndpoint = "endpoint",
  TCP4ServerEndpoint = "tcp", TCP6ServerEndpoint = "tcp", TCP4ClientEndpoint = "tcp", TCP6ClientEndpoint = "tcp",
  UNIXServerEndpoint = "unix", UNIXClientEndpoint = "unix",
  AdoptedStreamServerEndpoint = "adopted",
  SSL4ServerEndpoint = "ssl", SSL4ClientEndpoint = "ssl", wrapClientTLS = "ssl",
  HostnameEndpoint = "hostname",
  StandardIOEndpoint = "stdio",
  ProcessEndpoint = "process",
}

setmetatable(endpoints, { __index = function(self, name)
  local module = MODULES[name]
  if not module then return nil end
  local loaded = require("twistlua.endpoints." .. module)
  local value = loaded[name] or loaded   -- a module may be the class itself
  self[name] = value
  return value
end })

---Add a syntax for `serverFromString`.
---@param prefix string what stands before the first colon
---@param parse fun(reactor: any, description: twistlua.EndpointDescription): table returns what has `listen`
function endpoints.registerServerPrefix(prefix, parse)
  registry.register("server", "registerServerPrefix", prefix, parse)
end

---Add a syntax for `clientFromString`.
---@param prefix string what stands before the first colon
---@param parse fun(reactor: any, description: twistlua.EndpointDescription): table returns what has `connect`
function endpoints.registerClientPrefix(prefix, parse)
  registry.register("client", "registerClientPrefix", prefix, parse)
end

-- What is wrong with a string is raised where the string stands.
local function fromString(side, what, reactor, text)
  local ok, endpoint = pcall(registry.parse, side, what, reactor, text)
  if not ok then error(endpoint, 3) end
  return endpoint
end

---The endpoint that a string describes: `tcp:8080:interface=127.0.0.1`, `unix:/run/x.sock`,
---`tls:443:certificate=site.pem`, `systemd:domain=INET:index=0`, ... docs/endpoints.md has all.
---@param reactor twistlua.Reactor
---@param text string
---@return twistlua.ServerEndpoint
function endpoints.serverFromString(reactor, text)
  local endpoint = fromString("server", "serverFromString", reactor, text)
  return endpoint
end

---The endpoint that a string describes: `tcp:example.org:80:timeout=5`, `tls:example.org:443`, `unix:/run/x.sock`,
---... docs/endpoints.md has all.
---@param reactor twistlua.Reactor
---@param text string
---@return twistlua.ClientEndpoint
function endpoints.clientFromString(reactor, text)
  local endpoint = fromString("client", "clientFromString", reactor, text)
  return endpoint
end

---A text as it must stand in an endpoint's string to be one argument, or the value of one.
---@param argument string
---@return string
function endpoints.quoteStringArgument(argument)
  return (argument:gsub("[\\:=]", "\\%0"))
end

---Connect a protocol that exists already.
---@param endpoint twistlua.ClientEndpoint
---@param protocol twistlua.Protocol
---@return twistlua.Deferred protocol
function endpoints.connectProtocol(endpoint, protocol)
  local factory = require("twistlua.protocol.factory").Factory.forProtocol(function() return protocol end)
  factory.noisy = false
  return endpoint:connect(factory)
end

return endpoints
