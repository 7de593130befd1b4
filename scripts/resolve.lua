-- resolve.lua: prints the addresses of names, found as connections find them: in the hosts file, or by the
-- name servers.
-- usage: resolve.lua [--server HOST:PORT]... [--type A|AAAA] NAME...
local reactor = require "twistlua.reactor"
local defer   = require "twistlua.defer"
local task    = require "twistlua.task"

local FAMILIES = { A = 4, AAAA = 6 }

local function usage(problem)
  io.stderr:write(problem, "\nusage: resolve.lua [--server HOST:PORT]... [--type A|AAAA] NAME...\n")
  os.exit(2)
end

local servers, family, names = {}, nil, {}

local takes = {
  ["--server"] = function(value) servers[#servers + 1] = value end,
  ["--type"] = function(value)
    family = FAMILIES[value:upper()] or usage(("unknown type '%s': A or AAAA"):format(value))
  end,
}

local i = 1
while arg[i] do
  local take = takes[arg[i]]
  if take then
    take(arg[i + 1] or usage(arg[i] .. " needs a value"))
    i = i + 2
  elseif arg[i]:find("^%-") then
    usage(("unknown option '%s'"):format(arg[i]))
  else
    names[#names + 1] = arg[i]
    i = i + 1
  end
end

if #names == 0 then usage("no name given") end
if #servers > 0 and not pcall(reactor.configureResolver, reactor, { servers = servers }) then
  usage(("bad server '%s': an IP address, with a port: 127.0.0.1:53, [::1]:53")
    :format(table.concat(servers, "', '")))
end

local failed = false

local function show(name, lookup)
  return lookup:addCallbacks(
    function(addresses)
      for _, address in ipairs(addresses) do print(name, address) end
    end,
    function(failure)
      failed = true
      io.stderr:write(failure.value.message, "\n")
    end)
end

task.react(defer.inlineCallbacks(function()
  local lookups = {}
  for index, name in ipairs(names) do lookups[index] = reactor:resolveAll(name, { family = family }) end
  for index, name in ipairs(names) do defer.await(show(name, lookups[index])) end
  if failed then error(require("twistlua.error").SystemExit(1)) end
end))
