-- defer_8.lua: a Deferred that the reactor fires; both ends of the chain stop the program.
local defer   = require "twistlua.defer"
local reactor = require "twistlua.reactor"

local function gotPoem(poem)
  print(poem)
  reactor:stop()
end

local function poemFailed()
  io.stderr:write("poem download failed\nI am terribly sorry\ntry again later?\n")
  reactor:stop()
end

local d = defer.Deferred()
d:addCallbacks(gotPoem, poemFailed)

reactor:callWhenRunning(d.callback, d, "Another short poem.")
reactor:run()
