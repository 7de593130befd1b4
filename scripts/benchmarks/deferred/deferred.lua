-- SPDX-License-Identifier: MIT
-- deferred.lua -- rates of Deferreds and coroutines, one line a row: name, tab, operations a
-- second (or bytes, or milliseconds, as the name says).
-- Usage: lua5.4 scripts/benchmarks/deferred/deferred.lua [seconds a row]
-- The module is found through package.cpath; plain_deferred.lua lies beside this file.

local here = arg[0]:match("^(.*/)") or "./"
package.path = here .. "?.lua;" .. package.path

local resume, yield = coroutine.resume, coroutine.yield   -- Lua's own

require "twistlua"
local defer = require "twistlua.defer"
local plain = require "plain_deferred"

local SECONDS = tonumber(arg[1]) or 0.5
local BATCH   = 1000

local function row(name, value)
  io.write(("%s\t%.4g\n"):format(name, value))
end

-- Operations a second of `f(count)`, the best of three rounds.
local function rate(f)
  local best = 0
  f(BATCH)
  for _ = 1, 3 do
    collectgarbage()
    local done, start, seconds = 0, os.clock(), 0
    while seconds < SECONDS / 3 do
      f(BATCH)
      done = done + BATCH
      seconds = os.clock() - start
    end
    best = math.max(best, done / seconds)
  end
  return best
end

local function pass(value) return value end
local function fault() error("fault") end
local function handle() end

local function fired(Deferred)
  return function(count)
    for i = 1, count do
      local d = Deferred()
      d:addCallback(pass)
      d:addCallback(pass)
      d:callback(i)
    end
  end
end

local function failing(Deferred)
  return function(count)
    for i = 1, count do
      local d = Deferred()
      d:addCallback(fault)
      d:addErrback(handle)
      d:callback(i)
    end
  end
end

local function awaitFired(count)
  defer.run(function()
    local await, d = defer.await, defer.succeed(1)
    for _ = 1, count do await(d) end
  end)
end

local function awaitMade(count)
  defer.run(function()
    local await, succeed = defer.await, defer.succeed
    for i = 1, count do await(succeed(i)) end
  end)
end

local function awaitPending(count)
  local await, Deferred = defer.await, defer.Deferred
  local pending
  defer.run(function()
    for _ = 1, count do
      pending = Deferred()
      await(pending)
    end
  end)
  for i = 1, count do pending:callback(i) end
end

local function bareYield(count)
  local co = coroutine.create(function() while true do yield() end end)
  for _ = 1, count do resume(co) end
end

local function inlineCall(count)
  local f = defer.inlineCallbacks(pass)
  for i = 1, count do f(i) end
end

local function bytesEach()
  local count, list = 100000, {}
  for i = 1, count do list[i] = false end
  collectgarbage() collectgarbage()
  local before = collectgarbage("count")
  for i = 1, count do
    local d = defer.Deferred()
    d:addCallback(pass)
    list[i] = d
  end
  collectgarbage() collectgarbage()
  return (collectgarbage("count") - before) * 1024 / #list
end

local function longestPause(mode)
  local pending, longest = {}, 0
  for i = 1, 1000000 do pending[i] = defer.Deferred():addCallback(pass) end
  collectgarbage(mode)
  local last = os.clock()
  for i = 1, 3000000 do
    defer.Deferred():addCallback(pass):callback(i)
    local now = os.clock()
    longest, last = math.max(longest, now - last), now
  end
  collectgarbage("incremental")
  assert(#pending == 1000000)   -- they are alive until here
  return longest * 1000
end

row("made, 2 callbacks, fired /s", rate(fired(defer.Deferred)))
row("made, 2 callbacks, fired /s, plain Lua", rate(fired(plain.Deferred)))
row("raised and handled /s", rate(failing(defer.Deferred)))
row("raised and handled /s, plain Lua", rate(failing(plain.Deferred)))
row("resume and yield /s, bare Lua", rate(bareYield))
row("await of a fired one /s", rate(awaitFired))
row("await of one made fired /s", rate(awaitMade))
row("await of a pending one /s", rate(awaitPending))
row("inlineCallbacks function that returns at once /s", rate(inlineCall))
row("bytes, unfired with one callback", bytesEach())
row("longest pause with 1 million pending, incremental, ms", longestPause("incremental"))
row("longest pause with 1 million pending, generational, ms", longestPause("generational"))
