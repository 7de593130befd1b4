-- SPDX-License-Identifier: MIT
-- endpoints/adopted.lua -- `fd:` and `systemd:`: listening sockets that this process was started with.

local core        = require "twistlua.core"
local description = require "twistlua.endpoints.description"
local endpoint    = require "twistlua.endpoints.endpoint"
local errors      = require "twistlua.error"

---A listening socket that exists. It listens once: the descriptor is closed when its duplicate listens.
---@class twistlua.AdoptedStreamServerEndpoint: twistlua.ServerEndpoint
---@operator call(...): twistlua.AdoptedStreamServerEndpoint
local AdoptedStreamServerEndpoint = endpoint.ServerEndpoint:extend("AdoptedStreamServerEndpoint")

---@param reactor twistlua.Reactor
---@param fileno integer the endpoint owns it from the first `listen` on
---@param addressFamily "AF_INET"|"AF_INET6"|"AF_UNIX"
function AdoptedStreamServerEndpoint:init(reactor, fileno, addressFamily)
  self._reactor = reactor
  self._fileno = fileno
  self._family = addressFamily
  self._used = false
end

function AdoptedStreamServerEndpoint:_listen(factory)
  if self._used then error(errors.AlreadyListened(), 0) end
  self._used = true
  local port = self._reactor:adoptStreamPort(self._fileno, self._family, factory)
  core.pipe.discard(self._fileno)
  return port
end

function AdoptedStreamServerEndpoint:__tostring()
  return "fd:" .. self._fileno
end

local FAMILIES = { INET = "AF_INET", INET6 = "AF_INET6", UNIX = "AF_UNIX" }

local function family(given)
  return FAMILIES[given], "INET, INET6 or UNIX"
end

local function adopt(reactor, described)
  local given = described:read {
    { "fd", description.integer, required = true },
    { "family", family },
  }
  return AdoptedStreamServerEndpoint(reactor, given.fd, given.family or "AF_INET")
end

-- ---- What systemd passes: sd_listen_fds(3) ----------------------------------------------------

local FIRST = 3   -- the descriptors that are passed begin here

-- The number of this process. Who is started by systemd runs on Linux.
local function processID()
  local file <close> = assert(io.open("/proc/self/stat"))
  return file:read("n")
end

-- How many descriptors were passed, and their names in order; or nil and why there are none.
local function passed()
  local for_, count = os.getenv("LISTEN_PID"), os.getenv("LISTEN_FDS")
  if not for_ or not count then return nil, "systemd passed no socket: LISTEN_PID or LISTEN_FDS is not set" end
  local own = processID()
  if for_ ~= ("%d"):format(own) then
    return nil, ("the sockets are not for this process: LISTEN_PID is '%s', and it is %d"):format(for_, own)
  end
  local number = description.integer(count)
  if not number or number > 1000000 then return nil, ("LISTEN_FDS is '%s', which is no number"):format(count) end
  local names = {}
  for name in ((os.getenv("LISTEN_FDNAMES") or "") .. ":"):gmatch("([^:]*):") do names[#names + 1] = name end
  return number, names
end

-- The descriptor of that name, counted from 0; or nil and what is wrong.
local function indexOf(name, count, names)
  local found = {}
  for index = 1, math.min(count, #names) do
    if names[index] == name then found[#found + 1] = index - 1 end
  end
  if #found == 1 then return found[1] end
  if #found > 1 then return nil, ("several sockets have the name '%s': use index="):format(name) end
  return nil, ("no socket has the name '%s' (LISTEN_FDNAMES: %s)"):format(name, table.concat(names, ", "))
end

local function systemd(reactor, described)
  local given = described:read {
    { "domain", family, required = true },
    { "index", description.integer },
    { "name", description.text },
  }
  if (given.index == nil) == (given.name == nil) then
    described:fail(#described.text + 1, "exactly one of 'index' and 'name' must be given")
  end
  local count, names = passed()
  if not count then described:fail(1, names) end
  local index, problem = given.index, nil
  if given.name then index, problem = indexOf(given.name, count, names) end
  if not index then described:fail(described:positionOf("name"), problem) end
  if index >= count then
    described:fail(described:positionOf("index"),
      ("there is no socket %d, counted from 0: systemd passed %d"):format(index, count))
  end
  return AdoptedStreamServerEndpoint(reactor, FIRST + index, given.domain)
end

return {
  AdoptedStreamServerEndpoint = AdoptedStreamServerEndpoint,

  server = { fd = adopt, systemd = systemd },
}
