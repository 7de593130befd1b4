-- SPDX-License-Identifier: MIT
-- twistlua_spawn.lua -- children one after the other: COUNT, and MEGABYTES in use meanwhile.
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"

local count, megabytes = tonumber(arg[1]), tonumber(arg[2])
local memory = ("x"):rep(megabytes << 20)
local left = count

local Next = protocol.ProcessProtocol:extend("Next")

function Next.processEnded()
  left = left - 1
  if left == 0 then return reactor:stop() end
  reactor:spawnProcess(Next(), "/bin/true")
end

local begin
reactor:callWhenRunning(function()
  begin = reactor:seconds()
  reactor:spawnProcess(Next(), "/bin/true")
end)
reactor:run()
print(("count=%d seconds=%.6f resident=%d"):format(count, reactor:seconds() - begin, #memory >> 20))
