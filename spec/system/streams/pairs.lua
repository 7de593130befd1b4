-- SPDX-License-Identifier: MIT
-- pairs.lua -- connections for the specs of streams: protocols that note what happens to them and can be
-- waited for, both ends of a connection, raw peers and children.

local assert   = require "luassert"
local core     = require "twistlua.core"
local defer    = require "twistlua.defer"
local errors   = require "twistlua.error"
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"
local socket   = require "twistlua.socket"
local ssl      = require "twistlua.ssl"
local async    = require("twistlua.test.async").async

local certificates = require "system.tls.certificates"

local await = defer.await

local ends = {}

-- ---- Protocols that note --------------------------------------------------------------------

---Notes its events in `events`, what came in `data()`, the reason of its end in `reason`.
local Recorder = protocol.Protocol:extend("Recorder")

function Recorder:init()
  self.events = {}
  self.pieces = {}
  self.length = 0
  self.waiting = {}   -- { ready, Deferred }
end

function Recorder:note(event)
  self.events[#self.events + 1] = event
  self:wake()
end

function Recorder:wake()
  local waiting = self.waiting
  self.waiting = {}
  for _, entry in ipairs(waiting) do
    if entry[1](self) then
      entry[2]:callback(self)
    else
      self.waiting[#self.waiting + 1] = entry
    end
  end
end

---A Deferred of the first moment at which `ready(self)` is true.
function Recorder:when(ready)
  if ready(self) then return defer.succeed(self) end
  local result = defer.Deferred()
  self.waiting[#self.waiting + 1] = { ready, result }
  return result
end

function Recorder:connectionMade() self:note("made") end

function Recorder:handshakeCompleted()
  self.secured = true
  self:wake()
end

function Recorder:dataReceived(data)
  self.pieces[#self.pieces + 1] = data
  self.length = self.length + #data
  self:wake()
end

function Recorder:connectionLost(reason)
  self.reason = reason
  self:note("lost")
end

function Recorder:data() return table.concat(self.pieces) end

function Recorder:whenReceived(length)
  return self:when(function() return self.length >= length end)
end

---@async
---The reason of the end, when it has come.
function Recorder:awaitLost()
  await(self:when(function() return self.reason end))
  return self.reason
end

function Recorder:whenNoted(event)
  return self:when(function()
    for _, noted in ipairs(self.events) do
      if noted == event then return true end
    end
    return false
  end)
end

---As above; half-closes.
local HalfCloser = Recorder:extend("HalfCloser")

function HalfCloser:readConnectionLost() self:note("read lost") end
function HalfCloser:writeConnectionLost() self:note("write lost") end

ends.Recorder, ends.HalfCloser = Recorder, HalfCloser

---A class of Recorders with these methods; `super` is there for them to call.
function ends.recorder(methods, parent)
  local class = (parent or Recorder):extend("Recording")
  for name, method in pairs(methods or {}) do class[name] = method end
  return class
end

---A quiet factory; `made` lists its protocols.
function ends.factory(class)
  local factory = protocol.ClientFactory()
  factory.noisy = false
  factory.made, factory.events, factory.waiting = {}, {}, {}
  function factory:buildProtocol()
    local made = class()
    made.factory = self
    self.made[#self.made + 1] = made
    Recorder.wake(self)
    return made
  end
  function factory:clientConnectionFailed(_, reason)
    self.failed = reason
    Recorder.note(self, "failed")
  end
  function factory:clientConnectionLost(_, reason)
    self.lost = reason
    Recorder.note(self, "lost")
  end
  factory.when, factory.wake, factory.note = Recorder.when, Recorder.wake, Recorder.note
  factory.whenNoted = Recorder.whenNoted
  ---A Deferred of its protocol number `index`, once that has had its connectionMade.
  function factory:protocolMade(index)
    return self:when(function() return self.made[index] end):addCallback(function()
      return self.made[index]:whenNoted("made")
    end)
  end
  return factory
end

-- ---- Both ends ---------------------------------------------------------------------------------

local paths = 0

---A path for a UNIX socket that is free.
function ends.path()
  paths = paths + 1
  local name = os.tmpname()
  os.remove(name)
  return ("%s-%d.sock"):format(name, paths)
end

ends.kinds = {
  TCP = {
    listen = function(factory) return reactor:listenTCP(0, factory, { interface = "127.0.0.1" }) end,
    connect = function(port, factory) return reactor:connectTCP("127.0.0.1", port:getHost().port, factory) end,
  },
  TCP6 = {
    listen = function(factory) return reactor:listenTCP(0, factory, { interface = "::1" }) end,
    connect = function(port, factory) return reactor:connectTCP("::1", port:getHost().port, factory) end,
  },
  UNIX = {
    listen = function(factory) return reactor:listenUNIX(ends.path(), factory) end,
    connect = function(port, factory) return reactor:connectUNIX(port:getHost().name, factory) end,
  },
}

---What servers and clients of the specs secure their connections with; `which` names the server's certificate.
function ends.identity(which)
  local certificate, key = certificates.of(which or "server")
  return ssl.CertificateOptions { certificateFile = certificate, privateKeyFile = key }
end

function ends.trust()
  return ssl.CertificateOptions { trustRoot = ssl.trustRootFromFile((certificates.of("authority"))) }
end

ends.kinds.TLS = {
  listen = function(factory)
    return reactor:listenSSL(0, factory, ends.identity(), { interface = "127.0.0.1" })
  end,
  connect = function(port, factory)
    return reactor:connectSSL("127.0.0.1", port:getHost().port, factory, ends.trust())
  end,
}

local function isSecured(recorder) return recorder.secured or recorder.reason end

---Connect two protocols. The port is closed when this returns; a TLS handshake is done.
---@async
function ends.join(kind, serverClass, clientClass)
  local ways = ends.kinds[kind]
  local serving, calling = ends.factory(serverClass or Recorder), ends.factory(clientClass or Recorder)
  local port = ways.listen(serving)
  local connector = ways.connect(port, calling)
  local server, client = await(serving:protocolMade(1)), await(calling:protocolMade(1))
  await(port:stopListening())
  if kind == "TLS" then
    await(server:when(isSecured))
    await(client:when(isSecured))
    ends.turns(3)   -- the server's tickets leave
  end
  return server, client, connector
end

---Wait for the end of recorders; those that are still connected are aborted.
---@async
function ends.finish(...)
  for _, recorder in ipairs { ... } do
    if not recorder.reason then recorder.transport:abortConnection() end
  end
  for _, recorder in ipairs { ... } do recorder:awaitLost() end
end

---The body of a test with a connection: `body(server, client, connector)`.
function ends.joined(kind, serverClass, clientClass, body)
  return async(function()
    local server, client, connector = ends.join(kind, serverClass, clientClass)
    body(server, client, connector)
    ends.finish(server, client)
  end)
end

---Let the reactor take `count` turns.
---@async
function ends.turns(count)
  for _ = 1, count or 1 do
    local turn = defer.Deferred()
    reactor:callLater(0, turn.callback, turn)
    await(turn)
  end
end

---Fill the backlog of a paused port that keeps one connection waiting. Returns what ends all this.
---@async
function ends.fill(port)
  local factory, connectors = ends.factory(Recorder), {}
  for index = 1, 6 do connectors[index] = ends.kinds.TCP.connect(port, factory) end
  await(factory:protocolMade(2))
  return function()
    for _, connector in ipairs(connectors) do
      if connector.state == "connecting" then connector:stopConnecting() end
    end
    for index = 1, #factory.made do ends.finish(await(factory:protocolMade(index))) end
  end
end

-- ---- Raw peers ------------------------------------------------------------------------------------

local function ready(raw, add, remove, method)
  local result = defer.Deferred()
  local watcher = {}
  function watcher.fileno() return raw:fileno() end
  function watcher.logPrefix() return "raw" end
  function watcher.connectionLost() end
  watcher[method] = function()
    remove(reactor, watcher)
    result:callback()
  end
  add(reactor, watcher)
  return result
end

---A Deferred that fires when the raw socket is readable; and when it is writable.
function ends.readable(raw) return ready(raw, reactor.addReader, reactor.removeReader, "doRead") end
function ends.writable(raw) return ready(raw, reactor.addWriter, reactor.removeWriter, "doWrite") end

---Receive until the end, an error, or `length` bytes; returns the bytes and the error's name, or "EOF".
---@async
function ends.receive(raw, length)
  local pieces, total = {}, 0
  while total < (length or math.huge) do
    local bytes, _, name = raw:recv(65536)
    if bytes == "" then return table.concat(pieces), "EOF" end
    if bytes then
      pieces[#pieces + 1] = bytes
      total = total + #bytes
    elseif name == "EAGAIN" then
      await(ends.readable(raw))
    else
      return table.concat(pieces), name
    end
  end
  return table.concat(pieces)
end

---Connect a raw socket to a TCP port.
---@async
function ends.rawTo(port)
  local raw, pending = assert(socket.connect("127.0.0.1", port))
  if pending then await(ends.writable(raw)) end
  assert(raw:outcome())
  return raw
end

---A server's protocol whose peer is a raw socket.
---@async
function ends.joinRaw(serverClass)
  local serving = ends.factory(serverClass or Recorder)
  local port = ends.kinds.TCP.listen(serving)
  local raw = ends.rawTo(port:getHost().port)
  local server = await(serving:protocolMade(1))
  await(port:stopListening())
  return server, raw
end

---The body of a test with such a connection: `body(server, raw)`.
function ends.joinedRaw(serverClass, body)
  return async(function()
    local server, raw = ends.joinRaw(serverClass)
    body(server, raw)
    raw:close()
    ends.finish(server)
  end)
end

-- ---- Children ----------------------------------------------------------------------------------------

---Start a shell command that ends by itself within `seconds`; its standard output is the file returned.
function ends.child(command, seconds)
  return assert(io.popen(("timeout %d sh -c '%s' 2>&1"):format(seconds or 20, command:gsub("'", "'\\''"))))
end

---Start a Python script.
function ends.python(script, ...)
  local arguments = table.concat({ ... }, " ")
  return ends.child(("exec python3 -c '%s' %s"):format(script:gsub("'", "'\\''"), arguments))
end

---The program that runs these specs.
function ends.program()
  local index = -1
  while arg[index - 1] do index = index - 1 end
  return arg[index]
end

---Start a script of this folder in a child with its own limit of descriptors.
function ends.script(name, descriptors, ...)
  local command = ("ulimit -n %d; exec %s spec/system/streams/%s.lua %s")
  return ends.child(command:format(descriptors, ends.program(), name, table.concat({ ... }, " ")), 100)
end

---Whether a Failure is of the class `name` of twistlua.error.
function ends.is(failure, name)
  assert.is_true(core.failure.isFailure(failure), "not a Failure: " .. tostring(failure))
  assert.is_true(failure:check(errors[name]) ~= nil, "not a " .. name .. ": " .. tostring(failure.value))
end

---Whether a Failure is of exactly that class.
function ends.isExactly(failure, name)
  ends.is(failure, name)
  assert.equal(name, failure.value.__name)
end

return ends
