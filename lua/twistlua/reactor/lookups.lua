-- SPDX-License-Identifier: MIT
-- reactor/lookups.lua -- asking for addresses, and who answers.
-- Methods of the reactor, which reactor.lua loads with the first call of one.

local options  = require "twistlua.options"
local resolver = require "twistlua.reactor.resolver"

---@class twistlua.Reactor
local Reactor = {}

local RESOLVE = { timeout = "any" }
local RESOLVE_ALL = { timeout = "any", family = "integer" }
local RESOLVER = {
  servers = "table", resolvConf = "string", hosts = "string", cacheSize = "integer",
  ttlMin = "number", ttlMax = "number", negativeTTLMax = "number",
}

---Look up an IPv4 address. A literal is its own; "" is 0.0.0.0. Cancelling ends the look-up.
---@param name string
---@param given? { timeout?: number|number[] } seconds of each try, in which every name server is asked;
---  default { 1, 3, 11, 45 }
---@return twistlua.Deferred address an IPv4 literal, or a DNSLookupError that says why
function Reactor:resolve(name, given)
  return resolver.resolve(self._resolver, name, options.check("resolve", given, RESOLVE).timeout)
end

---Look up all addresses, those of both families at once.
---@param name string
---@param given? { family?: 4|6, timeout?: number|number[] } timeout as for resolve
---@return twistlua.Deferred addresses a list of literals, IPv6 first, or a DNSLookupError
function Reactor:resolveAll(name, given)
  return resolver.resolveAll(self.nameResolver, name, options.check("resolveAll", given, RESOLVE_ALL))
end

---Have another object answer `resolve`, and by its single answers `nameResolver`.
---@param other table with getHostByName(name, timeouts) → Deferred of a literal
---@return table previous
function Reactor:installResolver(other)
  local previous = self._resolver
  self._resolver = other
  self.nameResolver = require("twistlua.reactor.names").complicate(other)
  return previous
end

---Have another object stand as `nameResolver`, and by its first answers for `resolve`.
---@param other table with resolveHostName(receiver, name, port, types, semantics)
---@return table previous
function Reactor:installNameResolver(other)
  local previous = self.nameResolver
  self.nameResolver = other
  self._resolver = require("twistlua.reactor.names").simplify(other)
  return previous
end

---Configure the look-ups; what was learnt so far is forgotten.
---@param given { servers?: string[], resolvConf?: string, hosts?: string, cacheSize?: integer, ttlMin?: number,
---  ttlMax?: number, negativeTTLMax?: number } servers such as "127.0.0.1:5353" or "[::1]:53", default those of
---  resolvConf; paths, default /etc/resolv.conf and /etc/hosts; names kept at most, default 1000; for how many
---  seconds at least and at most, default 0 and 86400, and that there is no address at most, default 300
function Reactor:configureResolver(given)
  resolver.configure(options.check("configureResolver", given, RESOLVER))
end

return Reactor
