-- cancel_3.lua: what has fired cannot be cancelled any more.
local defer = require "twistlua.defer"

local function callback(result) print("callback got: " .. result) end
local function errback(failure) print("errback got: " .. tostring(failure)) end

local d = defer.Deferred()
d:addCallbacks(callback, errback)
d:callback "result"
d:cancel()
print "done"
