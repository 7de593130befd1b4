-- defer_6.lua: a Deferred fires once: not with two errors.
local defer = require "twistlua.defer"

local d = defer.Deferred()
d:addCallbacks(print, print)
d:errback "First error"
d:errback "Second error"
print "Finished"
