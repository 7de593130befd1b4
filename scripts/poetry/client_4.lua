-- client_4.lua: Get Poetry Now! 4.0: getPoetry returns a Deferred, as a function returns a value.
local defer    = require "twistlua.defer"
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"
local tutorial = require "tutorial"

local USAGE = [[
usage: client_4.lua [HOST:]PORT...

Gets poetry from servers: client_4.lua 10001 10002 10003]]

local PoetryProtocol = protocol.Protocol:extend("PoetryProtocol")

PoetryProtocol.poem = ""

function PoetryProtocol:dataReceived(data) self.poem = self.poem .. data end

function PoetryProtocol:connectionLost() self.factory:poemFinished(self.poem) end

local PoetryClientFactory = protocol.ClientFactory:extend("PoetryClientFactory")

PoetryClientFactory.protocol = PoetryProtocol

function PoetryClientFactory:init(deferred) self.deferred = deferred end

-- The Deferred, once: it cannot be fired a second time.
function PoetryClientFactory:takeDeferred()
  local d = self.deferred
  self.deferred = nil
  return d
end

function PoetryClientFactory:poemFinished(poem)
  local d = self:takeDeferred()
  if d then d:callback(poem) end
end

function PoetryClientFactory:clientConnectionFailed(_, reason)
  local d = self:takeDeferred()
  if d then d:errback(reason) end
end

-- Download a poem: a Deferred of its text, or of the reason why there is none.
local function getPoetry(host, port)
  local d = defer.Deferred()
  reactor:connectTCP(host, port, PoetryClientFactory(d))
  return d
end

local _, words = tutorial.options(USAGE, {})
local addresses = tutorial.addresses(USAGE, words)
local poems, missing = {}, #addresses

local function gotPoem(poem) poems[#poems + 1] = poem end

local function poemFailed(failure) io.stderr:write("Poem failed: ", tostring(failure), "\n") end

local function poemDone()
  missing = missing - 1
  if missing == 0 then reactor:stop() end
end

for _, address in ipairs(addresses) do
  getPoetry(address.host, address.port):addCallbacks(gotPoem, poemFailed):addBoth(poemDone)
end
reactor:run()

for _, poem in ipairs(poems) do print(poem) end
