-- SPDX-License-Identifier: MIT
-- protocol.lua -- what the reactor and a user's code say to each other about connections: a Protocol is one
-- connection, a Factory (protocol/factory.lua) makes them.
-- A connection's object holds `transport`, `factory` and `connected` and nothing else until a
-- subclass adds to it: with ten thousand idle connections that is what they cost.

local Object       = require("twistlua.class").Object
local errors       = require "twistlua.error"
local Failure      = require("twistlua.failure").Failure
local factory      = require "twistlua.protocol.factory"
local reconnecting = require "twistlua.protocol.reconnecting"
local creator      = require "twistlua.protocol.creator"

---One connection. A subclass overrides the events; the transport is there from `connectionMade` on.
---@class twistlua.Protocol: twistlua.Object
---@field transport twistlua.Transport|nil
---@field factory twistlua.Factory|nil what built it
---@field connected boolean has had a transport
---@field outputLimit number|nil bytes that may wait to be sent when more is written; nil: 64 MiB, math.huge: any number
---@field outputLimitExceeded (fun(self, pending: integer))|nil called then; without it the connection is aborted
---@operator call(...): twistlua.Protocol
local Protocol = Object:extend("Protocol")

Protocol.connected = false

---Called by the reactor; a wrapper of protocols calls it too.
---@param transport twistlua.Transport
function Protocol:makeConnection(transport)
  self.transport = transport
  self.connected = true
  self:connectionMade()
end

---The connection is there: say hello.
function Protocol:connectionMade() end

---Bytes came, in pieces of any size.
---@param _data string never empty
function Protocol:dataReceived(_data) end

---The connection is gone; called once, and nothing comes after it.
---@param _reason twistlua.Failure ConnectionDone, ConnectionLost, or the error of a method of this object
function Protocol:connectionLost(_reason) end

---The name for log lines.
---@return string
function Protocol:logPrefix()
  return self.__name
end

-- What most programs do without is loaded when it is asked for.
local LATER = {
  DatagramProtocol          = "twistlua.protocol.datagram",
  ConnectedDatagramProtocol = "twistlua.protocol.datagram",
  ProcessProtocol           = "twistlua.protocol.process",
}

return setmetatable({
  Protocol                  = Protocol,
  Factory                   = factory.Factory,
  ServerFactory             = factory.ServerFactory,
  ClientFactory             = factory.ClientFactory,
  ReconnectingClientFactory = reconnecting.ReconnectingClientFactory,
  ClientCreator             = creator.ClientCreator,

  ---The reason of every connection that ended cleanly: one object, made once.
  connectionDone = Failure(errors.ConnectionDone()),
}, {
  __index = function(_, name) return LATER[name] and require(LATER[name])[name] end,
})
