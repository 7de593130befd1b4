-- defer_9.lua: as defer_8.lua, but what is done in both cases stands once.
local defer   = require "twistlua.defer"
local reactor = require "twistlua.reactor"

local function poemFailed()
  io.stderr:write("poem download failed\nI am terribly sorry\ntry again later?\n")
end

local d = defer.Deferred()
d:addCallbacks(print, poemFailed)
d:addBoth(function() reactor:stop() end)

reactor:callWhenRunning(d.callback, d, "Another short poem.")
reactor:run()
