-- countdown.lua [SECONDS]: calls for later. SECONDS is the time between two of them, 1 by default.
local reactor = require "twistlua.reactor"

local step = tonumber(arg[1] or 1)

local function count(counter)
  if counter == 0 then return reactor:stop() end
  print(counter .. " ...")
  reactor:callLater(step, count, counter - 1)
end

reactor:callWhenRunning(count, 5)

print "Start!"
reactor:run()
print "Stop!"
