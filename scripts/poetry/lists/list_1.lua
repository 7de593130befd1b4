-- list_1.lua: a DeferredList of nothing has fired already.
local defer      = require "twistlua.defer"
local gotResults = require "got_results"

print "Empty List."
local all = defer.DeferredList {}
print "Adding Callback."
all:addCallback(gotResults)
