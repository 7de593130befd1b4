-- SPDX-License-Identifier: MIT
-- protocol/datagram.lua -- what the reactor and a user's code say to each other about datagrams.
-- There is no factory: one protocol serves all who send to its port.

local Object = require("twistlua.class").Object
local log    = require "twistlua.log"

---Serves a port for datagrams. A subclass overrides the events.
---@class twistlua.DatagramProtocol: twistlua.Object
---@field transport twistlua.DatagramPort|nil from startProtocol on; nil once the port is closed
---@field noisy boolean log the start and the stop
---@operator call(...): twistlua.DatagramProtocol
local DatagramProtocol = Object:extend("DatagramProtocol")

DatagramProtocol.noisy = true

---Called by the reactor when the port is open.
---@param transport twistlua.DatagramPort
function DatagramProtocol:makeConnection(transport)
  if self.transport then error("makeConnection: the protocol has a port already; make one for each", 0) end
  self.transport = transport
  if self.noisy then log.msg("Starting protocol " .. self:logPrefix()) end
  self:startProtocol()
end

---Called by the reactor when the port is closed.
function DatagramProtocol:doStop()
  self.transport = nil
  if self.noisy then log.msg("Stopping protocol " .. self:logPrefix()) end
  self:stopProtocol()
end

---The port is open.
function DatagramProtocol:startProtocol() end

---The port is closed; called once, and nothing comes after it.
function DatagramProtocol:stopProtocol() end

---A datagram came. What this raises is logged, and the port goes on.
---@param _data string may be empty
---@param _addr twistlua.IPv4Address|twistlua.IPv6Address|twistlua.UNIXAddress the sender, for `transport:write(data,
---  addr)`. Shared by all of the sender's datagrams: not to be changed
---@param _truncated true|nil the datagram was longer than maxPacketSize, and its rest is lost
function DatagramProtocol:datagramReceived(_data, _addr, _truncated) end

---Nobody is there, where the port is connected to: an earlier datagram was refused.
function DatagramProtocol:connectionRefused() end

---The name for log lines.
---@return string
function DatagramProtocol:logPrefix()
  return self.__name
end

---Serves a port that is connected to one peer by connectUNIXDatagram.
---@class twistlua.ConnectedDatagramProtocol: twistlua.DatagramProtocol
---@operator call(...): twistlua.ConnectedDatagramProtocol
local ConnectedDatagramProtocol = DatagramProtocol:extend("ConnectedDatagramProtocol")

---The port could not be connected; called later, instead of startProtocol.
---@param _reason twistlua.Failure
function ConnectedDatagramProtocol:connectionFailed(_reason) end

return { DatagramProtocol = DatagramProtocol, ConnectedDatagramProtocol = ConnectedDatagramProtocol }
