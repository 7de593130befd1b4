-- list_4.lua: results stand in the order of the list, not of the firing.
local defer      = require "twistlua.defer"
local gotResults = require "got_results"

print "Two Deferreds."
local d1, d2 = defer.Deferred(), defer.Deferred()
local all = defer.DeferredList { d1, d2 }
print "Adding Callback."
all:addCallback(gotResults)
print "Firing d2."
d2:callback "d2 result"
print "Firing d1."
d1:callback "d1 result"
