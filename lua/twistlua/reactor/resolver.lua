-- SPDX-License-Identifier: MIT
-- reactor/resolver.lua -- names and services without asking the network: literals, the hosts file,
-- /etc/services; and the way to reactor/names.lua, which asks, for when it is needed.

local core = require "twistlua.core"

local resolver = {}

---@param host string
---@return boolean
function resolver.isLiteral(host)
  if host == "" then return true end
  local maybe = host:find("^[%d.]+$") or host:find(":", 1, true)
  return maybe ~= nil and pcall(core.connector.check, "TCP", host, 0)
end

-- The first line of `path` of which `accept`, given its words, returns something.
local function search(path, accept)
  local file = io.open(path)
  if not file then return nil end
  for line in file:lines() do
    local words = {}
    for word in line:gsub("#.*", ""):gmatch("%S+") do words[#words + 1] = word end
    local found = accept(words)
    if found then
      file:close()
      return found
    end
  end
  file:close()
end

---The IPv4 or IPv6 literal for `host`; a name that is in no file stays as it is.
---@param host string
---@return string
function resolver.literal(host)
  if resolver.isLiteral(host) then return host end
  return core.resolver.hosts(host, "IPv4") or core.resolver.hosts(host, "IPv6") or host
end

---@param port integer|string
---@return integer|nil port nil for an unknown service
function resolver.port(port)
  if math.type(port) == "integer" then return port end
  local number = math.tointeger(tonumber(port))
  if number then return number end
  return search("/etc/services", function(words)
    for i = 1, #words do
      local found = i ~= 2 and words[i] == port and (words[2] or ""):match("^(%d+)/tcp$")
      if found then return math.tointeger(tonumber(found)) end
    end
  end)
end

---The resolver of both kinds that a reactor begins with.
resolver.native = {
  getHostByName = function(_, ...) return require("twistlua.reactor.names").getHostByName(...) end,
  resolveHostName = function(_, ...) return require("twistlua.reactor.names").resolveHostName(...) end,
}

local CALLER = 3   -- of the reactor's method, which has left the stack by a tail call

local function checkName(what, name)
  if type(name) ~= "string" then error(("%s: name must be a string, got %s"):format(what, type(name)), CALLER) end
end

---@param simple table a resolver with getHostByName
---@return twistlua.Deferred literal
function resolver.resolve(simple, name, timeout)
  local defer = require "twistlua.defer"
  checkName("resolve", name)
  local timeouts = require("twistlua.reactor.names").timeouts("resolve", timeout, CALLER)
  if name == "" then return defer.succeed("0.0.0.0") end
  if resolver.isLiteral(name) then return defer.succeed(name) end
  return simple:getHostByName(name, timeouts)
end

local TYPES = { [4] = "IPv4Address", [6] = "IPv6Address" }

---@param nameResolver table with resolveHostName
---@return twistlua.Deferred literals
function resolver.resolveAll(nameResolver, name, given)
  local names, family = require "twistlua.reactor.names", given.family
  checkName("resolveAll", name)
  local timeouts = names.timeouts("resolveAll", given.timeout, CALLER)
  if family and not TYPES[family] then error("resolveAll: family must be 4 or 6, got " .. family, CALLER - 1) end
  local types = family and { require("twistlua.address")[TYPES[family]] }
  if name ~= "" and resolver.isLiteral(name) then
    return require("twistlua.defer").succeed({ name })
  end
  return names.collect(nameResolver, name, types, timeouts)
end

---@param given table the options of Reactor:configureResolver, which stays on the stack
function resolver.configure(given)
  local options, servers = {}, given.servers
  for name, value in pairs(given) do options[name] = value end
  if servers then
    for i, server in ipairs(servers) do
      if type(server) ~= "string" then
        error(("configureResolver: server %d must be a string, got %s"):format(i, type(server)), CALLER)
      end
    end
    options.servers = table.concat(servers, ",")
  end
  local ok, message, code = core.resolver.configure(options)
  if code == "EDENIED" then error(require("twistlua.error").PermissionError(message), 0) end
  if not ok then error("configureResolver: bad servers, or bad limits: " .. message, CALLER) end
end

return resolver
