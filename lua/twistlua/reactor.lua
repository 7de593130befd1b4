-- SPDX-License-Identifier: MIT
-- reactor.lua -- the reactor of this Lua universe: running and stopping, events of the system,
-- calls for later, and the makers of ports and connections. The loop itself is the C core's.

local core      = require "twistlua.core"
local Object    = require("twistlua.class").Object
local errors    = require "twistlua.error"
local Connector = require "twistlua.reactor.connector"
local Port      = require "twistlua.reactor.port"
local Readiness = require "twistlua.reactor.readiness"
local events    = require "twistlua.reactor.events"
local network   = require "twistlua.reactor.network"
local options   = require "twistlua.options"
local resolver  = require "twistlua.reactor.resolver"
local guard = require "twistlua.guard"

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

---Fire `startup`, run until `stop()` has fired `shutdown`, or until `crash()`.
---@param given? { installSignalHandlers?: boolean } SIGINT and SIGTERM stop the reactor; default true
function Reactor:run(given)
  given = options.check("run", given, RUN_OPTIONS)
  if self._started or self._iterating then error(errors.ReactorAlreadyRunning()) end
  if self._startedBefore then error(errors.ReactorNotRestartable()) end
  self._started, self._stopped, self._ran = true, false, true
  local during = self:_event("startup"):addFirst("during", function()
    self.running = true
    if given.installSignalHandlers ~= false then self:_takeSignals() end
  end)
  self:fireSystemEvent("startup")
  while self._started do assert(core.reactor.run()) end
  self:_event("startup"):discard(during)   -- still there if the loop ended before the startup did
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
---@return number
function Reactor:seconds()
  return core.reactor.seconds()
end

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

-- ---- Ports and connections ------------------------------------------------------------------

local LISTEN_TCP = { backlog = "integer", interface = "string", reusePort = "boolean" }
local LISTEN_SSL = {
  backlog = "integer", interface = "string", reusePort = "boolean", handshakeTimeout = "number",
}
local LISTEN_UNIX = { backlog = "integer", mode = "integer", wantPID = "boolean" }
local CONNECT_TCP = { timeout = "number", bindAddress = "any" }
local CONNECT_SSL = { timeout = "number", bindAddress = "any", handshakeTimeout = "number" }
local CONNECT_UNIX = { timeout = "number", checkPID = "boolean" }

local function checkPort(what, port, level)
  if math.type(port) ~= "integer" or port < 0 or port > 65535 then
    error(("%s: port must be an integer between 0 and 65535, got %s"):format(what, tostring(port)), level or 3)
  end
end

local function checkFactory(what, factory, level)
  if type(factory) ~= "table" or not factory.buildProtocol then
    error(("%s: a factory expected, got %s"):format(what, type(factory)), level or 3)
  end
end

local function checkConnect(what, host, port, factory)
  if type(host) ~= "string" then error(("%s: host must be a string, got %s"):format(what, type(host)), 3) end
  if type(port) ~= "string" then checkPort(what, port, 4) end
  checkFactory(what, factory, 4)
end

---Serve TCP. The port is open when this returns.
---@param port integer 0 takes a free one: see getHost().port
---@param factory twistlua.Factory
---@param given? { backlog?: integer, interface?: string, reusePort?: boolean } backlog 50; interface an IPv4
---  or IPv6 literal or a name; "" is all of IPv4
---@return twistlua.Port
function Reactor:listenTCP(port, factory, given)
  given = options.check("listenTCP", given, LISTEN_TCP)
  checkPort("listenTCP", port)
  checkFactory("listenTCP", factory)
  return Port.tcp(self, port, factory, given):startListening()
end

---Serve TLS. Protocols have their `connectionMade` at once, and then `handshakeCompleted`, if they have it. What is
---wrong with a client's handshake costs its connection.
---@param port integer
---@param factory twistlua.Factory
---@param contextFactory twistlua.ssl.CertificateOptions or any object with getContext()
---@param given? { backlog?: integer, interface?: string, reusePort?: boolean, handshakeTimeout?: number } as
---  listenTCP; handshakeTimeout in seconds, default 30, 0 for none
---@return twistlua.Port port raises an SSLError for a context that cannot serve
function Reactor:listenSSL(port, factory, contextFactory, given)
  given = options.check("listenSSL", given, LISTEN_SSL)
  checkPort("listenSSL", port)
  checkFactory("listenSSL", factory)
  local secure = require "twistlua.reactor.secure"
  local starter = secure.starter("listenSSL", contextFactory, false, nil, given.handshakeTimeout)
  return Port.tcp(self, port, factory, given):secureWith(starter):startListening()
end

