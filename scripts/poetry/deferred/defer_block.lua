-- defer_block.lua [PACE]: callbacks block everything, callback() included. PACE stretches the pauses, 1 by default.
local defer  = require "twistlua.defer"
local socket = require "twistlua.socket"

local pace = tonumber(arg[1] or 1)

local POEM = {
  { "\n", 0 }, { "I", .6 }, { " block", .4 }, { "\n  and", 1 }, { " the", .4 }, { " deferred", .6 },
  { "\n  blocks", 1.5 }, { " with", .2 }, { " me", .2 }, { "\nas does", 1 }, { "\n the reactor", .6 },
  { "\nkeep that", 1 }, { "\n factor", .6 }, { "\nin", 1 }, { " mind", .4 }, { "\n\n", 2 },
}

local function blockingPoem()
  for _, word in ipairs(POEM) do
    socket.select({}, {}, word[2] * pace)   -- sleeps
    io.write(word[1]):flush()
  end
end

local d = defer.Deferred()
d:addCallback(function() print "The start of the callback chain." end)
d:addCallback(blockingPoem)
d:addCallback(function() print "The end of the callback chain." end)

print "Firing deferred."
d:callback(true)
print "Firing finished."
