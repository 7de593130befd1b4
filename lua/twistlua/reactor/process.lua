-- SPDX-License-Identifier: MIT
-- reactor/process.lua -- child processes: spawnProcess, and the transport that a ProcessProtocol has.
-- A method of the reactor, which reactor.lua loads with its first call.

local core    = require "twistlua.core"
local Object  = require("twistlua.class").Object
local Failure = require("twistlua.failure").Failure
local Writer  = require "twistlua.reactor.writer"
local errors  = require "twistlua.error"
local guard   = require "twistlua.guard"
local log     = require "twistlua.log"
local options = require "twistlua.options"

-- ---- The transport --------------------------------------------------------------------------

---A child process, as its protocol sees it.
---@class twistlua.Process: twistlua.Object
---@field pid integer|nil nil once it has ended
---@field status integer|nil what waitpid told
---@field name string|nil of its terminal
local Process = Object:extend("Process")

function Process:init(protocol, executable)
  self.pid = nil
  self.status = nil
  self.proto = protocol
  self._executable = executable
  self._process = nil      -- the core's
  self._directions = {}    -- number in the child → "r" or "w", as this side uses it
  self._readers = {}       -- number in the child → the core's pipe, while it is open
  self._writers = {}       -- number in the child → Writer, while it is open
  self._reason = nil       -- once it has ended
end

function Process:_tell(method, ...)
  guard.run("Unhandled error in " .. method, self.proto[method], self.proto, ...)
end

function Process:_read(fd, childFD)
  self._directions[childFD] = "r"
  local pipe
  pipe = assert(core.pipe.open(fd, "r", function(data)
    local ok, failure = guard.call(self.proto.childDataReceived, self.proto, childFD, data)
    if ok then return end
    log.err(failure, "Unhandled Error")
    pipe:abort()
  end, function()
    self:_pipeClosed(self._readers, childFD)
  end))
  self._readers[childFD] = pipe
  pipe:resume()
end

function Process:_write(fd, childFD)
  self._directions[childFD] = "w"
  self._writers[childFD] = Writer(fd, function() self:_pipeClosed(self._writers, childFD) end)
end

function Process:_pipeClosed(pipes, childFD)
  pipes[childFD] = nil
  -- Nobody is left on the other side of a terminal that has ended.
  if self.name and pipes == self._readers and self._writers[0] then self._writers[0]:abort() end
  self:_tell("childConnectionLost", childFD)
  self:_maybeEnd()
end

local function reasonOf(exitCode, signal, status)
  local fields = { exitCode = exitCode, signal = signal, status = status }
  if exitCode == 0 then return Failure(errors.ProcessDone("it finished with exit code 0", fields)) end
  local text = exitCode and ("it ended with exit code %d"):format(exitCode)
    or signal and ("it was ended by signal %d"):format(signal)
    or "how is not known: this process does not collect its children itself"
  return Failure(errors.ProcessTerminated(text, fields))
end

function Process:_ended(exitCode, signal, status)
  self.pid, self.status = nil, status
  self._reason = reasonOf(exitCode, signal, status)
  self:_tell("processExited", self._reason)
  self:_maybeEnd()
end

function Process:_maybeEnd()
  if not self._reason or self._over or next(self._readers) or next(self._writers) then return end
  self._over = true
  self:_tell("processEnded", self._reason)
end

-- The writer of `childFD`; nil when it is closed.
function Process:_writer(what, childFD)
  if self._directions[childFD] ~= "w" then
    error(("%s: the child has no descriptor %s that can be written to"):format(what, tostring(childFD)), 3)
  end
  return self._writers[childFD]
end

---Write to the child's standard input. Dropped when that is closed.
---@param data string
function Process:write(data)
  local writer = self:_writer("write", 0)
  if writer then writer:write(data) end
end

---@param strings string[]
function Process:writeSequence(strings)
  local writer = self:_writer("writeSequence", 0)
  if writer then writer:writeSequence(strings) end
end

---Write to a descriptor of the child's, one with "w" in `childFDs`.
---@param childFD integer
---@param data string
function Process:writeToChild(childFD, data)
  local writer = self:_writer("writeToChild", childFD)
  if writer then writer:write(data) end
end

---Close a pipe: a writing end when all is written. Nothing for one that is closed or is none.
---@param childFD integer
function Process:closeChildFD(childFD)
  if self.name then return end   -- a terminal has one stream, for both ways
  local pipe = self._writers[childFD] or self._readers[childFD]
  if pipe then pipe:close() end
end

function Process:closeStdin() self:closeChildFD(0) end
function Process:closeStdout() self:closeChildFD(1) end
function Process:closeStderr() self:closeChildFD(2) end

---Close standard input, output and error; of a terminal, hang up. The child may live on.
function Process:loseConnection()
  for childFD = 0, 2 do
    local pipe = self._writers[childFD] or self._readers[childFD]
    if pipe then pipe:close() end
  end
end

