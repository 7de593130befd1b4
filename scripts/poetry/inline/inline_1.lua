-- inline_1.lua [SECONDS]: a function that waits, in place of a chain of callbacks. SECONDS is the time of each wait,
-- 5 by default.
local defer   = require "twistlua.defer"
local reactor = require "twistlua.reactor"
local Error   = require("twistlua.error").Error
local await   = defer.await

local delay = tonumber(arg[1] or 5)

local myCallbacks = defer.inlineCallbacks(function()
  print "first callback"
  local result = await(defer.succeed(1))   -- what has fired comes right back

  print("second callback got " .. result)
  local d = defer.Deferred()
  reactor:callLater(delay, d.callback, d, 2)
  result = await(d)                        -- here the function waits, and the reactor runs

  print("third callback got " .. result)
  d = defer.Deferred()
  reactor:callLater(delay, d.errback, d, Error(3))
  local _, err = pcall(await, d)           -- a failure is raised

  print("fourth callback got " .. tostring(err))
  reactor:stop()
end)

reactor:callWhenRunning(myCallbacks)
reactor:run()
