-- cancel_4.lua: the result that comes after the cancelling is ignored, once.
local defer = require "twistlua.defer"

local function callback(result) print("callback got: " .. result) end
local function errback(failure) print("errback got: " .. tostring(failure)) end

local d = defer.Deferred()
d:addCallbacks(callback, errback)
d:cancel()
d:callback "result"
print "done"
