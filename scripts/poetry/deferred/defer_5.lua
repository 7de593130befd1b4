-- defer_5.lua: a Deferred fires once: not with a result and an error.
local defer = require "twistlua.defer"

local d = defer.Deferred()
d:addCallbacks(print, print)
d:callback "First result"
d:errback "First error"
print "Finished"
