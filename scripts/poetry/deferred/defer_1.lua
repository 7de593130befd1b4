-- defer_1.lua: a Deferred is fired with a result.
local defer = require "twistlua.defer"

local function gotPoem(poem)
  print "Your poem is served:"
  print(poem)
end

local function poemFailed() print "No poetry for you." end

local d = defer.Deferred()
d:addCallbacks(gotPoem, poemFailed)
d:callback "This poem is short."

print "Finished"