---@param signal string|integer "KILL", "TERM", "SIGUSR1", ... or a number
function Process:signalProcess(signal)
  if not self.pid then error(errors.ProcessExitedAlready()) end
  local known = signal
  if type(signal) == "string" and signal:sub(1, 3) ~= "SIG" then known = "SIG" .. signal end
  if type(known) ~= "string" and math.type(known) ~= "integer" then
    error("signalProcess: expected the name or number of a signal, got " .. type(signal), 2)
  end
  local sent, message, name = self._process:signal(known)
  if sent then return end
  if name == "ESRCH" then error(errors.ProcessExitedAlready()) end
  if name == "EINVAL" then message = "there is no such signal" end
  error(("signalProcess: cannot send %s: %s"):format(tostring(signal), message), 2)
end

---Read nothing from the child until resumed.
function Process:pauseProducing()
  for _, pipe in pairs(self._readers) do pipe:pause() end
end

function Process:resumeProducing()
  for _, pipe in pairs(self._readers) do pipe:resume() end
end

Process.stopProducing = Process.loseConnection

---Have `producer` fill the child's standard input.
---@param producer table
---@param streaming boolean a push producer, which is paused while the child does not read
function Process:registerProducer(producer, streaming)
  local writer = self:_writer("registerProducer", 0)
  if not writer then return producer:stopProducing() end
  writer:registerProducer(producer, streaming)
end

function Process:unregisterProducer()
  if self._writers[0] then self._writers[0]:unregisterProducer() end
end

---Tell a child on a terminal how large that is.
---@param rows integer
---@param columns integer
function Process:setWindowSize(rows, columns)
  if not self.name then error("setWindowSize: the child has no terminal", 2) end
  if not self._readers[1] then return end
  local ok, message = core.pipe.resize(self._readers[1]:fileno(), rows, columns)
  if not ok then error("setWindowSize: " .. message, 2) end
end

---@return twistlua.ProcessAddress
function Process.getHost() return require("twistlua.address").ProcessAddress() end

Process.getPeer = Process.getHost

function Process:__tostring()
  local state = self.pid and "pid " .. self.pid or "ended"
  return ("<Process %s (%s)>"):format(self._executable, state)
end

-- ---- spawnProcess: what is asked for -----------------------------------------------------------

local OPTIONS = {
  env = "any", path = "string", uid = "integer", gid = "integer", usePTY = "any", childFDs = "table",
}
local STANDARD = { [0] = "w", [1] = "r", [2] = "r" }

-- Without a place: spawnProcess adds that of its caller.
local function refuse(message, ...)
  error("spawnProcess: " .. message:format(...), 0)
end

-- What the kernel takes ends at a zero byte.
local function checkText(what, text)
  if type(text) ~= "string" then refuse("%s must be a string, got %s", what, type(text)) end
  if text:find("\0", 1, true) then refuse("%s has a zero byte in it", what) end
end

local function argumentsOf(executable, args)
  if args == nil then return { executable } end
  if type(args) ~= "table" then refuse("args must be a list, got %s", type(args)) end
  for index = 1, #args do checkText(("args[%d]"):format(index), args[index]) end
  return args
end

