-- list_6.lua: without consumeErrors the member keeps its Failure, which nobody handles.
local defer      = require "twistlua.defer"
local gotResults = require "got_results"

local d1, d2 = defer.Deferred(), defer.Deferred()
local all = defer.DeferredList { d1, d2 }
all:addCallback(gotResults)
print "Firing d1."
d1:callback "d1 result"
print "Firing d2 with errback."
d2:errback "d2 failure"