---Serve a UNIX socket.
---@param path string a leading "\0" means the abstract name space
---@param factory twistlua.Factory
---@param given? { backlog?: integer, mode?: integer, wantPID?: boolean } backlog 50; mode of the file,
---  default tonumber("666", 8); wantPID holds PATH.lock and replaces a socket left over
---@return twistlua.Port
function Reactor:listenUNIX(path, factory, given)
  given = options.check("listenUNIX", given, LISTEN_UNIX)
  checkFactory("listenUNIX", factory)
  return Port.unix(self, path, factory, given):startListening()
end

---Connect by TCP. The factory hears of the outcome, always later.
---@param host string an IP literal or a name
---@param port integer|string a number or the name of a service
---@param factory twistlua.ClientFactory
---@param given? { timeout?: number, bindAddress?: table|string } timeout in seconds, default 30;
---  bindAddress "host" or { "host", port }
---@return twistlua.Connector
function Reactor:connectTCP(host, port, factory, given)
  given = options.check("connectTCP", given, CONNECT_TCP)
  checkConnect("connectTCP", host, port, factory)
  local connector = Connector.tcp("connectTCP", self, host, port, factory, given)
  connector:connect()
  return connector
end

---Connect by TLS. The protocol has its `connectionMade` at once, and then `handshakeCompleted`, if it has it; a
---handshake that fails is the reason of `connectionLost`, an SSLError.
---@param host string an IP literal or a name; the certificate must be for it, unless `contextFactory.hostname` says
---  otherwise
---@param port integer|string
---@param factory twistlua.ClientFactory
---@param contextFactory twistlua.ssl.CertificateOptions or any object with getContext() and perhaps hostname; see
---  ssl.optionsForClientTLS
---@param given? { timeout?: number, bindAddress?: table|string, handshakeTimeout?: number } as connectTCP;
---  handshakeTimeout in seconds, default 30, 0 for none
---@return twistlua.Connector connector raises an SSLError for a context that is of no use
function Reactor:connectSSL(host, port, factory, contextFactory, given)
  given = options.check("connectSSL", given, CONNECT_SSL)
  checkConnect("connectSSL", host, port, factory)
  local secure = require "twistlua.reactor.secure"
  local starter = secure.starter("connectSSL", contextFactory, true, host, given.handshakeTimeout)
  local connector = Connector.tcp("connectSSL", self, host, port, factory, given)
  connector:secureWith(starter)
  connector:connect()
  return connector
end

---Connect to a UNIX socket.
---@param path string
---@param factory twistlua.ClientFactory
---@param given? { timeout?: number, checkPID?: boolean } checkPID refuses when nobody holds PATH.lock
---@return twistlua.Connector
function Reactor:connectUNIX(path, factory, given)
  given = options.check("connectUNIX", given, CONNECT_UNIX)
  checkFactory("connectUNIX", factory)
  local connector = Connector.unix(self, path, factory, given)
  connector:connect()
  return connector
end

---Serve a listening socket that exists, through a duplicate of it.
---@param fd integer
---@param family "AF_INET"|"AF_INET6"|"AF_UNIX"
---@param factory twistlua.Factory
---@return twistlua.Port
function Reactor:adoptStreamPort(fd, family, factory)
  network.checkFamily("adoptStreamPort", family)
  checkFactory("adoptStreamPort", factory)
  return Port.adopted(self, fd, family, factory):startListening()
end

---Give a connected socket that exists, through a duplicate of it, to a protocol of the factory.
---@param fd integer
---@param family "AF_INET"|"AF_INET6"|"AF_UNIX"
---@param factory twistlua.Factory
---@return twistlua.Transport transport
function Reactor:adoptStreamConnection(fd, family, factory)
  network.checkFamily("adoptStreamConnection", family)
  checkFactory("adoptStreamConnection", factory)
  return network.adopt(fd, factory)
end

-- ---- Names -----------------------------------------------------------------------------------

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

-- ---- Looking -----------------------------------------------------------------------------------

---@return string "epoll", "poll", "select", ...
function Reactor:getBackend()
  return self._backend
end

---Whether anything is listening, connecting, connected, looked up or scheduled.
---@return boolean
function Reactor:isBusy()
  return network.isBusy() or #self._queue > 0 or #self:getDelayedCalls() > 0 or #core.resolver.live() > 0
    or core.workers.pending() > 0 or #self:getReaders() > 0 or #self:getWriters() > 0
end

-- What `twistlua script.lua` does after the script: run the reactor for one that did not.
function Reactor:_runIfNeeded()
  local startup = self._events.startup
  if not self._ran and (self:isBusy() or startup and startup:isWaiting()) then self:run() end
end

-- What most programs do without: the methods of an area stand in a module, which its first call loads.
local AREAS = {
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

return reactor
