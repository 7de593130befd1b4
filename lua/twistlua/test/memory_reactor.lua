-- SPDX-License-Identifier: MIT
-- test/memory_reactor.lua -- a reactor that opens nothing: it keeps what it was asked for, in lists, for a
-- test to look at, and the test drives the factories by hand. Its time is a Clock's.

local Object  = require("twistlua.class").Object
local address = require "twistlua.address"
local defer   = require "twistlua.defer"
local errors  = require "twistlua.error"
local options = require "twistlua.options"
local Clock   = require("twistlua.task.clock").Clock

local MemoryPort = Object:extend("MemoryPort")

function MemoryPort:init(host)
  self.listening = true
  self._host = host
end

function MemoryPort:getHost() return self._host end
function MemoryPort:startListening() self.listening = true end

function MemoryPort:stopListening()
  self.listening = false
  return defer.succeed(nil)
end

local MemoryDatagramPort = MemoryPort:extend("MemoryDatagramPort")

function MemoryDatagramPort:init(host, protocol)
  MemoryPort.init(self, host)
  self.sent = {}
  self._protocol = protocol
end

function MemoryDatagramPort:write(data, addr, port)
  self.sent[#self.sent + 1] = { data, port and address.IPv4Address("UDP", addr, port) or addr }
end

function MemoryDatagramPort:stopListening()
  if self.listening then self._protocol:doStop() end
  return MemoryPort.stopListening(self)
end

local MemoryConnector = Object:extend("MemoryConnector")

function MemoryConnector:init(destination)
  self.state = "connecting"
  self.stoppedConnecting = false
  self.connects = 0        -- calls of `connect` by the factory
  self._destination = destination
end

function MemoryConnector:getDestination() return self._destination end

function MemoryConnector:connect()
  self.connects = self.connects + 1
  self.state = "connecting"
end

function MemoryConnector:stopConnecting()
  if self.state ~= "connecting" then error(errors.NotConnectingError(), 0) end
  self.state = "disconnected"
  self.stoppedConnecting = true
end

function MemoryConnector:disconnect()
  if self.state == "connecting" then self:stopConnecting() end
  self.state = "disconnected"
end

---A reactor in memory.
---@class twistlua.MemoryReactor: twistlua.Clock
---@field tcpServers table[] { port, factory, backlog, interface, listener }
---@field tcpClients table[] { host, port, factory, timeout, bindAddress, connector }
---@field unixServers table[] { path, factory, backlog, mode, wantPID, listener }
---@field unixClients table[] { path, factory, timeout, checkPID, connector }
---@field udpPorts table[] { port, protocol, interface, maxPacketSize, reusePort, transport }; the transport's `sent`
---  lists what was written as { data, addr }
---@field lookups table[] { name, port, types, receiver, cancelled }: what nameResolver was asked; the test
---  calls the receiver
---@field running boolean
---@field hasRun boolean
---@field hasStopped boolean
---@operator call(...): twistlua.MemoryReactor
local MemoryReactor = Clock:extend("MemoryReactor")

function MemoryReactor:init()
  Clock.init(self)
  self.tcpServers, self.tcpClients, self.unixServers, self.unixClients = {}, {}, {}, {}
  self.udpPorts = {}
  self.lookups = {}
  self.nameResolver = { resolveHostName = function(_, ...) return self:_lookUp(...) end }
  self.running, self.hasRun, self.hasStopped = false, false, false
  self._whenRunning = {}
  self._triggers = {}      -- event → phase → list of functions with arguments
end

local function record(list, given, fields)
  for name, value in pairs(given) do fields[name] = value end
  list[#list + 1] = fields
  return fields
end

local function tcpAddress(host, port)
  local class = host:find(":", 1, true) and address.IPv6Address or address.IPv4Address
  return class("TCP", host, port)
end

function MemoryReactor:listenTCP(port, factory, given)
  given = options.check("listenTCP", given,
    { backlog = "integer", interface = "string", reusePort = "boolean" })
  local entry = record(self.tcpServers, given, { port = port, factory = factory })
  local interface = given.interface or ""
  entry.listener = MemoryPort(tcpAddress(interface == "" and "0.0.0.0" or interface, port))
  return entry.listener
end

function MemoryReactor:connectTCP(host, port, factory, given)
  given = options.check("connectTCP", given, { timeout = "number", bindAddress = "any" })
  local entry = record(self.tcpClients, given, { host = host, port = port, factory = factory })
  entry.connector = MemoryConnector(tcpAddress(host, port))
  factory:startedConnecting(entry.connector)
  return entry.connector
end

function MemoryReactor:listenUNIX(path, factory, given)
  given = options.check("listenUNIX", given, { backlog = "integer", mode = "integer", wantPID = "boolean" })
  local entry = record(self.unixServers, given, { path = path, factory = factory })
  entry.listener = MemoryPort(address.UNIXAddress(path))
  return entry.listener
end

function MemoryReactor:connectUNIX(path, factory, given)
  given = options.check("connectUNIX", given, { timeout = "number", checkPID = "boolean" })
  local entry = record(self.unixClients, given, { path = path, factory = factory })
  entry.connector = MemoryConnector(address.UNIXAddress(path))
  factory:startedConnecting(entry.connector)
  return entry.connector
end

function MemoryReactor:listenUDP(port, protocol, given)
  given = options.check("listenUDP", given,
    { interface = "string", maxPacketSize = "integer", reusePort = "boolean" })
  local entry = record(self.udpPorts, given, { port = port, protocol = protocol })
  local interface = given.interface or ""
  local class = interface:find(":", 1, true) and address.IPv6Address or address.IPv4Address
  entry.transport = MemoryDatagramPort(class("UDP", interface == "" and "0.0.0.0" or interface, port), protocol)
  protocol:makeConnection(entry.transport)
  return entry.transport
end

function MemoryReactor:_lookUp(receiver, name, port, types)
  local lookup = { name = name, port = port, types = types, receiver = receiver, cancelled = false }
  function lookup:cancel() self.cancelled = true end
  table.insert(self.lookups, lookup)
  receiver:resolutionBegan(lookup)
  return lookup
end

local function callAll(calls)
  for _, call in ipairs(calls) do call.f(table.unpack(call, 1, call.n)) end
end

local function pack(f, ...)
  local call = table.pack(...)
  call.f = f
  return call
end

function MemoryReactor:callWhenRunning(f, ...)
  if self.running then return f(...) end
  table.insert(self._whenRunning, pack(f, ...))
end

function MemoryReactor:addSystemEventTrigger(phase, event, f, ...)
  local phases = self._triggers[event] or { before = {}, during = {}, after = {} }
  if not phases[phase] then error("addSystemEventTrigger: unknown phase " .. tostring(phase), 2) end
  self._triggers[event] = phases
  table.insert(phases[phase], pack(f, ...))
end

---Call the triggers of an event, by phase. Deferreds are not waited for.
---@param event string
function MemoryReactor:fireSystemEvent(event)
  local phases = self._triggers[event]
  if not phases then return end
  self._triggers[event] = nil
  for _, phase in ipairs { "before", "during", "after" } do callAll(phases[phase]) end
end

---Run at once until `stop`, or until no delayed call is left: time jumps from each to the next.
function MemoryReactor:run()
  self.running, self.hasRun = true, true
  self:fireSystemEvent("startup")
  callAll(self._whenRunning)
  while self.running do
    local call = self:getDelayedCalls()[1]
    if not call then break end
    self:advance(math.max(0, call:getTime() - self:seconds()))
  end
  self.running = false
  self:fireSystemEvent("shutdown")
end

function MemoryReactor:stop()
  if not self.running then error(errors.ReactorNotRunning(), 0) end
  self.running = false
  self.hasStopped = true
end

---A MemoryReactor whose every listen and connect raises.
---@class twistlua.RaisingMemoryReactor: twistlua.MemoryReactor
---@operator call(...): twistlua.RaisingMemoryReactor
local RaisingMemoryReactor = MemoryReactor:extend("RaisingMemoryReactor")

---@param listenError? any what the listen methods raise
---@param connectError? any what the connect methods raise
function RaisingMemoryReactor:init(listenError, connectError)
  MemoryReactor.init(self)
  self._listenError = listenError or errors.CannotListenError("nobody listens here")
  self._connectError = connectError or errors.ConnectError("nobody connects here")
end

function RaisingMemoryReactor:listenTCP() error(self._listenError, 0) end
function RaisingMemoryReactor:connectTCP() error(self._connectError, 0) end
RaisingMemoryReactor.listenUNIX  = RaisingMemoryReactor.listenTCP
RaisingMemoryReactor.listenUDP   = RaisingMemoryReactor.listenTCP
RaisingMemoryReactor.connectUNIX = RaisingMemoryReactor.connectTCP

return { MemoryReactor = MemoryReactor, RaisingMemoryReactor = RaisingMemoryReactor }
