-- simple_poll.lua: the same loop on poll. Must stand before twistlua.reactor is first required.
require("twistlua.pollreactor").install()
local reactor = require "twistlua.reactor"

reactor:run()
