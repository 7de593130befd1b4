-- SPDX-License-Identifier: MIT
-- twistlua_timers.lua fired | cancelled | pending COUNT [OPERATIONS]
local reactor = require "twistlua.reactor"

local scenario, count, operations = arg[1], tonumber(arg[2]), tonumber(arg[3])
local BATCH = 1000
local start

local function nothing() end

local function finish(done)
  print(("count=%d cpu=%.6f"):format(done, os.clock() - start))
  os.exit(0, false)
end

local scenarios = {}

function scenarios.fired()
  local left = count
  local function fire()
    left = left - 1
    if left == 0 then finish(count) end
  end
  start = os.clock()
  for i = 1, count do reactor:callLater(i * 7919 % 100 / 1000, fire) end
end

function scenarios.cancelled()
  local calls = {}
  start = os.clock()
  for i = 1, count do calls[i] = reactor:callLater(10 + i * 7919 % 100 / 1000, nothing) end
  for i = 1, count do calls[i]:cancel() end
  finish(count)
end

-- In turns of the reactor, as a server does it, with COUNT others pending.
function scenarios.pending()
  local random, done = math.random, 0
  local function turn()
    for _ = 1, BATCH do reactor:callLater(random(1000, 2000), nothing):cancel() end
    done = done + BATCH
    if done >= operations then finish(done) end
    reactor:callLater(0, turn)
  end
  for _ = 1, count do reactor:callLater(random(1000, 2000), nothing) end
  reactor:callLater(0, function()
    start = os.clock()
    turn()
  end)
end

reactor:callLater(0, scenarios[scenario])
reactor:run()
