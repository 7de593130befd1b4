-- defer_unhandled.lua: a failure that nobody handles is reported when its Deferred is gone.
local defer = require "twistlua.defer"

local d = defer.Deferred()
d:addCallback(function() error "oops" end)
d:callback "Here is your result."

print "Finished"
