-- defer_4.lua: a Deferred fires once: not with two results.
local defer = require "twistlua.defer"

local d = defer.Deferred()
d:addCallbacks(print, print)
d:callback "First result"
d:callback "Second result"
print "Finished"
