-- list_7.lua: an errback of the member, added after the list was made, handles it.
local defer      = require "twistlua.defer"
local gotResults = require "got_results"

local d1, d2 = defer.Deferred(), defer.Deferred()
local all = defer.DeferredList { d1, d2 }
d2:addErrback(function() end)   -- handles the error of d2
all:addCallback(gotResults)
print "Firing d1."
d1:callback "d1 result"
print "Firing d2 with errback."
d2:errback "d2 failure"
