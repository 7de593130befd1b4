-- list_3.lua: the list fires when the last of them has.
local defer      = require "twistlua.defer"
local gotResults = require "got_results"

print "Two Deferreds."
local d1, d2 = defer.Deferred(), defer.Deferred()
local all = defer.DeferredList { d1, d2 }
print "Adding Callback."
all:addCallback(gotResults)
print "Firing d1."
d1:callback "d1 result"
print "Firing d2."
d2:callback "d2 result"
