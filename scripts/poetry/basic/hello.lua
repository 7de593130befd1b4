-- hello.lua: the reactor calls us, not we it.
local reactor = require "twistlua.reactor"

local function hello()
  print "Hello from the reactor loop!\nLately I feel like I'm stuck in a rut."
end

reactor:callWhenRunning(hello)

print "Starting the reactor."
reactor:run()
