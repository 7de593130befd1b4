-- SPDX-License-Identifier: MIT
-- guard_spec.lua -- who is let in: Basic and Digest, by hand and by curl.
local async   = require("twistlua.test").async
local checkers = require "twistlua.cred.checkers"
local guard   = require "twistlua.web.guard"
local portal  = require "twistlua.cred.portal"
local raw     = require "system.web.raw"
local resource = require "twistlua.web.resource"

-- Everybody's own page, which also says what path is left, and notes the logouts.
local loggedOut
local Realm = {}
function Realm.requestAvatar(_, avatarId, _, interface)
  local Page = resource.Resource:extend("Page")
  Page.isLeaf = true
  function Page.render_GET(_, request)
    return ("%s %s"):format(tostring(avatarId), table.concat(request.postpath, "/"))
  end
  return { interface = interface, avatar = Page(), logout = function() loggedOut = loggedOut + 1 end }
end

local function guarded(factories, given)
  local users = checkers.InMemoryUsernamePasswordDatabaseDontUse { alice = "secret", ["bob smith"] = "pass:word" }
  return guard.HTTPAuthSessionWrapper(portal.Portal(Realm, { users, table.unpack(given or {}) }), factories)
end

local function curl(port, arguments)
  return raw.shell(("curl -sS --max-time 20 -w '|%%{http_code}' %s"):format(arguments):gsub("PORT", port))
end

before_each(function() loggedOut = 0 end)

