-- cancel_11.lua [SECOND]: as cancel_10.lua, but nothing is sent any more.
-- SECOND is how long a second is, 1 by default.
local defer   = require "twistlua.defer"
local reactor = require "twistlua.reactor"

local second = tonumber(arg[1] or 1)

local function sendPoem(d)
  print "Sending poem"
  d:callback "Once upon a midnight dreary"
end

-- A poem, 5 seconds later.
local function getPoem()
  local call
  -- Might also fire the Deferred with an error of its own, or another result.
  local d = defer.Deferred(function() call:cancel() end)
  call = reactor:callLater(5 * second, sendPoem, d)
  return d
end

local function gotPoem(poem) print("I got a poem: " .. poem) end
local function poemError(failure) print("get_poem failed: " .. tostring(failure)) end

reactor:callLater(10 * second, reactor.stop, reactor)

local d = getPoem()
d:addCallbacks(gotPoem, poemError)
reactor:callLater(2 * second, d.cancel, d)
reactor:run()
