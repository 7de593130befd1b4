-- exception.lua: an error in one callback is logged, and the loop goes on.
local reactor = require "twistlua.reactor"

local function falldown() error "I fall down." end

local function upagain()
  print "But I get up again."
  reactor:stop()
end

reactor:callWhenRunning(falldown)
reactor:callWhenRunning(upagain)

print "Starting the reactor."
reactor:run()
