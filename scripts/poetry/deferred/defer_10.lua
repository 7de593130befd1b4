-- defer_10.lua: a callback may return a Deferred; the chain goes on when that one has a result.
local defer = require "twistlua.defer"

print "Callbacks that return simple values:\n"

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
d:addCallback(callback_1):addCallback(callback_2):addCallback(callback_3)
d:callback(0)

print "\nNow the second one returns a Deferred:\n"

local deferred_2   -- kept where we can fire it: in a program, what callback_2 had set going would do that

local function callback_2_async(result)
  print("callback_2 got " .. result)
  deferred_2 = defer.Deferred()
  return deferred_2
end

d = defer.Deferred()
d:addCallback(callback_1):addCallback(callback_2_async):addCallback(callback_3)
d:callback(0)

print [[

The third callback was not called: the outer Deferred is paused. Nothing waits
in a thread; the inner one has a note to wake the outer one when it fires:
]]

deferred_2:callback(2)
