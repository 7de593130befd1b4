-- netcat.lua -- joins standard input and output, or those of a command, to a connection: by TCP, TLS, UDP,
-- UNIX sockets, or whatever an endpoint's string describes. Each direction ends by itself, as the sender's does.

local defer     = require "twistlua.defer"
local endpoints = require "twistlua.endpoints"
local errors    = require "twistlua.error"
local protocol  = require "twistlua.protocol"
local reactor   = require "twistlua.reactor"
local task      = require "twistlua.task"

local await, quote = defer.await, endpoints.quoteStringArgument

local USAGE = [[
usage: netcat.lua [OPTIONS] HOST PORT          connect by TCP
       netcat.lua [OPTIONS] ENDPOINT           connect to tls:example.org:443, unix:/run/x.sock, ...
       netcat.lua -l [OPTIONS] [HOST] PORT     serve one connection by TCP
       netcat.lua -l [OPTIONS] ENDPOINT        serve one connection at tls:443:certificate=x.pem, ...
The connection is joined to standard input and output. When the input ends, the other side is told so, and what
it still sends is waited for.

  -l                   listen
  -k                   listen on: every connection gets a command of its own; needs --exec
  -u                   UDP: what is read at once is sent as a datagram; -l answers who comes first
  -U PATH              a UNIX socket, in place of HOST and PORT
  -w SECONDS           give up connecting after so long; with -u, end when nothing came for so long
  --exec COMMAND       join the connection to this shell command
  --tls                TLS over TCP; a client verifies the server
  --certificate FILE   what to show, in PEM; needed by -l --tls
  --key FILE           its private key, if that is not in the same file
  --trust PATH         believe the certificates in this file or folder, and no others
  --insecure           believe anybody
]]

-- ---- Command line -----------------------------------------------------------------------------

local function fail(status, message)
  io.stderr:write("netcat.lua: ", message, "\n", status == 2 and "\n" .. USAGE or "")
  error(errors.SystemExit(status), 0)
end

local FLAGS = { ["-l"] = "listen", ["-k"] = "keep", ["-u"] = "udp", ["--tls"] = "tls", ["--insecure"] = "insecure" }
local VALUES = {
  ["-U"] = "path", ["-w"] = "wait", ["--exec"] = "command", ["--certificate"] = "certificate", ["--key"] = "key",
  ["--trust"] = "trust",
}

