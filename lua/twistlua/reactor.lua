-- SPDX-License-Identifier: MIT
-- reactor.lua -- the reactor of this Lua universe: running and stopping, events of the system,
-- calls for later. What else it can do stands in reactor/*.lua. The loop itself is the C core's.

local core      = require "twistlua.core"
local Object    = require("twistlua.class").Object
local errors    = require "twistlua.error"
local Readiness = require "twistlua.reactor.readiness"
local events    = require "twistlua.reactor.events"
local network   = require "twistlua.reactor.network"
local options   = require "twistlua.options"
local resolver  = require "twistlua.reactor.resolver"
local guard     = require "twistlua.guard"

---@class twistlua.Reactor: twistlua.Object
---@field running boolean from the end of `before startup` until the loop has ended
---@field nameResolver table with `resolveHostName(receiver, name, port, types, semantics)`, which returns what
---  cancels it; see twistlua.ResolutionReceiver
local Reactor = Object:extend("Reactor")

function Reactor:init()
  self.running = false
  self._started = false          -- between run() and the loop's end
  self._stopped = true           -- stop() would have nothing to stop
  self._startedBefore = false    -- stop() was called once: run() is over for good
  self._iterating = false        -- inside iterate()
  self._toBegin = core.host.embedded()  -- the first turn fires `startup`: a host may turn the loop without run()
  self._during = nil             -- the trigger of `startup` that sets `running`
  self._ran = false              -- run() was called: the script did not leave that to the program
  self._queue = {}               -- calls for the next turn: { f, arguments }
  self._events = {}              -- name → events.Event
  self._readiness = Readiness(self)
  self._resolver = resolver.native
  self.nameResolver = resolver.native
  self._signals = {}             -- name → what the core took, of those that stop the reactor
  self._stopsOn = {}             -- name → true for those that do so in this run
  self.callLater = self.callLater -- of all methods the most called: found without a look into the class
end

-- ---- Running and stopping -------------------------------------------------------------

local RUN_OPTIONS = { installSignalHandlers = "boolean" }

---Fire `startup`, run until `stop()` has fired `shutdown`, or until `crash()`. In a program of another's that embeds
---us, that runs the reactor: see twl_runtime_run.
---@param given? { installSignalHandlers?: boolean } SIGINT and SIGTERM stop the reactor; default true, but false
---  where a host embeds us
function Reactor:run(given)
  given = options.check("run", given, RUN_OPTIONS)
  if self._started or self._iterating then error(errors.ReactorAlreadyRunning()) end
  if not core.host.mayRun() then error(errors.ReactorAlreadyRunning("the host runs it")) end
  if self._startedBefore then error(errors.ReactorNotRestartable()) end
  local signals = given.installSignalHandlers
  if signals == nil then signals = not core.host.embedded() end
  self._ran = true
  self:_begin(signals)
  self:_loop()
end

function Reactor:_begin(installSignalHandlers)
  self._started, self._stopped, self._toBegin = true, false, false
  self._during = self:_event("startup"):addFirst("during", function()
    self.running = true
    if installSignalHandlers then self:_takeSignals() end
  end)
  self:fireSystemEvent("startup")
end

function Reactor:_loop()
  while self._started and not core.host.closing() do assert(core.reactor.run()) end
  self:_finish()
end

function Reactor:_finish()
  self:_event("startup"):discard(self._during)   -- still there if the loop ended before the startup did
  self.running = false
  self:_dropSignals()
  if self._startedBefore and self._signalHandles then self:_cancelSignals() end
end

---Stop the reactor: the present turn is finished, then the three phases of `shutdown` run, then
---`run()` returns.
function Reactor:stop()
  if self._stopped then error(errors.ReactorNotRunning("it cannot be stopped")) end
  self._stopped, self._startedBefore = true, true
  self:_soon(self._shutDown, self)
end

---End the loop after the present turn, without `shutdown`. `run()` may be called again.
function Reactor:crash()
  self._started, self.running, self._stopped = false, false, true
  core.reactor.crash()
  if core.host.embedded() then
    self:_finish()
    core.host.stopped()
  end
end

---One turn by hand: run what is due, wait at most `delay` seconds for more.
---@param delay? number seconds; default 0
function Reactor:iterate(delay)
  delay = delay or 0
  if type(delay) ~= "number" or delay < 0 or delay ~= delay then
    error("iterate: delay must be a number of seconds, 0 or more, got " .. tostring(delay), 2)
  end
  if self._started or self._iterating then error(errors.ReactorAlreadyRunning()) end
  self._iterating = true
  core.reactor.step(delay)
  self._iterating = false
end

-- The connections are lost in a turn between `during` and `after shutdown`, hence two turns: what a
-- protocol does about it still finds a loop.
function Reactor:_shutDown()
  self:fireSystemEvent("shutdown", function(continue)
    network.disconnectAll(self)
    self._readiness:disconnectAll()
    self:_soon(self._soon, self, function()
      continue()
      self:crash()
    end)
  end)
end

-- The first SIGINT stops cleanly and gives the signal back, so that a second one ends the process. One that the
-- script has taken, or that is ignored, is left alone.
function Reactor:_takeSignals()
  self._stopsOn = { SIGINT = true, SIGTERM = true }
  for name in pairs(self._stopsOn) do self:_takeSignal(name) end
end

function Reactor:_takeSignal(name)
  if not self._stopsOn[name] or not core.signal.isDefault(name) then return end
  self._signals[name] = core.signal.take(name, function()
    self:_dropSignals()
    if not self._stopped then self:stop() end
  end)
end

function Reactor:_dropSignals()
  self._stopsOn = {}
  for name, signal in pairs(self._signals) do
    signal:drop()
    self._signals[name] = nil
  end
end

-- ---- Events of the system ----------------------------------------------------------------

function Reactor:_event(name)
  local event = self._events[name]
  if not event then
    event = events.Event(self)
    self._events[name] = event
  end
  return event
end

local function checkFunction(what, f)
  if type(f) ~= "function" then error(("%s: function expected, got %s"):format(what, type(f)), 3) end
end

---Have `f(...)` called when the event is fired. What a `before` trigger of it returns, if it is a Deferred,
---holds up the `during` phase.
---@param phase "before"|"during"|"after"
---@param event string "startup", "shutdown", "persist" or a name of one's own
---@param f function
---@return table trigger for removeSystemEventTrigger
function Reactor:addSystemEventTrigger(phase, event, f, ...)
  if not events.PHASES[phase] then
    error(("addSystemEventTrigger: phase must be before, during or after, got %s"):format(tostring(phase)), 2)
  end
  if type(event) ~= "string" then
    error("addSystemEventTrigger: the event's name must be a string, got " .. type(event), 2)
  end
  checkFunction("addSystemEventTrigger", f)
  return self:_event(event):add(phase, f, ...)
end

---@param trigger table what addSystemEventTrigger returned
function Reactor:removeSystemEventTrigger(trigger)
  if not events.isTrigger(trigger) then error("removeSystemEventTrigger: not a trigger", 2) end
  if not trigger.event:discard(trigger) then
    error("removeSystemEventTrigger: the trigger has run or was removed", 2)
  end
end

---@param event string
---@param between? fun(continue: function) runs after `during` and goes on to `after` by continue()
function Reactor:fireSystemEvent(event, between)
  local fired = self._events[event]
  if fired then return fired:fire(between) end
  if between then between(function() end) end
end

---Call `f(...)` once the reactor runs: at once if it does.
---@param f function
---@return table|nil trigger to take it back, if it was not called yet
function Reactor:callWhenRunning(f, ...)
  checkFunction("callWhenRunning", f)
  if self.running then
    f(...)
    return nil
  end
  return self:addSystemEventTrigger("after", "startup", f, ...)
end

-- ---- Calls for later -----------------------------------------------------------------------

---Call `f(...)` once, `delay` seconds from now.
---@type fun(self, delay: number, f: function, ...: any): twistlua.DelayedCall
Reactor.callLater = core.timer.callLater

---@type fun(self): twistlua.DelayedCall[] those that are pending
Reactor.getDelayedCalls = core.timer.getDelayedCalls

---Seconds on a clock that only goes forward.
---@type fun(self): number
Reactor.seconds = core.reactor.seconds

function Reactor:_soon(f, ...)
  local queue = self._queue
  queue[#queue + 1] = table.pack(f, ...)
  core.reactor.soon()
end

---Call `f(...)` in a later turn, in the order of asking. Before `run()` it waits. (From C, other threads use
---twl_reactor_post.)
---@param f function
function Reactor:callFromThread(f, ...)
  checkFunction("callFromThread", f)
  self:_soon(f, ...)
end

function Reactor:_runQueue()
  local queue = self._queue
  if self._toBegin then self:_begin(false) end
  self._queue = {}
  for _, call in ipairs(queue) do
    guard.run("Unhandled error in a queued call", call[1], table.unpack(call, 2, call.n))
  end
end

-- ---- Descriptors of the script's own --------------------------------------------------------

---Call `reader:doRead()` whenever `reader:fileno()` is readable. What it returns, if not nil, or raises, ends
---the watching, and `reader:connectionLost(reason)` is called.
---@param reader table with fileno, doRead, connectionLost and logPrefix
function Reactor:addReader(reader) self._readiness:add(reader, "reader") end

---@param writer table with fileno, doWrite, connectionLost and logPrefix
function Reactor:addWriter(writer) self._readiness:add(writer, "writer") end

function Reactor:removeReader(reader) self._readiness:remove(reader, "reader") end

function Reactor:removeWriter(writer) self._readiness:remove(writer, "writer") end

---@return table[] all that addReader and addWriter had been given
function Reactor:removeAll() return self._readiness:removeAll() end

---@return table[] those that addReader was given
function Reactor:getReaders() return self._readiness:list("reader") end

---@return table[]
function Reactor:getWriters() return self._readiness:list("writer") end

-- ---- Looking -----------------------------------------------------------------------------------

---@return string "epoll", "poll", "select", ...
function Reactor:getBackend()
  return self._backend
end

---Whether anything is listening, connecting, connected, looked up or scheduled.
---@return boolean
function Reactor:isBusy()
  return network.isBusy() or #self._queue > 0 or #self:getDelayedCalls() > 0 or #core.resolver.live() > 0
    or core.workers.pending() > 0 or #core.channel.live() > 0 or #self:getReaders() > 0 or #self:getWriters() > 0
end

-- What `twistlua script.lua` does after the script: run the reactor for one that did not.
function Reactor:_runIfNeeded()
  local startup = self._events.startup
  if self._ran then return end
  if core.host.embedded() then return self:_runForHost() end
  if self:isBusy() or startup and startup:isWaiting() then self:run() end
end

-- What twl_runtime_run does: run, if there is something to wait for.
function Reactor:_runForHost()
  if self._startedBefore then error(errors.ReactorNotRestartable()) end
  if self._started or self:_isWaiting() then
    if not self._started then self:_begin(false) end
    self:_loop()
  end
end

function Reactor:_isWaiting()
  local startup = self._events.startup
  return self:isBusy() or core.host.pending() or self._toBegin and startup ~= nil and startup:isWaiting()
end

-- What twl_runtime_alive tells.
function Reactor:_isAlive()
  return not self._startedBefore and self:_isWaiting()
end

-- What twl_runtime_stop does.
function Reactor:_stopForHost()
  if self._toBegin then self:_begin(false) end
  if self._stopped then return core.reactor.crash() end
  self:stop()
end

-- The first thing that twl_runtime_close does.
function Reactor:_stopListening()
  network.stopListening()
end

-- What most programs do without: the methods of an area stand in a module, which its first call loads.
local AREAS = {
  ["twistlua.reactor.streams"] = {
    "listenTCP", "listenSSL", "listenUNIX", "connectTCP", "connectSSL", "connectUNIX",
    "adoptStreamPort", "adoptStreamConnection",
  },
  ["twistlua.reactor.lookups"] = {
    "resolve", "resolveAll", "installResolver", "installNameResolver", "configureResolver",
  },
  ["twistlua.reactor.datagram"] = {
    "listenUDP", "listenMulticast", "listenUNIXDatagram", "connectUNIXDatagram", "adoptDatagramPort",
  },
  ["twistlua.reactor.signals"] = { "onSignal" },
  ["twistlua.reactor.threads"] = { "getThreadPool", "suggestThreadPoolSize", "callInThread" },
  ["twistlua.reactor.process"] = { "spawnProcess" },
}

local function loadLater(module, name)
  return function(...)
    for loaded, method in pairs(require(module)) do Reactor[loaded] = method end
    return Reactor[name](...)
  end
end

for module, names in pairs(AREAS) do
  for _, name in ipairs(names) do Reactor[name] = loadLater(module, name) end
end

local reactor = Reactor()
local backend = core.reactor.wanted or os.getenv("TWISTLUA_REACTOR")
if backend == "" then backend = nil end
local opened, message = core.reactor.open(backend, function() reactor:_runQueue() end)
if not opened then
  error(("cannot open the reactor '%s': %s (those that work here: %s)")
    :format(backend or "default", message, table.concat(core.reactor.backends(), ", ")), 0)
end
reactor._backend = opened
network.open()
if reactor._toBegin then core.reactor.soon() end

return reactor
