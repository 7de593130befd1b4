-- client_5_1.lua: Get Poetry Now! 5.1: an errback looks at the error, and passes on those that are not its own.
local defer    = require "twistlua.defer"
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"
local Error    = require("twistlua.error").Error
local tutorial = require "tutorial"

local USAGE = [[
usage: client_5_1.lua [HOST:]PORT...

Gets poetry from servers: client_5_1.lua 10001 10002 10003]]

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

local GibberishError = Error:extend("GibberishError")
local CannotCummingsify = Error:extend("CannotCummingsify")

-- At random the poem as e. e. cummings would have it, a GibberishError, or a CannotCummingsify with the poem.
local function cummingsify(poem)
  local choice = math.random(3)
  if choice == 1 then return poem:lower() end
  error(choice == 2 and GibberishError() or CannotCummingsify(poem))
end

local _, words = tutorial.options(USAGE, {})
local addresses = tutorial.addresses(USAGE, words)
local missing = #addresses

local function cummingsifyFailed(failure)
  if not failure:check(CannotCummingsify) then return failure end
  print "Cummingsify failed!"
  return failure.value.message
end

local function poemFailed() io.stderr:write("The poem download failed.\n") end

local function poemDone()
  missing = missing - 1
  if missing == 0 then reactor:stop() end
end

for _, address in ipairs(addresses) do
  getPoetry(address.host, address.port)
    :addCallback(cummingsify)
    :addErrback(cummingsifyFailed)
    :addCallbacks(print, poemFailed)
    :addBoth(poemDone)
end
reactor:run()
