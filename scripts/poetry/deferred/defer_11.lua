-- defer_11.lua: a Deferred may fire before it has callbacks, and may be paused.
local defer = require "twistlua.defer"

local function callback_1(result)
  print("callback_1 got " .. result)
  return 1
end

local function callback_2(result)
  print("callback_2 got " .. result)
  return 2
end

local function callback_3(result)
  print("callback_3 got " .. result)
  return 3
end

local d = defer.Deferred()

print "Firing empty deferred."
d:callback(0)

print "Adding first callback."
d:addCallback(callback_1)

print "Adding second callback."
d:addCallback(callback_2)

print "Adding third callback."
d:addCallback(callback_3)

print "\nEach was called as soon as it was added. A Deferred that is paused keeps its result:\n"

d = defer.Deferred()
print "Pausing, then firing deferred."
d:pause()
d:callback(0)

print "Adding callbacks."
d:addCallback(callback_1):addCallback(callback_2):addCallback(callback_3)

print "Unpausing the deferred."
d:unpause()
