-- inline_traceback.lua: where a function that awaits is, when it goes on.
local defer   = require "twistlua.defer"
local reactor = require "twistlua.reactor"

local myCallbacks = defer.inlineCallbacks(function()
  defer.await(defer.succeed(1))
  print(debug.traceback())
  reactor:stop()
end)

reactor:callWhenRunning(myCallbacks)
reactor:run()
