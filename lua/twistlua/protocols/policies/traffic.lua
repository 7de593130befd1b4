-- SPDX-License-Identifier: MIT
-- protocols/policies/traffic.lua -- writes down what goes over connections: for finding faults.

local wrapping = require "twistlua.protocols.policies.wrapping"
local log      = require "twistlua.log"

-- As one line of text, with every byte to be seen.
local function quote(data)
  local text = data:gsub('[\\"]', "\\%0"):gsub("\n", "\\n"):gsub("\r", "\\r"):gsub("\t", "\\t")
  text = text:gsub("[%c\x7f-\xff]", function(byte) return ("\\x%02x"):format(byte:byte()) end)
  return '"' .. text .. '"'
end

---Logs what is read and written.
---@class twistlua.SpewingProtocol: twistlua.ProtocolWrapper
---@operator call(...): twistlua.SpewingProtocol
local SpewingProtocol = wrapping.ProtocolWrapper:extend("SpewingProtocol")

function SpewingProtocol:dataReceived(data)
  log.msg("Received: " .. quote(data))
  self.wrappedProtocol:dataReceived(data)
end

function SpewingProtocol:write(data)
  log.msg("Sending: " .. quote(data))
  self.transport:write(data)
end

function SpewingProtocol:writeSequence(strings)
  for _, data in ipairs(strings) do self:write(data) end
end

---Logs the traffic of all its connections.
---@class twistlua.SpewingFactory: twistlua.WrappingFactory
---@operator call(...): twistlua.SpewingFactory
local SpewingFactory = wrapping.WrappingFactory:extend("SpewingFactory")

SpewingFactory.protocol = SpewingProtocol

---Writes the traffic of its connection to a file, a line an event: C is what came, S what was sent, * the
---beginning and our end.
---@class twistlua.TrafficLoggingProtocol: twistlua.ProtocolWrapper
---@operator call(...): twistlua.TrafficLoggingProtocol
local TrafficLoggingProtocol = wrapping.ProtocolWrapper:extend("TrafficLoggingProtocol")

local ELIDED = "<... elided>"

---@param factory twistlua.TrafficLoggingFactory
---@param wrapped twistlua.Protocol
---@param logfile { write: function, flush: function, close: function }
---@param lengthLimit? integer longest data that is written down as it is
---@param number? integer of the connection
function TrafficLoggingProtocol:init(factory, wrapped, logfile, lengthLimit, number)
  wrapping.ProtocolWrapper.init(self, factory, wrapped)
  self._logfile = logfile
  self._lengthLimit = lengthLimit or math.maxinteger
  self._number = number or 0
end

function TrafficLoggingProtocol:_log(kind, text)
  self._logfile:write(("%s %d: %s\n"):format(kind, self._number, text))
  self._logfile:flush()
end

function TrafficLoggingProtocol:_logData(kind, data)
  if #data > self._lengthLimit then data = data:sub(1, math.max(0, self._lengthLimit - #ELIDED)) .. ELIDED end
  self:_log(kind, quote(data))
end

function TrafficLoggingProtocol:connectionMade()
  self._logfile:write("*\n")
end

function TrafficLoggingProtocol:dataReceived(data)
  self:_logData("C", data)
  self.wrappedProtocol:dataReceived(data)
end

function TrafficLoggingProtocol:write(data)
  self:_logData("S", data)
  self.transport:write(data)
end

function TrafficLoggingProtocol:writeSequence(strings)
  for _, data in ipairs(strings) do self:_logData("SV", data) end
  self.transport:writeSequence(strings)
end

function TrafficLoggingProtocol:loseConnection()
  self:_log("S", "*")
  self.transport:loseConnection()
end

function TrafficLoggingProtocol:connectionLost(reason)
  self:_log("C", tostring(reason.value))
  self._logfile:close()
  wrapping.ProtocolWrapper.connectionLost(self, reason)
end

---Writes the traffic of each connection to a file of its own: PREFIX-1, PREFIX-2, ...
---@class twistlua.TrafficLoggingFactory: twistlua.WrappingFactory
---@operator call(...): twistlua.TrafficLoggingFactory
local TrafficLoggingFactory = wrapping.WrappingFactory:extend("TrafficLoggingFactory")

TrafficLoggingFactory.protocol = TrafficLoggingProtocol

---@param wrappedFactory twistlua.Factory
---@param logfilePrefix string
---@param lengthLimit? integer longest data that is written down as it is
function TrafficLoggingFactory:init(wrappedFactory, logfilePrefix, lengthLimit)
  wrapping.WrappingFactory.init(self, wrappedFactory)
  self.logfilePrefix = logfilePrefix
  self.lengthLimit = lengthLimit
  self._counter = 0
end

---@param name string
---@return { write: function, flush: function, close: function }
function TrafficLoggingFactory:open(name)
  return assert(io.open(name, "w"))
end

function TrafficLoggingFactory:wrap(wrapped)
  self._counter = self._counter + 1
  local logfile = self:open(("%s-%d"):format(self.logfilePrefix, self._counter))
  return self.protocol(self, wrapped, logfile, self.lengthLimit, self._counter)
end

---Number the connections from 1 again.
function TrafficLoggingFactory:resetCounter()
  self._counter = 0
end

return {
  SpewingProtocol        = SpewingProtocol,
  SpewingFactory         = SpewingFactory,
  TrafficLoggingProtocol = TrafficLoggingProtocol,
  TrafficLoggingFactory  = TrafficLoggingFactory,
}
