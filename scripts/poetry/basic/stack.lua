-- stack.lua: between our code and our callback stands the reactor.
local reactor = require "twistlua.reactor"

reactor:callWhenRunning(function() print(debug.traceback()) end)
reactor:run()
