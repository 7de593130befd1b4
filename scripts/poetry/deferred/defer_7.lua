-- defer_7.lua: a Deferred fires once: not with an error and a result.
local defer = require "twistlua.defer"

local d = defer.Deferred()
d:addCallbacks(print, print)
d:errback "First error"
d:callback "First result"
print "Finished"
