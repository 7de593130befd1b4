-- cancel_6.lua: a canceller may give a result.
local defer = require "twistlua.defer"

local function canceller(d)
  print("I need to cancel this deferred: " .. tostring(d))
  print "Firing the deferred with a result"
  d:callback "result"
end

local function callback(result) print("callback got: " .. result) end
local function errback(failure) print("errback got: " .. tostring(failure)) end

local d = defer.Deferred(canceller)   -- made by lower-level code
d:addCallbacks(callback, errback)   -- added by higher-level code
d:cancel()
print "done"
