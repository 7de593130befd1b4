-- cancel_2.lua: the errback gets the CancelledError.
local defer = require "twistlua.defer"

local function callback(result) print("callback got: " .. result) end
local function errback(failure) print("errback got: " .. tostring(failure)) end

local d = defer.Deferred()
d:addCallbacks(callback, errback)
d:cancel()
print "done"