local function parse(arguments)
  local given, at = {}, 1
  while at <= #arguments do
    local argument = arguments[at]
    if argument == "-h" or argument == "--help" then
      io.stdout:write(USAGE)
      error(errors.SystemExit(0), 0)
    elseif FLAGS[argument] then
      given[FLAGS[argument]] = true
    elseif VALUES[argument] then
      at = at + 1
      given[VALUES[argument]] = arguments[at] or fail(2, argument .. " needs a value")
    elseif argument:find("^%-.") then
      fail(2, "unknown option " .. argument)
    else
      given[#given + 1] = argument
    end
    at = at + 1
  end
  return given
end

-- HOST and PORT, or PORT alone where that will do.
local function place(given)
  local host, port = given[1], given[2]
  if given.listen and not port then host, port = nil, host end
  if not port or #given > 2 or not given.listen and not host then
    fail(2, "expected a place to connect to or serve")
  end
  return host, port
end

local function argument(name, value)
  return value and (":%s=%s"):format(name, quote(value)) or ""
end

-- The string of the endpoint that the command line means.
local function describe(given)
  local timeout = not given.listen and given.wait and ("%g"):format(given.wait)
  if given.path then return "unix:" .. quote(given.path) .. argument("timeout", timeout) end
  if #given == 1 and given[1]:find(":", 1, true) then return given[1] end
  local host, port = place(given)
  local where = given.listen and quote(port) .. argument("interface", host)
    or quote(host) .. ":" .. quote(port) .. argument("timeout", timeout)
  if not given.tls then return "tcp:" .. where end
  return "tls:" .. where .. argument("certificate", given.certificate) .. argument("privateKey", given.key)
    .. argument("trustRoots", given.trust) .. argument("insecurelySkipVerification", given.insecure and "1")
end

-- ---- Two ends that are joined -------------------------------------------------------------------

-- Nothing is read before both ends are there, and nothing faster than the other end takes it.
local End = protocol.Protocol:extend("End")

function End:init()
  self.gone = defer.Deferred()
  self.reason = nil   -- once it is gone
  self.peer = nil
end

function End:connectionMade()
  self.transport:pauseProducing()
end

function End:dataReceived(data)
  self.peer.transport:write(data)
end

function End:readConnectionLost()
  self.peer.transport:unregisterProducer()
  self.peer.transport:loseWriteConnection()
end

-- One end is gone: let the other go as well, when what it was given has left.
local function leave(lost, reason)
  lost.reason = reason
  if lost.peer then
    lost.peer.transport:unregisterProducer()
    lost.peer.transport:loseConnection()
  end
  lost.gone:callback()
end

function End:connectionLost(reason)
  leave(self, reason.value)
end

local function join(one, other)
  one.peer, other.peer = other, one
  one.transport:registerProducer(other.transport, true)
  other.transport:registerProducer(one.transport, true)
  one.transport:resumeProducing()
  other.transport:resumeProducing()
end

-- What a connection is joined to: this program's input and output, or those of a command.
local function openInner(given)
  if given.command then
    local shell = endpoints.ProcessEndpoint(reactor, "/bin/sh", { "sh", "-c", given.command },
      { childFDs = { [0] = "w", [1] = "r", [2] = 2 } })
    return await(endpoints.connectProtocol(shell, End()))
  end
  local inner = End()
  require("twistlua.stdio").StandardIO(inner)
  return inner
end

-- Join a connection to what it is for, and wait for the end of both.
local function serve(given, outer)
  local inner = openInner(given)
  if outer.reason then
    inner.transport:loseConnection()
  else
    join(outer, inner)
  end
  await(outer.gone)
  await(inner.gone)
  if outer.reason.__name ~= "ConnectionDone" then fail(1, outer.reason.message or tostring(outer.reason)) end
end

-- ---- Streams ---------------------------------------------------------------------------------------

local function connect(given)
  local endpoint = endpoints.clientFromString(reactor, describe(given))
  serve(given, await(endpoints.connectProtocol(endpoint, End())))
end

-- Hands its first connection over, and refuses others; with `keep` each has a command of its own.
local function newFactory(given, first)
  local factory = protocol.Factory()
  factory.noisy = false
  function factory:buildProtocol()
    if self.taken and not given.keep then return nil end
    self.taken = true
    local outer = End()
    function outer.connectionMade()
      End.connectionMade(outer)
      if not given.keep then return first:callback(outer) end
      defer.run(serve, given, outer):addErrback(function(failure) failure:trap(errors.SystemExit) end)
    end
    return outer
  end
  return factory
end

local function listen(given)
  local first = defer.Deferred()
  local port = await(endpoints.serverFromString(reactor, describe(given)):listen(newFactory(given, first)))
  local outer = await(first)
  if port.stopListening then port:stopListening() end
  serve(given, outer)
end

-- ---- Datagrams ---------------------------------------------------------------------------------------

-- Stands for a connection, and is its own transport: there is one peer, and no end that could be seen.
local Datagrams = protocol.DatagramProtocol:extend("Datagrams")

Datagrams.noisy = false

function Datagrams:init(wait)
  self.gone = defer.Deferred()
  self.connected = defer.Deferred()   -- fires when it has its peer
  self.reason = nil
  self.peer = nil
  self._wait = wait
  self._early = {}                    -- what came before the other end was there; then nil
end

function Datagrams:startProtocol()
  self._port, self.transport = self.transport, self
end

function Datagrams:connect(host, port)
  self._port:connect(host, port)
  if self._wait then self._timer = reactor:callLater(self._wait, self.loseConnection, self) end
  local connected = self.connected
  self.connected = nil
  connected:callback()
end

function Datagrams:datagramReceived(data, from)
  if self._early then self._early[#self._early + 1] = data else self.peer.transport:write(data) end
  if self.connected then self:connect(from.host, from.port) end
  if self._timer then self._timer:reset(self._wait) end
end

function Datagrams:resumeProducing()
  local early = self._early
  self._early = nil
  if early then self.peer.transport:writeSequence(early) end
end

function Datagrams:write(data)
  self._port:write(data)
end

function Datagrams:loseConnection()
  self._port:stopListening()
end

function Datagrams:stopProtocol()
  self.transport = self
  if self._timer and self._timer:active() then self._timer:cancel() end
  leave(self, errors.ConnectionDone())
end

-- A datagram is sent at once, and cannot be kept waiting where it came from.
for _, name in ipairs { "registerProducer", "unregisterProducer", "pauseProducing", "stopProducing",
                        "loseWriteConnection" } do
  Datagrams[name] = function() end
end

local function datagrams(given)
  local host, port = place(given)
  local number = math.tointeger(tonumber(port)) or fail(2, ("'%s' is no port"):format(port))
  local outer = Datagrams(given.wait)
  local connected = outer.connected
  if given.listen then
    reactor:listenUDP(number, outer, { interface = host })
  else
    local literal = await(reactor:resolve(host))
    reactor:listenUDP(0, outer, { interface = literal:find(":", 1, true) and "::" or nil })
    outer:connect(literal, number)
  end
  await(connected)
  serve(given, outer)
end

-- ---- Main ----------------------------------------------------------------------------------------------

local function check(given)
  if given.keep and not (given.listen and given.command) then fail(2, "-k needs -l and --exec") end
  if given.wait then given.wait = tonumber(given.wait) or fail(2, "-w needs a number of seconds") end
  if given.udp and (given.path or given.tls) then fail(2, "-u goes with neither -U nor --tls") end
  return given
end

local function run(...)
  local given = check(parse { ... })
  local act = given.udp and datagrams or given.listen and listen or connect
  local ok, problem = pcall(act, given)
  if ok then return end
  if type(problem) == "string" then fail(1, (problem:gsub("^[^:]*netcat%.lua:%d+: ", ""))) end
  if problem.__name == "SystemExit" then error(problem, 0) end
  fail(1, problem.message or tostring(problem))
end

task.react(defer.inlineCallbacks(run), arg)
