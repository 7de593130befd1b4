-- simple.lua: a reactor loop with nothing to do. Ctrl-C ends it.
local reactor = require "twistlua.reactor"

reactor:run()
