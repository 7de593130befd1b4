-- SPDX-License-Identifier: MIT
-- fixture.lua -- a name server (server.py) for the specs, and a reactor that asks it.

local child   = require "system.child"
local defer   = require "twistlua.defer"
local errors  = require "twistlua.error"
local reactor = require "twistlua.reactor"

local fixture = {}

---Start a server. `place` is where it is asked.
function fixture.server()
  local log, gate = os.tmpname(), os.tmpname()
  -- The server ends when its standard input does: with the program of the specs, or when it is told.
  os.remove(gate)
  assert(os.execute("mkfifo " .. gate))
  local process = child.start { "sh", "-c", 'exec python3 spec/system/names/server.py "$0" < "$1"', log, gate }
  local open = assert(io.open(gate, "w"))
  os.remove(gate)
  local server = { log = log, port = math.tointeger(tonumber(process:line())) }
  server.place = "127.0.0.1:" .. server.port

  ---The questions so far, as "TYPE NAME", sorted; and none from here on.
  function server.questions()
    local list = {}
    for line in io.lines(log) do list[#list + 1] = line end
    io.open(log, "w"):close()
    table.sort(list)
    return list
  end

  function server.stop()
    open:close()
    process:finish()
    os.remove(log)
  end

  return server
end

---Have the reactor ask these servers, with empty files but for what is given.
function fixture.configure(servers, given)
  local options = { servers = servers, resolvConf = "/dev/null", hosts = "/dev/null" }
  for name, value in pairs(given or {}) do options[name] = value end
  if #options.servers == 0 then options.servers = nil end
  reactor:configureResolver(options)
end

---The reactor as it was.
function fixture.restore()
  reactor:configureResolver {}
end

---The DNSLookupError that a Deferred fails with.
---@async
function fixture.failure(d)
  return defer.await(d:addCallbacks(
    function(result) error("no failure, but " .. tostring(result), 0) end,
    function(failure)
      failure:trap(errors.DNSLookupError)
      return failure.value
    end))
end

return fixture
