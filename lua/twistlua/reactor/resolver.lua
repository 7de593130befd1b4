-- SPDX-License-Identifier: MIT
-- reactor/resolver.lua -- names and services without asking the network: literals, /etc/hosts, /etc/services.

local core   = require "twistlua.core"
local errors = require "twistlua.error"

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

local function inHosts(name)
  name = name:lower()
  local found = search("/etc/hosts", function(words)
    for i = 2, #words do
      if words[i]:lower() == name and not words[1]:find(":", 1, true) then return words[1] end
    end
  end)
  return found or name == "localhost" and "127.0.0.1" or nil
end

---The IPv4 or IPv6 literal for `host`; a name that is in no file stays as it is.
---@param host string
---@return string
function resolver.literal(host)
  if resolver.isLiteral(host) then return host end
  return inHosts(host) or host
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

---Answers from /etc/hosts.
resolver.hosts = {
  getHostByName = function(_, name)
    local defer = require "twistlua.defer"
    local literal = inHosts(name)
    if literal then return defer.succeed(literal) end
    return defer.fail(errors.DNSLookupError(("no address found for '%s'"):format(name)))
  end,
}

---@return twistlua.Deferred
function resolver.resolve(chosen, name)
  local defer = require "twistlua.defer"
  if type(name) ~= "string" then error("resolve: name must be a string, got " .. type(name), 3) end
  if name == "" then return defer.succeed("0.0.0.0") end
  if resolver.isLiteral(name) then return defer.succeed(name) end
  return chosen:getHostByName(name)
end

return resolver
