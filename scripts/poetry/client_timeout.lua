-- client_timeout.lua: Get Poetry Now! with a time-out for each poem: the solution of part 8, by hand, with what that
-- part has taught. `addTimeout` on a Deferred with a canceller does the same: see docs/tour.md.
local defer    = require "twistlua.defer"
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"
local errors   = require "twistlua.error"
local tutorial = require "tutorial"

local USAGE = [[
usage: client_timeout.lua [-t SECONDS] [HOST:]PORT...

Gets poetry from servers: client_timeout.lua 10001 10002 10003
  -t, --timeout SECONDS  for each poem; 5 by default]]

local PoetryProtocol = protocol.Protocol:extend("PoetryProtocol")

PoetryProtocol.poem = ""

function PoetryProtocol:dataReceived(data) self.poem = self.poem .. data end

function PoetryProtocol:connectionLost() self.factory:poemFinished(self.poem) end

local PoetryClientFactory = protocol.ClientFactory:extend("PoetryClientFactory")

PoetryClientFactory.protocol = PoetryProtocol

function PoetryClientFactory:init(deferred, timeout)
  self.deferred, self.timeout = deferred, timeout
end

function PoetryClientFactory:startedConnecting(connector)
  self.alarm = reactor:callLater(self.timeout, self.timedOut, self, connector)
end

-- The Deferred, once: it cannot be fired a second time. And there is nothing to wait for any more.
function PoetryClientFactory:takeDeferred()
  local d = self.deferred
  self.deferred = nil
  if self.alarm:active() then self.alarm:cancel() end
  return d
end

function PoetryClientFactory:timedOut(connector)
  self:takeDeferred():errback(errors.TimeoutError())
  connector:disconnect()
end

function PoetryClientFactory:poemFinished(poem)
  local d = self:takeDeferred()
  if d then d:callback(poem) end
end

function PoetryClientFactory:clientConnectionFailed(_, reason)
  local d = self:takeDeferred()
  if d then d:errback(reason) end
end

-- Download a poem: a Deferred of its text, or of the reason why there is none in time.
local function getPoetry(host, port, timeout)
  local d = defer.Deferred()
  reactor:connectTCP(host, port, PoetryClientFactory(d, timeout))
  return d
end

local options, words = tutorial.options(USAGE, { timeout = 5.0 })
local addresses = tutorial.addresses(USAGE, words)
local poems, missing = {}, #addresses

local function gotPoem(poem) poems[#poems + 1] = poem end

local function poemFailed(failure) io.stderr:write("Poem failed: ", tostring(failure), "\n") end

local function poemDone()
  missing = missing - 1
  if missing == 0 then reactor:stop() end
end

for _, address in ipairs(addresses) do
  getPoetry(address.host, address.port, options.timeout):addCallbacks(gotPoem, poemFailed):addBoth(poemDone)
end
reactor:run()

for _, poem in ipairs(poems) do print(poem) end
