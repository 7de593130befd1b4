-- SPDX-License-Identifier: MIT
-- beside.lua: what the examples of loops run: a server that never rests, and a timer. The host calls finish() when it
-- has done what it wants; if one of both kept the other from its turn, that would not come to an end.
local reactor  = require "twistlua.reactor"
local protocol = require "twistlua.protocol"
local task     = require "twistlua.task"

local TICKS = 20

local Echo = protocol.Protocol:extend("Echo")

function Echo:dataReceived(data)
  self.transport:write(data)
end

-- Asks again as soon as it is answered.
local Restless = protocol.Protocol:extend("Restless")

function Restless:connectionMade()
  self.transport:write("question")
end

function Restless:dataReceived(data)
  self.factory.answers = self.factory.answers + 1
  self.transport:write(data)
end

local port = reactor:listenTCP(0, protocol.Factory.forProtocol(Echo), { interface = "127.0.0.1" })
local clients = protocol.ClientFactory.forProtocol(Restless)
clients.answers = 0
reactor:connectTCP("127.0.0.1", port:getHost().port, clients)

local ticks, finishing = 0, false
local ticking

local function stop()
  ticking:stop()
  reactor:stop()   -- ends what listens and is connected, too
  print(("script: %d ticks, and its server was %s"):format(TICKS, clients.answers > TICKS and "busy" or "starved"))
end

ticking = task.LoopingCall(function()
  ticks = ticks + 1
  if finishing and ticks >= TICKS then stop() end
end)
ticking:start(0.001)

function finish()
  finishing = true
end
