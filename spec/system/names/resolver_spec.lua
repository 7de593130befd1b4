-- SPDX-License-Identifier: MIT
-- resolver_spec.lua -- look-ups that ask a name server: what it may answer, and what is asked of it.
local async   = require("twistlua.test").async
local child   = require "system.child"
local core    = require "twistlua.core"
local defer   = require "twistlua.defer"
local errors  = require "twistlua.error"
local fixture = require "system.names.fixture"
local reactor = require "twistlua.reactor"

local await, failure = defer.await, fixture.failure
local PATIENT = { timeout = 10 }   -- no try ends by itself
local SHORT = { timeout = { 0.05, 0.05 } }

describe("look-ups", function()
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

  local function resolve(name, given) return await(reactor:resolve(name, given or PATIENT)) end
  local function all(name, given) return await(reactor:resolveAll(name, given or PATIENT)) end

  -- ---- What servers answer ------------------------------------------------------------

  it("find an IPv4 address", async(function()
    assert.equal("192.0.2.1", resolve "both.test")
    assert.same({ "A both.test" }, server.questions())
  end))

  it("find all addresses, asking for both families at once", async(function()
    assert.same({ "2001:db8::1", "192.0.2.1" }, all "both.test")
    assert.same({ "A both.test", "AAAA both.test" }, server.questions())
    assert.same({ "192.0.2.1" }, all "a4.test")
    assert.same({ "2001:db8::1" }, all "a6.test")
  end))

  it("find the addresses of one family when told so", async(function()
    assert.same({ "2001:db8::1" }, all("both.test", { family = 6 }))
    assert.same({ "192.0.2.1" }, all("both.test", { family = 4 }))
    assert.same({ "A both.test", "AAAA both.test" }, server.questions())
  end))

  it("follow aliases", async(function()
    assert.same({ "2001:db8::1", "192.0.2.1" }, all "cname-1.test")
    assert.same({ "2001:db8::1", "192.0.2.1" }, all "cname-7.test")
  end))

  it("ask by TCP for what does not fit a datagram", async(function()
    local found = all("many-100.test", { family = 4 })
    assert.equal(100, #found)
    assert.equal("192.0.2.100", found[100])
    assert.same({ "A many-100.test", "A many-100.test tcp" }, server.questions())
  end))

  it("take 128 addresses of an answer at most", async(function()
    assert.equal(128, #all("many-600.test", { family = 6 }))
  end))

  it("ignore answers with a wrong id, and from a wrong place", async(function()
    assert.equal("192.0.2.1", resolve "wrongid.test")
    assert.equal("ETIMEDOUT", failure(reactor:resolve("liar.test", SHORT)).code)
  end))

  it("ignore what is no answer, or one to another question", async(function()
    assert.equal("192.0.2.1", resolve "garbage.test")
    assert.equal("192.0.2.1", resolve "otherquestion.test")
    assert.equal("ETIMEDOUT", failure(reactor:resolve("junk.test", SHORT)).code)
  end))

  it("say that there is no such name, or that it has no addresses", async(function()
    local problem = failure(reactor:resolve("nx.test", PATIENT))
    assert.equal("DNS lookup failed: 'nx.test': there is no such name.", problem.message)
    assert.equal("ENXDOMAIN", problem.code)
    assert.equal("nx.test", problem.hostname)
    problem = failure(reactor:resolve("nodata.test", PATIENT))
    assert.equal("DNS lookup failed: 'nodata.test': it has no addresses.", problem.message)
    assert.equal("ENOADDRESS", problem.code)
    assert.equal("ENOADDRESS", failure(reactor:resolve("a6.test", PATIENT)).code)
    assert.equal("ENXDOMAIN", failure(reactor:resolveAll("nx.test", PATIENT)).code)
    assert.is_true(problem:is(errors.IOError))
  end))

  it("say what the server said that would not answer", async(function()
    for name, code in pairs { servfail = "ESERVFAIL", refused = "EREFUSED", formerr = "EFORMERR",
                              notimp = "ENOTIMP" } do
      assert.equal(code, failure(reactor:resolve(name .. ".test", PATIENT)).code)
    end
    local problem = failure(reactor:resolve("refused.test", PATIENT))
    assert.equal("DNS lookup failed: 'refused.test': the name server refused to answer.", problem.message)
  end))

  it("say that no server could be reached", async(function()
    fixture.configure { "127.0.0.1:9" }
    local problem = failure(reactor:resolve("both.test", SHORT))
    assert.equal("DNS lookup failed: 'both.test': no name server could be reached.", problem.message)
  end))

  -- ---- Tries and servers --------------------------------------------------------------------

  it("ask once for each time-out, and then fail", async(function()
    local problem = failure(reactor:resolve("silent.test", { timeout = { 0.02, 0.03, 0.04 } }))
    assert.equal("DNS lookup failed: 'silent.test': no name server answered in time.", problem.message)
    resolve "last.zone.test"   -- the server has seen all that came before
    assert.same({ "A last.zone.test", "A silent.test", "A silent.test", "A silent.test" }, server.questions())
  end))

  it("take an answer to a later try", async(function()
    assert.equal("192.0.2.1", resolve("lost-2.test", { timeout = { 0.02, 0.02, 10 } }))
    assert.equal(3, #server.questions())
  end))

  it("have tries of 1, 3, 11 and 45 seconds, unless told otherwise", function()
    local names = require "twistlua.reactor.names"
    assert.same({ 1, 3, 11, 45 }, names.timeouts("resolve", nil, 1))
    local asked
    local previous = reactor:installResolver { getHostByName = function(_, _, timeouts)
      asked = timeouts
      return defer.succeed("192.0.2.3")
    end }
    reactor:resolve("some.test")
    reactor:installResolver(previous)
    assert.same({ 1, 3, 11, 45 }, asked)
  end)

  it("ask the next server when one is silent, cannot be reached or will not answer", async(function()
    local other = fixture.server()
    fixture.configure { "127.0.0.1:9", server.place, other.place }
    assert.equal("192.0.2.1", resolve("both.test", { timeout = { 0.5, 10 } }))
    assert.equal("ESERVFAIL", failure(reactor:resolve("servfail.test", { timeout = { 0.5, 10 } })).code)
    failure(reactor:resolve("silent.test", { timeout = 0.5 }))
    assert.same({ "A servfail.test", "A silent.test" }, other.questions())
    assert.same({ "A both.test", "A servfail.test", "A silent.test" }, server.questions())
    other.stop()
  end))

  -- ---- Sharing and cancelling ------------------------------------------------------------------

  it("share a question, whose letters' case does not matter", async(function()
    local lookups = {}
    for i, name in ipairs { "slow-50.test", "SLOW-50.test", "slow-50.Test" } do
      lookups[i] = reactor:resolve(name, PATIENT)
    end
    for _, lookup in ipairs(lookups) do assert.equal("192.0.2.1", await(lookup)) end
    assert.same({ "A slow-50.test" }, server.questions())
  end))

  it("do not share one with other time-outs", async(function()
    local hurried = reactor:resolve("slow-80.test", { timeout = 0.01 })
    local patient = reactor:resolve("slow-80.test", PATIENT)
    assert.equal("ETIMEDOUT", failure(hurried).code)
    assert.equal("192.0.2.1", await(patient))
  end))

  it("go on for the others when one is cancelled", async(function()
    local one, other = reactor:resolve("slow-50.test", PATIENT), reactor:resolve("slow-50.test", PATIENT)
    one:cancel()
    local cancelled
    one:addErrback(function(reason) cancelled = reason:check(defer.CancelledError) end)
    assert.is_truthy(cancelled)
    assert.equal("192.0.2.1", await(other))
    assert.equal(1, #server.questions())
  end))

  it("leave nothing behind when the last is cancelled", async(function()
    local lookup = reactor:resolve("silent.test", PATIENT)
    assert.equal(1, #core.resolver.live())
    assert.is_true(reactor:isBusy())
    lookup:cancel()
    lookup:addErrback(function() end)
    assert.equal(0, #core.resolver.live())
    local both = reactor:resolveAll("silent.test", PATIENT)
    assert.equal(2, #core.resolver.live())
    both:cancel()
    both:addErrback(function() end)
    assert.equal(0, #core.resolver.live())
  end))

  it("are named as leftovers of a test", function()
    local lookup
    local careless = async(function()
      lookup = reactor:resolve("silent.test", PATIENT)
      lookup:addErrback(function() end)
    end)
    assert.error_matches(careless, "left open:\n  twistlua.lookup")
    assert.equal(0, #core.resolver.live())
  end)

  it("never answer inside the call that asks", async(function()
    for _, name in ipairs { "localhost", "nx.invalid", "a b", "both.test", "both.test" } do
      local fired = false
      local lookup = reactor:resolve(name, PATIENT)
      lookup:addBoth(function() fired = true end)
      assert.is_false(fired)
      await(lookup)
    end
  end))

  -- ---- Memory --------------------------------------------------------------------------------

  it("remember an answer as long as it is valid", async(function()
    for _ = 1, 3 do resolve "both.test" end
    assert.same({ "A both.test" }, server.questions())
    for _ = 1, 3 do resolve "ttl-0.test" end
    assert.same({ "A ttl-0.test", "A ttl-0.test", "A ttl-0.test" }, server.questions())
  end))

  it("forget an answer when its time has passed", async(function()
    fixture.configure({ server.place }, { ttlMax = 0.5 })
    resolve "both.test"
    resolve "both.test"
    assert.equal(1, #server.questions())
    await(require("twistlua.task").deferLater(reactor, 0.55, function() end))
    resolve "both.test"
    assert.equal(1, #server.questions())
  end))

  it("keep the bounds that they are given", async(function()
    fixture.configure({ server.place }, { ttlMin = 60 })
    resolve "ttl-0.test"
    resolve "ttl-0.test"
    assert.equal(1, #server.questions())
    fixture.configure({ server.place }, { ttlMax = 0 })
    resolve "both.test"
    resolve "both.test"
    assert.equal(2, #server.questions())
    fixture.configure({ server.place }, { cacheSize = 0 })
    resolve "both.test"
    resolve "both.test"
    assert.equal(2, #server.questions())
  end))

  it("remember that there is nothing, for as long as the SOA record says", async(function()
    for _, name in ipairs { "nx-60.test", "nodata-60.test", "nx.test" } do
      failure(reactor:resolve(name, PATIENT))
      failure(reactor:resolve(name, PATIENT))
      assert.same({ "A " .. name }, server.questions())
    end
    for _, name in ipairs { "nx-0.test", "nodata-0.test" } do
      failure(reactor:resolve(name, PATIENT))
      failure(reactor:resolve(name, PATIENT))
      assert.same({ "A " .. name, "A " .. name }, server.questions())
    end
    fixture.configure({ server.place }, { negativeTTLMax = 0 })
    failure(reactor:resolve("nx-60.test", PATIENT))
    failure(reactor:resolve("nx-60.test", PATIENT))
    assert.equal(2, #server.questions())
  end))

  it("do not remember that a server failed", async(function()
    failure(reactor:resolve("servfail.test", PATIENT))
    failure(reactor:resolve("servfail.test", PATIENT))
    assert.equal(2, #server.questions())
  end))

  it("remember a number of names at most, those used last", async(function()
    fixture.configure({ server.place }, { cacheSize = 2 })
    for _, name in ipairs { "x.zone.test", "y.zone.test", "x.zone.test", "z.zone.test", "x.zone.test" } do
      resolve(name)
    end
    assert.same({ "A x.zone.test", "A y.zone.test", "A z.zone.test" }, server.questions())
    resolve "y.zone.test"
    assert.same({ "A y.zone.test" }, server.questions())
  end))

  -- ---- Files -----------------------------------------------------------------------------------

  local function file(content)
    local path = child.file(content)
    finally(function() os.remove(path) end)
    return path
  end

  it("look into the hosts file first", async(function()
    local path = file "192.0.2.50 both.test\n2001:db8::50 six.test\n"
    fixture.configure({ server.place }, { hosts = path })
    assert.equal("192.0.2.50", resolve "both.test")
    assert.same({ "192.0.2.50" }, all "both.test")
    assert.same({ "2001:db8::50" }, all "six.test")
    assert.same({}, server.questions())
    io.open(path, "w"):close()
    assert.equal("192.0.2.1", resolve "both.test")
  end))

  it("go through the search list of resolv.conf", async(function()
    local path = file "search nowhere.example zone.test\noptions ndots:2\n"
    fixture.configure({ server.place }, { resolvConf = path })
    assert.equal("192.0.2.1", resolve "box")
    assert.same({ "A box.nowhere.example", "A box.zone.test" }, server.questions())
    assert.equal("192.0.2.1", resolve "both.test")
    assert.same({ "A both.test.nowhere.example", "A both.test.zone.test" }, server.questions())
    assert.equal("192.0.2.1", resolve "a.zone.test")
    assert.same({ "A a.zone.test" }, server.questions())
    failure(reactor:resolve("box.", PATIENT))
    assert.same({ "A box" }, server.questions())
  end))

  it("notice another resolv.conf", async(function()
    local path = file "search one.zone.test\n"
    fixture.configure({ server.place }, { resolvConf = path })
    resolve "box"
    local changed = assert(io.open(path, "w"))
    changed:write("search two-other.zone.test\n")
    changed:close()
    resolve "box"
    assert.same({ "A box.one.zone.test" }, server.questions())   -- looked at once a second
    await(require("twistlua.task").deferLater(reactor, 1.05, function() end))
    resolve "box"
    assert.same({ "A box.two-other.zone.test" }, server.questions())
  end))

  -- ---- Names that are not asked for ----------------------------------------------------------------

  it("answer literals with themselves", async(function()
    assert.equal("192.0.2.9", resolve "192.0.2.9")
    assert.equal("2001:db8::9", resolve "2001:db8::9")
    assert.equal("0.0.0.0", resolve "")
    assert.same({ "2001:db8::9" }, all "2001:db8::9")
    assert.same({}, server.questions())
  end))

  it("know localhost without a server", async(function()
    fixture.configure { "127.0.0.1:9" }
    assert.equal("127.0.0.1", resolve "localhost")
    assert.equal("127.0.0.1", resolve "some.localhost.")
    assert.same({ "::1", "127.0.0.1" }, all "localhost")
  end))

  it("fail with a clear word for names that nobody has", async(function()
    local long = ("x"):rep(64)
    for name, reason in pairs {
      ["b\xC3\xBCcher.test"] = "it is not ASCII, and only names in their ASCII form (xn--...) can be looked up",
      ["a b.test"]           = "it has a space or a control character in it",
      ["a\0b"]               = "it has a space or a control character in it",
      ["a..test"]            = "it has an empty label: two dots in a row, or one at the beginning",
      [".test"]              = "it has an empty label: two dots in a row, or one at the beginning",
      ["."]                  = "it is empty",
      [long .. ".test"]      = "its label '" .. long .. "' has 64 bytes, and 63 is the limit",
      [("ab."):rep(85)]      = "it has 254 bytes, and 253 is the limit",
      ["nobody.invalid"]     = "there is no such name",
      ["hidden.onion"]       = "there is no such name",
    } do
      local expected = ("DNS lookup failed: '%s': %s."):format(name, reason)
      assert.equal(expected, failure(reactor:resolve(name, PATIENT)).message)
      assert.equal(expected, failure(reactor:resolveAll(name, PATIENT)).message)
    end
    assert.same({}, server.questions())
  end))

  -- On the caller's line.
  local function raises(f, message)
    local ok, problem = pcall(f)
    assert.is_false(ok)
    assert.matches("resolver_spec%.lua:%d+: " .. message, problem)
  end

  it("raise for arguments that are none", function()
    for _, bad in ipairs { {}, { 0 }, { -1 }, { 1, "x" }, "x", 0, { 1, 2, 3, 4, 5, 6, 7, 8, 9 }, { 1 / 0 } } do
      raises(function() reactor:resolve("both.test", { timeout = bad }) end, "resolve: timeout must be")
      raises(function() reactor:resolveAll("both.test", { timeout = bad }) end, "resolveAll: timeout must be")
    end
    raises(function() reactor:resolve(7) end, "resolve: name must be a string")
    raises(function() reactor:resolveAll({}) end, "resolveAll: name must be")
    raises(function() reactor:resolveAll("x", { family = 5 }) end, "resolveAll: family must be 4 or 6, got 5")
    raises(function() reactor:resolve("x", { timeouts = 5 }) end, "resolve: unknown option 'timeouts'")
    for _, bad in ipairs { { servers = { "nonsense" } }, { servers = {} }, { servers = { 5 } }, { ttlMin = -1 },
                           { ttlMin = 5, ttlMax = 4 }, { negativeTTLMax = -1 }, { cacheSize = -1 } } do
      raises(function() reactor:configureResolver(bad) end, "configureResolver: ")
    end
  end)
end)
