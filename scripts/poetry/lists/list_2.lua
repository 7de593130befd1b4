-- list_2.lua: a DeferredList of one.
local defer      = require "twistlua.defer"
local gotResults = require "got_results"

print "One Deferred."
local d1 = defer.Deferred()
local all = defer.DeferredList { d1 }
print "Adding Callback."
all:addCallback(gotResults)
print "Firing d1."
d1:callback "d1 result"
