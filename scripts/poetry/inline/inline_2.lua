-- inline_2.lua [SECOND]: two functions that wait, at the same time. SECOND is how long a second is, 1 by default.
local defer   = require "twistlua.defer"
local reactor = require "twistlua.reactor"
local task    = require "twistlua.task"
local Error   = require("twistlua.error").Error

local second = tonumber(arg[1] or 1)

local myCallbacks_1 = defer.inlineCallbacks(function()
  print "my_callbacks_1 first callback"
  task.sleep(2 * second)
  print "my_callbacks_1 second callback"
  task.sleep(2 * second)
  print "my_callbacks_1 third callback"
  return 1
end)

local myCallbacks_err = defer.inlineCallbacks(function()
  print "my_callbacks_err first callback"
  task.sleep(3 * second)
  print "my_callbacks_err second callback"
  task.sleep(3 * second)
  print "my_callbacks_err third callback"
  error(Error "uh oh")
end)

local function gotResult(result) print("got result: " .. result) end
local function gotError(failure) print("got error: " .. tostring(failure)) end

reactor:callWhenRunning(function()
  local d1 = myCallbacks_1():addCallbacks(gotResult, gotError)
  local d2 = myCallbacks_err():addCallbacks(gotResult, gotError)
  defer.DeferredList({ d1, d2 }):addCallback(function()
    print "all done"
    reactor:stop()
  end)
end)
reactor:run()
