-- defer_3.lua: an error becomes a Failure by itself, and the errback gets that.
local defer = require "twistlua.defer"
local Error = require("twistlua.error").Error

local function poemFailed(failure)
  print(getmetatable(failure).__name)
  print(failure)
  print "No poetry for you."
end

local d = defer.Deferred()
d:addCallbacks(print, poemFailed)
d:errback(Error "I have failed.")
