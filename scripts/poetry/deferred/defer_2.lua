-- defer_2.lua: a Deferred is fired with a Failure.
local defer   = require "twistlua.defer"
local failure = require "twistlua.failure"

local function gotPoem(poem)
  print "Your poem is served:"
  print(poem)
end

local function poemFailed() print "No poetry for you." end

local d = defer.Deferred()
d:addCallbacks(gotPoem, poemFailed)
d:errback(failure.Failure "I have failed.")

print "Finished"
