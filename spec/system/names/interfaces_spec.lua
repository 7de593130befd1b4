-- SPDX-License-Identifier: MIT
-- interfaces_spec.lua -- resolvers as objects: the two interfaces, installing others, and who asks them.
local address = require "twistlua.address"
local async   = require("twistlua.test").async
local defer   = require "twistlua.defer"
local ends    = require "system.streams.pairs"
local errors  = require "twistlua.error"
local fixture = require "system.names.fixture"
local reactor = require "twistlua.reactor"
local flushLoggedErrors = require("twistlua.test").flushLoggedErrors

local await, failure = defer.await, fixture.failure

-- Notes what it is told; `done` fires at the end.
local function receiver()
  local told = { addresses = {}, done = defer.Deferred() }
  function told:resolutionBegan(resolution) self.resolution = resolution end
  function told:addressResolved(found) table.insert(self.addresses, tostring(found)) end
  function told:resolutionComplete(problem)
    self.problem = problem
    self.done:callback(self)
  end
  return told
end

describe("resolvers", function()
  local server

  setup(function() server = fixture.server() end)
  teardown(function()
    server.stop()
    fixture.restore()
  end)
  before_each(function()
    fixture.configure { server.place }
    server.questions()
  end)

  -- ---- reactor.nameResolver -------------------------------------------------------------------

  it("tell a receiver of each address as soon as it is known", async(function()
    local told = receiver()
    local resolution = reactor.nameResolver:resolveHostName(told, "v6slow-50.test", 80)
    assert.equal(resolution, told.resolution)
    assert.equal("v6slow-50.test", resolution.name)
    while #told.addresses == 0 do ends.turns(1) end
    assert.same({ "IPv4Address(type='TCP', host='192.0.2.1', port=80)" }, told.addresses)
    await(told.done)
    assert.equal("IPv6Address(type='TCP', host='2001:db8::1', port=80)", told.addresses[2])
    assert.is_nil(told.problem)
  end))

  it("tell of the wanted types only", async(function()
    local told = receiver()
    reactor.nameResolver:resolveHostName(told, "both.test", 53, { address.IPv6Address }, "UDP")
    await(told.done)
    assert.same({ "IPv6Address(type='UDP', host='2001:db8::1', port=53)" }, told.addresses)
  end))

  it("tell why there was no address, by the family that says more", async(function()
    local told = receiver()
    reactor.nameResolver:resolveHostName(told, "nx.test", 53)
    await(told.done)
    assert.same({}, told.addresses)
    assert.equal("ENXDOMAIN", told.problem.value.code)
    told = receiver()
    reactor.nameResolver:resolveHostName(told, "b d", 53)
    await(told.done)
    assert.matches("space", told.problem.value.message)
  end))

  it("tell nothing more when cancelled", async(function()
    local told, early = receiver(), receiver()
    local addressResolved = told.addressResolved
    function told:addressResolved(found)
      addressResolved(self, found)
      self.resolution:cancel()
      self.resolution:cancel()
    end
    function early:resolutionBegan(begun) begun:cancel() end
    reactor.nameResolver:resolveHostName(told, "many-2.test")
    reactor.nameResolver:resolveHostName(early, "many-2.test")
    while #told.addresses == 0 do ends.turns(1) end
    assert.equal(4, #await(reactor:resolveAll "many-2.test"))   -- had they been asked, they had heard
    assert.equal(1, #told.addresses)
    assert.same({}, early.addresses)
    assert.equal(0, #require("twistlua.core").resolver.live())
  end))

  it("go on when a receiver raises", async(function()
    local told = receiver()
    function told.addressResolved() error "no thanks" end
    reactor.nameResolver:resolveHostName(told, "both.test")
    await(told.done)
    assert.equal(2, #flushLoggedErrors())
  end))

  -- ---- Others -------------------------------------------------------------------------------------

  -- A simple resolver that knows one name.
  local function simple(literal)
    local resolver = { asked = {} }
    function resolver:getHostByName(name, timeouts)
      table.insert(self.asked, name .. " " .. table.concat(timeouts, ","))
      if name == "mine.test" then return defer.succeed(literal) end
      return defer.fail(errors.DNSLookupError(name))
    end
    return resolver
  end

  it("can be a simple one, which then answers both ways", async(function()
    local mine = simple "192.0.2.77"
    local previous = reactor:installResolver(mine)
    assert.equal("192.0.2.77", await(reactor:resolve("mine.test", { timeout = 5 })))
    assert.same({ "192.0.2.77" }, await(reactor:resolveAll("mine.test", { timeout = { 1, 2 } })))
    assert.same({ "mine.test 5", "mine.test 1,2" }, mine.asked)
    failure(reactor:resolve "other.test")
    failure(reactor:resolveAll "other.test")
    assert.equal("0.0.0.0", await(reactor:resolve ""))
    assert.equal(mine, reactor:installResolver(simple "2001:db8::77"))
    local told = receiver()
    reactor.nameResolver:resolveHostName(told, "mine.test", 80)
    await(told.done)
    assert.same({ "IPv6Address(type='TCP', host='2001:db8::77', port=80)" }, told.addresses)
    reactor:installResolver(previous)
    assert.equal("192.0.2.1", await(reactor:resolve "both.test"))
    assert.equal(2, #await(reactor:resolveAll "both.test"))
  end))

  it("can be one of names, which then answers both ways", async(function()
    local mine = { cancelled = 0 }
    function mine:resolveHostName(told, name, port, types, semantics)
      self.types = types
      local resolution = { name = name, cancel = function() self.cancelled = self.cancelled + 1 end }
      told:resolutionBegan(resolution)
      if name == "never.test" then return resolution end
      if name == "mine.test" then
        told:addressResolved(address.IPv4Address(semantics, "192.0.2.88", port))
        told:addressResolved(address.IPv4Address(semantics, "192.0.2.89", port))
      end
      told:resolutionComplete()
      return resolution
    end
    local previous = reactor:installNameResolver(mine)
    assert.equal(mine, reactor.nameResolver)
    assert.equal("192.0.2.88", await(reactor:resolve "mine.test"))
    assert.same({ address.IPv4Address }, mine.types)
    assert.same({ "192.0.2.88", "192.0.2.89" }, await(reactor:resolveAll "mine.test"))
    assert.equal("DNS lookup failed: 'none.test': it has no addresses.", failure(reactor:resolve "none.test").message)
    for _, way in ipairs { "resolve", "resolveAll" } do
      local lookup = reactor[way](reactor, "never.test")
      lookup:addErrback(function() end)
      lookup:cancel()
    end
    assert.equal(2, mine.cancelled)
    assert.equal(mine, reactor:installNameResolver(previous))
    assert.equal("192.0.2.1", await(reactor:resolve "both.test"))
  end))

  -- ---- connectTCP by name --------------------------------------------------------------------------

  local function attempt(host, given)
    local factory = ends.factory(ends.Recorder)
    local connector = reactor:connectTCP(host, 9, factory, given)
    await(factory:whenNoted "failed")
    return factory.failed, connector
  end

  it("are asked by connectTCP, within its time-out", async(function()
    local reason = attempt("nx.test")
    ends.isExactly(reason, "DNSLookupError")
    assert.matches("there is no such name", reason.value.message)
    ends.isExactly(attempt("silent.test", { timeout = 0.05 }), "TimeoutError")
    server.questions()
  end))

  it("are left alone when the attempt ends", async(function()
    local factory = ends.factory(ends.Recorder)
    local connector = reactor:connectTCP("silent.test", 9, factory)
    ends.turns(2)
    connector:stopConnecting()
    await(factory:whenNoted "failed")
    ends.isExactly(factory.failed, "UserError")
    assert.equal(0, #require("twistlua.core").resolver.live())
  end))
end)
