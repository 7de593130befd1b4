-- cancel_5.lua: a canceller stops what would fire the Deferred.
local defer = require "twistlua.defer"

local function canceller(d)
  print("I need to cancel this deferred: " .. tostring(d))
end

local function callback(result) print("callback got: " .. result) end
local function errback(failure) print("errback got: " .. tostring(failure)) end

local d = defer.Deferred(canceller)   -- made by lower-level code
d:addCallbacks(callback, errback)   -- added by higher-level code
d:cancel()
print "done"
