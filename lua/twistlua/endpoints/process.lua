-- SPDX-License-Identifier: MIT
-- endpoints/process.lua -- a child process as a connection: its input and output are the stream.

local Object          = require("twistlua.class").Object
local ClientEndpoint  = require("twistlua.endpoints.endpoint").ClientEndpoint
local Failure         = require("twistlua.failure").Failure
local ProcessProtocol = require("twistlua.protocol.process").ProcessProtocol
local address         = require "twistlua.address"
local defer           = require "twistlua.defer"
local errors          = require "twistlua.error"
local guard           = require "twistlua.guard"
local log             = require "twistlua.log"
local options         = require "twistlua.options"

-- ---- The transport ----------------------------------------------------------------------------

---What the protocol of the connection has: the child, with the names that a connection's transport has.
local Transport = Object:extend("ProcessTransport")

function Transport:init(process)
  self.process = process
  self.disconnecting = false
  self.connected = true
end

for _, name in ipairs { "write", "writeSequence", "registerProducer", "unregisterProducer", "pauseProducing",
                        "resumeProducing", "signalProcess", "getHost", "getPeer" } do
  Transport[name] = function(self, ...) return self.process[name](self.process, ...) end
end

function Transport:loseConnection()
  self.disconnecting = true
  self.process:loseConnection()
end

function Transport:loseWriteConnection()
  self.process:closeStdin()
end

---End the child as well.
function Transport:abortConnection()
  self:loseConnection()
  if self.process.pid then self.process:signalProcess("KILL") end
end

Transport.stopProducing = Transport.loseConnection

-- ---- Between the child and the protocol -----------------------------------------------------------

local Wrapper = ProcessProtocol:extend("ProcessWrapper")

function Wrapper:init(protocol, executable, errFlag)
  self.protocol = protocol
  self._executable = executable
  self._errFlag = errFlag
  self._failure = nil   -- what a method of the protocol raised
end

-- What a method of the protocol raises costs it the connection.
function Wrapper:_tell(method, ...)
  local ok, failure = guard.call(self.protocol[method], self.protocol, ...)
  if ok then return end
  log.err(failure, "Unhandled Error")
  self._failure = self._failure or failure
  self._transport:abortConnection()
end

function Wrapper:makeConnection(process)
  self._transport = Transport(process)
  self:_tell("makeConnection", self._transport)
end

function Wrapper:outReceived(data) self:_tell("dataReceived", data) end

function Wrapper:errReceived(data)
  if self._errFlag ~= "log" then return end
  log.msg(("Process %s wrote to its standard error, which %s does not read: %s")
    :format(self._executable, self.protocol.__name or "its protocol", data))
end

function Wrapper:childConnectionLost(childFD)
  local event = childFD == 0 and "writeConnectionLost" or childFD == 1 and "readConnectionLost"
  if event and self.protocol[event] and not self._transport.disconnecting then self:_tell(event) end
end

function Wrapper:processEnded(reason)
  self._transport.connected = false
  if reason:check(errors.ProcessDone) then reason = Failure(errors.ConnectionDone()) end
  self.protocol:connectionLost(self._failure or reason)
end

-- ---- The endpoint -------------------------------------------------------------------------------

---A program that is run for each connection.
---@class twistlua.ProcessEndpoint: twistlua.ClientEndpoint
---@operator call(...): twistlua.ProcessEndpoint
local ProcessEndpoint = ClientEndpoint:extend("ProcessEndpoint")

local OPTIONS = {
  env = "any", path = "string", uid = "integer", gid = "integer", usePTY = "any", childFDs = "table",
  errFlag = "string",
}

---@param reactor twistlua.Reactor
---@param executable string
---@param args? string[] from its own name on
---@param given? table those of spawnProcess, and errFlag: "log", the default, or "drop", for what the child writes to
---  its standard error
function ProcessEndpoint:init(reactor, executable, args, given)
  given = options.check("ProcessEndpoint", given, OPTIONS, 4)
  self._errFlag = given.errFlag or "log"
  if self._errFlag ~= "log" and self._errFlag ~= "drop" then
    error(('ProcessEndpoint: errFlag must be "log" or "drop", got "%s"'):format(self._errFlag), 3)
  end
  self._reactor, self._executable, self._args = reactor, executable, args
  self._options = {}
  for name, value in pairs(given) do
    if name ~= "errFlag" then self._options[name] = value end
  end
end

function ProcessEndpoint:_connect(factory)
  local protocol = factory:buildProtocol(address.ProcessAddress())
  if protocol == nil then error(errors.NoProtocol(), 0) end
  local wrapper = Wrapper(protocol, self._executable, self._errFlag)
  self._reactor:spawnProcess(wrapper, self._executable, self._args, self._options)
  if wrapper._failure then error(wrapper._failure, 0) end
  return protocol
end

---Run the program. A clean exit is the protocol's ConnectionDone, any other ProcessTerminated.
---@param factory twistlua.Factory
---@return twistlua.Deferred protocol; SpawnError, or NoProtocol if the factory builds none
function ProcessEndpoint:connect(factory)
  return defer.execute(self._connect, self, factory)
end

return { ProcessEndpoint = ProcessEndpoint }
