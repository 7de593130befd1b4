-- SPDX-License-Identifier: MIT
-- luv_timers.lua fired | cancelled | pending COUNT [OPERATIONS]
local uv = require "luv"

local scenario, count, operations = arg[1], tonumber(arg[2]), tonumber(arg[3])
local BATCH = 1000
local start

local function nothing() end

local function call_later(milliseconds, callback)
  local timer = uv.new_timer()
  timer:start(milliseconds, 0, callback)
  return timer
end

local function finish(done)
  print(("count=%d cpu=%.6f"):format(done, os.clock() - start))
  os.exit(0, false)
end

local scenarios = {}

function scenarios.fired()
  local left = count
  start = os.clock()
  for i = 1, count do
    local timer
    timer = call_later(i * 7919 % 100, function()
      timer:close()
      left = left - 1
      if left == 0 then finish(count) end
    end)
  end
end

-- A closed handle is let go in the turn after; that belongs to the price.
function scenarios.cancelled()
  local timers = {}
  start = os.clock()
  for i = 1, count do timers[i] = call_later(10000 + i * 7919 % 100, nothing) end
  for i = 1, count do timers[i]:close() end
  call_later(0, function() finish(count) end)
end

function scenarios.pending()
  local random, done = math.random, 0
  local function turn()
    for _ = 1, BATCH do call_later(random(1000000, 2000000), nothing):close() end
    done = done + BATCH
    if done >= operations then finish(done) end
  end
  for _ = 1, count do call_later(random(1000000, 2000000), nothing) end
  start = os.clock()
  uv.new_idle():start(turn)
end

scenarios[scenario]()
uv.run()
