-- cancel_1.lua: cancelling fires the errback chain; here nobody handles the CancelledError.
local defer = require "twistlua.defer"

local function callback(result) print("callback got: " .. result) end

local d = defer.Deferred()
d:addCallback(callback)
d:cancel()
print "done"