-- nil, for ours, or a list of "NAME=value".
local function environmentOf(env)
  if env == true then return nil end
  local list = {}
  if env == nil then return list end
  if type(env) ~= "table" then refuse("env must be a table, or true for ours, got %s", type(env)) end
  for name, value in pairs(env) do
    checkText("a name in env", name)
    checkText(("env[%q]"):format(name), value)
    if name == "" or name:find("=", 1, true) then refuse("env has a bad name: '%s'", name) end
    list[#list + 1] = name .. "=" .. value
  end
  return list
end

local MAX_FD = 65535

local function checkFDs(childFDs)
  for childFD, what in pairs(childFDs) do
    if math.type(childFD) ~= "integer" or childFD < 0 or childFD > MAX_FD then
      refuse("childFDs: '%s' is no descriptor's number", tostring(childFD))
    end
    if what ~= "r" and what ~= "w" and not (math.type(what) == "integer" and what >= 0) then
      refuse('childFDs[%d] must be "r", "w" or a descriptor, got %s', childFD, tostring(what))
    end
  end
end

local function checkId(name, id)
  if id and (id < 0 or id >= 0xFFFFFFFF) then refuse("%s must be a number of the system's, got %d", name, id) end
end

local function checkPTY(usePTY)
  if type(usePTY) == "boolean" or usePTY == nil then return end
  if type(usePTY) ~= "table" or math.type(usePTY[1]) ~= "integer" or math.type(usePTY[2]) ~= "integer" then
    refuse("usePTY must be a boolean or { master, slave, name }, got %s", type(usePTY))
  end
end

local function checkAll(protocol, executable, args, given)
  if type(protocol) ~= "table" or not protocol.childDataReceived then
    refuse("a ProcessProtocol expected, got %s", type(protocol))
  end
  checkText("executable", executable)
  if given.path then checkText("path", given.path) end
  if given.childFDs and given.usePTY then refuse("childFDs cannot be used with usePTY") end
  checkFDs(given.childFDs or {})
  checkId("uid", given.uid)
  checkId("gid", given.gid)
  checkPTY(given.usePTY)
  return argumentsOf(executable, args), environmentOf(given.env)
end

-- ---- spawnProcess: doing it ----------------------------------------------------------------------

-- The descriptors of a launch.
local function newPlan()
  return {
    fds = {},         -- number in the child → what it is to be
    ours = {},        -- a list of { childFD, fd, direction }
    made = {},        -- those of ours that are closed when the launch fails
    theirs = {},      -- those that only the child is to keep
    terminal = nil,   -- the slave
    name = nil,       -- and its path
  }
end

local function spawnError(step, message, code, errno, path)
  if code == "EDENIED" then return errors.PermissionError(message) end
  local detail = ("%s '%s': %s"):format(step, path, message)
  return errors.SpawnError(detail, { errno = errno, code = code, path = path, step = step })
end

local function planPipes(plan, childFDs)
  for childFD, what in pairs(childFDs) do
    if math.type(what) == "integer" then
      plan.fds[childFD] = what
    else
      local fd, theirs, code, errno = core.pipe.pair(what)
      if not fd then return theirs, code, errno end
      table.insert(plan.ours, { childFD, fd, what })
      table.insert(plan.made, fd)
      table.insert(plan.theirs, theirs)
      plan.fds[childFD] = theirs
    end
  end
end

-- The terminal is read through one descriptor and written through a duplicate of it.
local function planTerminal(plan, usePTY)
  local master, slave, name, errno
  if type(usePTY) == "table" then
    master, slave, name = usePTY[1], usePTY[2], usePTY[3] or "terminal"
  else
    master, slave, name, errno = core.pipe.terminal()
    if not master then return slave, name, errno end
    table.insert(plan.made, master)
    table.insert(plan.theirs, slave)
  end
  table.insert(plan.ours, { 1, master, "r" })
  local writing, message, code, number = core.pipe.duplicate(master)
  if not writing then return message, code, number end
  table.insert(plan.ours, { 0, writing, "w" })
  table.insert(plan.made, writing)
  plan.fds, plan.terminal, plan.name = { [0] = slave, [1] = slave, [2] = slave }, slave, name
end

local function discard(fds)
  for _, fd in ipairs(fds) do core.pipe.discard(fd) end
end

local function launch(process, plan, executable, args, env, given)
  local message, code, errno
  if given.usePTY then
    message, code, errno = planTerminal(plan, given.usePTY)
  else
    message, code, errno = planPipes(plan, given.childFDs or STANDARD)
  end
  if message then error(spawnError("pipe", message, code, errno, executable), 0) end
  local search = type(given.env) == "table" and given.env.PATH or nil
  local started, text, name, number, step = core.process.spawn(function(...) process:_ended(...) end, executable,
    args, env, given.path, plan.fds, given.uid, given.gid, plan.terminal, search)
  if not started then
    error(spawnError(step, text, name, number, step == "chdir" and given.path or executable), 0)
  end
  return started
end

local methods = {}

---Run a program as a child. It has begun when this returns: what cannot be run raises `error.SpawnError`, with
---`errno`, `code`, `path` and `step` ("exec", "chdir", "user", ...), and calls nothing.
---@param protocol twistlua.ProcessProtocol
---@param executable string a path; a name without a slash is looked for in the PATH of `env`, else in ours
---@param args? string[] from its own name on; default { executable }
---@param given? { env?: table|true, path?: string, uid?: integer, gid?: integer, usePTY?: boolean|table,
---  childFDs?: table } env: names to values; true is our environment; default: empty, as in Twisted. path: the
---  directory where it starts. uid, gid: who it runs as, with the groups of that user. usePTY: true, or { master,
---  slave, name } of a terminal that exists, whose master it then owns; the child has it as controlling terminal, and
---  its output comes to outReceived. childFDs: the child's number → "w" (a pipe that we write to), "r" (one that we
---  read), or a descriptor of ours; default { [0] = "w", [1] = "r", [2] = "r" }. It has no other descriptors.
---@return twistlua.Process transport
function methods.spawnProcess(_reactor, protocol, executable, args, given)
  given = options.check("spawnProcess", given, OPTIONS)
  local fine, arguments, env = pcall(checkAll, protocol, executable, args, given)
  if not fine then error(arguments, 2) end
  local process, plan = Process(protocol, executable), newPlan()
  local ok, started = pcall(launch, process, plan, executable, arguments, env, given)
  discard(plan.theirs)
  if not ok then
    discard(plan.made)
    error(started, 0)
  end
  process._process, process.pid, process.name = started, started:pid(), plan.name
  for _, entry in ipairs(plan.ours) do
    local childFD, fd, direction = table.unpack(entry)
    if direction == "r" then process:_read(fd, childFD) else process:_write(fd, childFD) end
  end
  process:_tell("makeConnection", process)
  return process
end

return methods