describe("Basic authentication", function()
  local function wrapped() return guarded { guard.BasicCredentialFactory "the realm" } end

  it("asks who is there", async(function()
    raw.serving(wrapped(), function(port)
      local answer = raw.ask(port, "/a/b")
      assert.equal(401, answer.status)
      assert.equal('Basic realm="the realm", charset="UTF-8"', answer.headers["www-authenticate"])
    end)
  end))

  it("lets in who has the password, with the whole path, and out again", async(function()
    raw.serving(wrapped(), function(port)
      assert.equal("alice a/b|200", curl(port, "-u alice:secret http://127.0.0.1:PORT/a/b"))
      assert.equal("bob smith |200", curl(port, "-u 'bob smith:pass:word' http://127.0.0.1:PORT/"))
      assert.equal(2, loggedOut)
    end)
  end))

  it("refuses everybody else", async(function()
    raw.serving(wrapped(), function(port)
      for _, header in ipairs {
        "Basic YWxpY2U6d3Jvbmc=", "Basic bm9ib2R5OnNlY3JldA==", "Basic !!!!", "Basic", "Basic YWxpY2U=", "Bearer x",
        "basic", "", "Digest username=alice", "Basic YWxpY2U6c2VjcmV0 YWxpY2U6c2VjcmV0",
      } do
        assert.equal(401, raw.ask(port, "/", { Authorization = header }).status, header)
      end
      assert.equal(200, raw.ask(port, "/", { Authorization = "bAsIc YWxpY2U6c2VjcmV0" }).status)
    end)
  end))

  it("lets in those without a name where a checker does", async(function()
    local open = guarded({ guard.BasicCredentialFactory "r" }, { checkers.AllowAnonymousAccess() })
    raw.serving(open, function(port)
      assert.equal("ANONYMOUS x", raw.ask(port, "/x").body)
      assert.equal(401, raw.ask(port, "/", { Authorization = "Basic YWxpY2U6d3Jvbmc=" }).status)
    end)
  end))

  it("answers 500 where a checker fails", async(function()
    local broken = { credentialInterfaces = { "IUsernamePassword" },
                     requestAvatarId = function() error("no database", 0) end }
    local wrapper = guard.HTTPAuthSessionWrapper(portal.Portal(Realm, { broken }), { guard.BasicCredentialFactory "r" })
    raw.serving(wrapper, function(port)
      assert.equal(500, raw.ask(port, "/", { Authorization = "Basic YWxpY2U6c2VjcmV0" }).status)
    end)
    assert.is_true(#require("twistlua.test.async").flushLoggedErrors() >= 1)
  end))
end)

for _, algorithm in ipairs { "MD5", "SHA-256" } do
  describe("Digest authentication by " .. algorithm, function()
    local factory
    local function wrapped()
      factory = guard.DigestCredentialFactory(algorithm, "the realm")
      return guarded { factory }
    end

    it("challenges", async(function()
      raw.serving(wrapped(), function(port)
        local first = raw.ask(port, "/").headers["www-authenticate"]
        local fields = {}
        for name, value in first:gmatch('(%w+)="?([^",]*)"?') do fields[name] = value end
        assert.same({ "the realm", "auth", algorithm }, { fields.realm, fields.qop, fields.algorithm })
        assert.is_nil(fields.stale)
        assert.are_not.equal(first, raw.ask(port, "/").headers["www-authenticate"])
      end)
    end))

    it("lets curl in with the password, and not without", async(function()
      raw.serving(wrapped(), function(port)
        assert.equal("alice a/b|200", curl(port, "--digest -u alice:secret 'http://127.0.0.1:PORT/a/b?q=1'"))
        assert.equal("bob smith |200", curl(port, "--digest -u 'bob smith:pass:word' http://127.0.0.1:PORT/"))
        assert.equal("Unauthorized|401", curl(port, "--digest -u alice:wrong http://127.0.0.1:PORT/"))
        assert.equal("Unauthorized|401", curl(port, "--digest -u nobody:secret http://127.0.0.1:PORT/"))
      end)
    end))

    it("is taken once", async(function()
      raw.serving(wrapped(), function(port)
        local header
        local Site = require("twistlua.web.server").Site
        local original = Site.getResourceFor
        function Site:getResourceFor(asked)
          header = asked:getHeader("authorization") or header
          return original(self, asked)
        end
        local shown = curl(port, "--digest -u alice:secret http://127.0.0.1:PORT/")
        Site.getResourceFor = original
        assert.equal("alice |200", shown)
        local again = raw.ask(port, "/", { Authorization = header })
        assert.equal(401, again.status)
        assert.truthy(again.headers["www-authenticate"]:find("stale=true", 1, true))
      end)
    end))

    it("says so where only the time was up", async(function()
      raw.serving(wrapped(), function(port)
        -- The first challenge is of long ago; curl answers the second because it is marked as stale.
        local calls = 0
        factory._now = function()
          calls = calls + 1
          return calls == 1 and 1000000 or 1000000 + 16 * 60
        end
        assert.equal("alice |200", curl(port, "--digest -u alice:secret http://127.0.0.1:PORT/"))
        assert.is_true(calls > 2)
      end)
    end))
  end)
end

describe("A Digest answer", function()
  local digest = require "twistlua.web.guard.digest"
  local factory = digest.DigestCredentialFactory("md5", "r")
  local ip = "10.0.0.1"
  local request = { method = "GET", uri = "/x", getClientIP = function() return ip end }

  local function answer(changed)
    local challenge = factory:getChallenge(request)
    local fields = { username = "u", realm = "r", nonce = challenge.nonce, opaque = challenge.opaque, uri = "/x",
                     qop = "auth", nc = "00000001", cnonce = "c", algorithm = "MD5", response = "0" }
    for name, value in pairs(changed or {}) do fields[name] = value or nil end
    local parts = {}
    for name, value in pairs(fields) do parts[#parts + 1] = ('%s="%s"'):format(name, value) end
    return table.concat(parts, ", ")
  end

  local function refusal(text)
    local ok, problem = pcall(factory.decode, factory, text, request)
    return ok and "taken" or problem.message
  end

  it("is looked at closely", function()
    assert.equal("taken", refusal(answer()))
    for name, changed in pairs {
      username = { username = false }, ["another URI"] = { uri = "/y" }, ["another realm"] = { realm = "s" },
      nonce = { nonce = "0" }, ["opaque value is not ours"] = { opaque = "abc-def" },
      algorithm = { algorithm = "SHA-256" }, protection = { qop = "auth-int" }, response = { response = false },
      ["no opaque"] = { opaque = false }, ["quality of"] = { nc = false },
    } do
      local message = refusal(answer(changed))
      assert.truthy(message:find(name, 1, true), name .. ": " .. message)
    end
    for _, text in ipairs { "", "x", "username", 'username="u', 'username="u" username="v"', 'a="b"; c="d"' } do
      assert.truthy(refusal(text):find("Invalid response"), text)
    end
  end)

  it("is of use to the client that was asked only", function()
    local text = answer()
    ip = "10.0.0.2"
    assert.truthy(refusal(text):find("client", 1, true))
    ip = "10.0.0.1"
  end)

  it("counts once for each number that the client gave it", function()
    local text
    local function try(count)
      local shown = factory:decode(text:gsub('nc="%x+"', ('nc="%08x"'):format(count)), request)
      shown.fields.response = shown:_h(shown:_h("u", "r", "p"), shown.fields.nonce, shown.fields.nc, "c", "auth",
        shown:_h("GET", "/x"))
      return shown:checkPassword "p"
    end
    local function staleness(count)
      local ok, problem = pcall(try, count)
      return not ok and problem.stale
    end
    text = answer()
    for _, count in ipairs { 1, 2, 5, 4, 70, 7 } do assert.is_true(try(count), count) end
    for _, count in ipairs { 1, 5, 4, 70, 7, 6, 0 } do assert.is_true(staleness(count), count) end
    assert.is_true(try(8))
    assert.is_true(try(0xffffffff))
    assert.is_true(staleness(9))
    text = answer()
    assert.is_true(try(1))   -- with another nonce
    assert.truthy(refusal(answer { nc = "1" }):find("malformed nonce count", 1, true))
    assert.truthy(refusal(answer { nc = "0000000g" }):find("malformed nonce count", 1, true))
  end)

  it("is not counted before it is right, and once where two are checked at a time", function()
    local text = answer()
    local first, second = factory:decode(text, request), factory:decode(text, request)
    assert.is_false(first:checkPassword "p")
    for _, shown in ipairs { first, second } do
      shown.fields.response = shown:_h(shown:_h("u", "r", "p"), shown.fields.nonce, "00000001", "c", "auth",
        shown:_h("GET", "/x"))
    end
    assert.is_true(first:checkPassword "p")
    assert.is_true(first:checkPassword "p")    -- of the next checker
    assert.is_false(second:checkPassword "p")
    assert.is_false(second:checkPassword "p")
  end)

  it("is forgotten when its nonce cannot be used any more", function()
    local now = 1000000
    local factory = digest.DigestCredentialFactory("md5", "r")   -- luacheck: ignore 431
    factory._now = function() return now end
    local function count()
      local found = 0
      for _, counts in ipairs { factory._counts, factory._older } do
        for _ in pairs(counts) do found = found + 1 end
      end
      return found
    end
    factory:_use("a", 1)
    now = now + 899
    assert.is_true(factory:_isUsed("a", 1))
    now = now + 2
    assert.is_true(factory:_isUsed("a", 1))
    factory:_use("b", 1)
    now = now + 901
    assert.is_true(factory:_isUsed("b", 1))
    assert.equal(1, count())
    now = now + 5000
    assert.is_false(factory:_isUsed("b", 1))
    assert.equal(0, count())
  end)

  it("is right by RFC 2617, 3.5, and by RFC 7616, 3.9.1", function()
    local fields = { nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093", uri = "/dir/index.html", qop = "auth",
                     nc = "00000001", cnonce = "0a4f113b", response = "6629fae49393a05397450978507c4ef1" }
    local shown = digest.DigestedCredentials("Mufasa", "GET", "testrealm@host.com", fields)
    assert.is_true(shown:checkPassword("Circle Of Life"))
    assert.is_false(shown:checkPassword("Circle of Life"))
    fields = { nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", uri = "/dir/index.html", qop = "auth",
               nc = "00000001", cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", algorithm = "SHA-256",
               response = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1" }
    assert.is_true(digest.DigestedCredentials("Mufasa", "GET", "http-auth@example.org", fields)
      :checkPassword("Circle of Life"))
  end)
end)

describe("A file of passwords", function()
  local path = os.tmpname()
  local function write(text)
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
  end
  teardown(function() os.remove(path) end)
  local UsernamePassword = require("twistlua.cred.credentials").UsernamePassword
  local function try(checker, name, password)
    local ok, result = pcall(checker.requestAvatarId, checker, UsernamePassword(name, password))
    return ok and result or result.__name
  end

  it("is read anew for each login", function()
    write("alice:one\nbob:two:more\n")
    local checker = checkers.FilePasswordDB(path)
    assert.equal("alice", try(checker, "alice", "one"))
    assert.equal("bob", try(checker, "bob", "two"))
    assert.equal("UnauthorizedLogin", try(checker, "bob", "one"))
    assert.equal("UnauthorizedLogin", try(checker, "carol", "one"))
    write("alice:changed\n")
    assert.equal("UnauthorizedLogin", try(checker, "alice", "one"))
    assert.equal("alice", try(checker, "alice", "changed"))
  end)

  it("may have other fields, and hashes", function()
    write("1|rev|alice\n")
    local checker = checkers.FilePasswordDB(path, { delim = "|", usernameField = 3, passwordField = 2,
      hash = function(_, password) return password:reverse() end })
    assert.equal("alice", try(checker, "alice", "ver"))
    assert.equal("UnauthorizedLogin", try(checker, "alice", "rev"))
  end)

  it("may be one of htdigest's, for Basic and Digest", async(function()
    -- printf 'alice:the realm:secret' | md5sum
    write("alice:other:00000000000000000000000000000000\nalice:the realm:" ..
      raw.shell("printf 'alice:the realm:secret' | md5sum | cut -c1-32") .. "\n")
    local checker = checkers.HtdigestDB(path, "the realm")
    assert.equal("alice", try(checker, "alice", "secret"))
    assert.equal("UnauthorizedLogin", try(checker, "alice", "wrong"))
    assert.equal("UnauthorizedLogin", try(checker, "bob", "secret"))
    local wrapper = guard.HTTPAuthSessionWrapper(portal.Portal(Realm, { checker }),
      { guard.DigestCredentialFactory("md5", "the realm"), guard.BasicCredentialFactory "the realm" })
    raw.serving(wrapper, function(port)
      assert.equal("alice |200", curl(port, "--digest -u alice:secret http://127.0.0.1:PORT/"))
      assert.equal("alice |200", curl(port, "--basic -u alice:secret http://127.0.0.1:PORT/"))
      assert.equal("Unauthorized|401", curl(port, "--digest -u alice:wrong http://127.0.0.1:PORT/"))
    end)
  end))
end)
