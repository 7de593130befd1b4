-- SPDX-License-Identifier: MIT
-- endpoints/registry.lua -- which syntaxes there are for endpoints' strings: those of ours, those that a program
-- has registered, and those of modules `twistlua_endpoints.PREFIX`.

local description = require "twistlua.endpoints.description"

local registry = {}

-- prefix → the module in endpoints/ that has the parser, in its table `server` or `client`
local OURS = {
  server = {
    tcp = "tcp", tcp6 = "tcp", unix = "unix", ssl = "ssl", tls = "ssl", fd = "adopted", systemd = "adopted",
    haproxy = "wrapped", stdio = "wrapped",
  },
  client = { tcp = "tcp", tcp6 = "tcp", unix = "unix", ssl = "ssl", tls = "ssl" },
}

local registered = { server = {}, client = {} }   -- prefix → function(reactor, description)

function registry.register(side, what, prefix, parse)
  if type(prefix) ~= "string" or prefix == "" then error(what .. ": expected a prefix", 3) end
  if type(parse) ~= "function" then error(what .. ": expected a function, got " .. type(parse), 3) end
  registered[side][prefix] = parse
end

local function known(side)
  local prefixes = {}
  for prefix in pairs(OURS[side]) do prefixes[#prefixes + 1] = prefix end
  for prefix in pairs(registered[side]) do
    if not OURS[side][prefix] then prefixes[#prefixes + 1] = prefix end
  end
  table.sort(prefixes)
  return table.concat(prefixes, ", ")
end

-- The parser of somebody else's module; what is wrong inside that is an error of its own.
local function plugin(side, prefix)
  local name = "twistlua_endpoints." .. prefix
  if not prefix:find("^[%w_]+$") or not package.searchpath(name, package.path) then return nil end
  return require(name)[side]
end

local function parserOf(side, prefix)
  local ours = OURS[side][prefix]
  return registered[side][prefix] or ours and require("twistlua.endpoints." .. ours)[side][prefix]
    or plugin(side, prefix)
end

---Make the endpoint that a string describes. What is wrong with it is raised without a line.
---@param side "server"|"client"
---@param what string the function that was called, for messages
---@param reactor any
---@param text string
---@return table endpoint
function registry.parse(side, what, reactor, text)
  local described = description.Description(text, what)
  local parse = parserOf(side, described.prefix)
  if not parse then
    described:fail(1, ("unknown type '%s' (known: %s)"):format(described.prefix, known(side)))
  end
  return parse(reactor, described)
end

return registry
