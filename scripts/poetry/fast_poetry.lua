-- fast_poetry.lua: a poem, at once, to whoever connects.
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"
local tutorial = require "tutorial"

local USAGE = [[
usage: fast_poetry.lua [options] POEM

Serves a poem: fast_poetry.lua --port 10001 scripts/poetry/poems/ecstasy.txt
  --port PORT   to listen on; a free one by default
  --iface HOST  to listen on; localhost by default]]

local PoetryProtocol = protocol.Protocol:extend("PoetryProtocol")

function PoetryProtocol:connectionMade()
  self.transport:write(self.factory.poem)
  self.transport:loseConnection()
end

local options, words = tutorial.options(USAGE, { port = 0, iface = "localhost" })
local path, poem = tutorial.poem(USAGE, words)

local factory = protocol.ServerFactory.forProtocol(PoetryProtocol)
factory.poem = poem

local port = reactor:listenTCP(options.port, factory, { interface = options.iface })
print(("Serving %s on %s."):format(path, port:getHost()))
reactor:run()
