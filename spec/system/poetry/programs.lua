-- SPDX-License-Identifier: MIT
-- programs.lua -- runs the tutorial's programs as their readers do: each a process of its own.
local child = require "system.child"

local programs = { POEMS = "scripts/poetry/poems/" }

local SERVING = 120   -- seconds: a server stays while several peers, of which some take long to start, come and go

local running = {}

function programs.path(name)
  return "scripts/poetry/" .. name .. ".lua"
end

---Run a program to its end.
---@param name string such as "deferred/defer_1"
---@return { status: integer, stdout: string, stderr: string }
function programs.run(name, ...)
  return child.run { child.program, programs.path(name), ... }
end

---Run a program in which `math.random` has been made to return `number`.
function programs.runWithRandom(number, name, ...)
  return child.run {
    child.program, "-e", [[
      local number = ...
      math.random = function() return math.tointeger(number) end
      arg = { [0] = select(2, ...), select(3, ...) }
      package.path = arg[0]:gsub("[^/]*$", "?.lua;") .. package.path
      dofile(arg[0])]], tostring(number), programs.path(name), ...,
  }
end

local function keep(process)
  running[#running + 1] = process
  return process
end

---Start a program; `stop` ends it.
function programs.start(name, ...)
  return keep(child.start({ child.program, programs.path(name), ... }, { limit = SERVING }))
end

---Start a peer in Python; it may end by itself.
function programs.python(code, ...)
  local process = keep(child.start { "python3", "-u", "-c", code, ... })
  process.mayEnd = true
  return process
end

local function twisted(command, ...)
  return { "/usr/bin/python3", "spec/system/poetry/peer.py", command, ... }
end

---Run a command of Twisted's side to its end, with Debian's Python: see peer.py.
---@return { status: integer, stdout: string, stderr: string }
function programs.runTwisted(command, ...)
  return child.run(twisted(command, ...), { limit = SERVING })
end

---Start one.
function programs.startTwisted(command, ...)
  return keep(child.start(twisted(command, ...), { limit = SERVING }))
end

---Start one that serves.
---@return table process
---@return string port
function programs.serveTwisted(command, ...)
  local process = programs.startTwisted(command, ...)
  local line = process:line() or error("peer.py does not serve: " .. process:finish().stderr)
  return process, line:match("^port (%d+)$")
end

---Start a server, and wait until it serves.
---@return table process
---@return string port
---@return string line what it says when it serves, with PORT in place of the number
function programs.serve(name, ...)
  local process = programs.start(name, ...)
  local line = process:line() or error(name .. " does not serve: " .. process:finish().stderr)
  local before, port, after = line:match("^(.*port[= ])(%d+)(.*)$")
  return process, port or error("no port in: " .. line), before .. "PORT" .. after
end

---End a process that `start` started; what it printed that was not read.
function programs.stop(process)
  for i, one in ipairs(running) do
    if one == process then table.remove(running, i) end
  end
  if process.mayEnd then
    os.execute(("kill -TERM %d 2>/dev/null"):format(process.pid))
  else
    process:signal "TERM"
  end
  return process:finish()
end

---End all that are still running, for `after_each`.
function programs.stopAll()
  for i = #running, 1, -1 do programs.stop(running[i]) end
end

---Wait until the reactor of a process runs: then it catches SIGTERM.
function programs.awaitReactor(process)
  local socket = require "twistlua.socket"
  local function caught()
    local status <close> = assert(io.open(("/proc/%d/status"):format(process.pid)))
    return tonumber(status:read("a"):match("SigCgt:%s*(%x+)"), 16)
  end
  while caught() & (1 << 14) == 0 do socket.select({}, {}, 0.01) end
end

---The content of a poem.
function programs.poem(name)
  local file <close> = assert(io.open(programs.POEMS .. name .. ".txt", "rb"))
  return file:read("a")
end

---A port of this machine on which nobody serves.
---@return string
function programs.closedPort()
  local socket = require "twistlua.socket"
  local listening <close> = assert(socket.listen("127.0.0.1", 0))
  return tostring(listening:getsockname().port)
end

---What a client of the loopback is told: all that comes until the end, after `request` was sent.
---@param port string
---@param request? string
---@return string
function programs.ask(port, request)
  local socket = require "twistlua.socket"
  local client <close> = assert(socket.connect("127.0.0.1", math.tointeger(tonumber(port))))
  client:setBlocking(true)
  if request then assert(client:sendall(request)) end
  local answer = {}
  repeat
    answer[#answer + 1] = assert(client:recv(65536))
  until answer[#answer] == ""
  return table.concat(answer)
end

return programs
