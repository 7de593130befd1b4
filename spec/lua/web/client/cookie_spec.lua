-- SPDX-License-Identifier: MIT
-- cookie_spec.lua -- RFC 6265: who may set what, and who gets it.
local client = require "twistlua.web.client"
local peer   = require "lua.web.client.peer"
local URI    = client.URI

describe("CookieJar", function()
  local jar, now

  before_each(function()
    now = 1700000000
    jar = client.CookieJar { clock = function() return now end }
  end)

  local function set(uri, line) return jar:setCookie(URI.parse(uri), line) end
  local function header(uri) return jar:header(URI.parse(uri)) end

  it("sends to a host what it set", function()
    assert.is_true(set("http://example.org/", "a=1"))
    assert.is_true(set("http://example.org/", " b = x y ; HttpOnly; SameSite=Lax"))
    assert.equal("a=1; b=x y", header "http://example.org/any")
    assert.equal("a=1; b=x y", header "https://EXAMPLE.org:444/")
    assert.is_nil(header "http://www.example.org/")
    assert.is_nil(header "http://org/")
    assert.is_nil(header "http://notexample.org/")
  end)

  it("sends to a whole domain what was set for it", function()
    assert.is_true(set("http://www.example.org/", "a=1; Domain=.Example.org"))
    for _, host in ipairs { "example.org", "www.example.org", "x.y.example.org" } do
      assert.equal("a=1", header("http://" .. host .. "/"))
    end
    assert.is_nil(header "http://badexample.org/")
  end)

  it("refuses cookies for others, for registries and for parts of addresses", function()
    for domain, host in pairs { ["other.org"] = "www.example.org", ["org"] = "www.example.org",
                                ["co.uk"] = "www.example.co.uk", ["com.au"] = "example.com.au",
                                ["www.example.org"] = "example.org", ["0.0.1"] = "10.0.0.1" } do
      assert.is_false(set("http://" .. host .. "/", "a=1; Domain=" .. domain), domain)
    end
    assert.is_true(set("http://www.example.co.uk/", "a=1; Domain=example.co.uk"))
    assert.is_true(set("http://10.0.0.1/", "a=1; Domain=10.0.0.1"))
    assert.equal("a=1", header "http://10.0.0.1/")
    assert.is_true(set("http://localhost/", "a=1; Domain=localhost"))
    assert.equal("a=1", header "http://localhost/")
    assert.is_nil(header "http://x.localhost/")
  end)

  it("matches paths, the longest first", function()
    set("http://h/a/b/c", "deep=1")
    set("http://h/", "root=2")
    set("http://h/x", "a=3; Path=/a")
    set("http://h/x", "wrong=4; Path=a")
    assert.equal("deep=1; a=3; root=2; wrong=4", header "http://h/a/b/d")
    assert.equal("deep=1; a=3; root=2; wrong=4", header "http://h/a/b")
    assert.equal("a=3; root=2; wrong=4", header "http://h/a")
    assert.equal("root=2; wrong=4", header "http://h/ab")
  end)

  it("keeps secure ones to https", function()
    assert.is_false(set("http://h/", "a=1; Secure"))
    assert.is_true(set("https://h/", "a=1; Secure"))
    assert.is_nil(header "http://h/")
    assert.equal("a=1", header "https://h/")
    assert.is_false(set("http://h/", "a=2"))
    assert.equal("a=1", header "https://h/")
  end)

  it("asks of names with prefixes what these promise", function()
    assert.is_false(set("https://h.org/", "__Secure-a=1"))
    assert.is_true(set("https://h.org/", "__Secure-a=1; Secure"))
    assert.is_false(set("https://h.org/", "__Host-a=1; Secure; Path=/x"))
    assert.is_false(set("https://h.org/", "__Host-a=1; Secure; Path=/; Domain=h.org"))
    assert.is_true(set("https://h.org/", "__Host-a=1; Secure; Path=/"))
  end)

  it("forgets what has expired", function()
    set("http://h/", "a=1; Max-Age=10")
    set("http://h/", "b=2; Expires=Tue, 14 Nov 2023 22:13:30 GMT")
    set("http://h/", "c=3; Expires=Tue, 14 Nov 2023 22:13:30 GMT; Max-Age=100")
    set("http://h/", "d=4; Expires=nonsense; Max-Age=x")
    assert.equal("a=1; b=2; c=3; d=4", header "http://h/")
    now = now + 10
    assert.equal("c=3; d=4", header "http://h/")
    set("http://h/", "c=; Max-Age=0")
    set("http://h/", "d=; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
    assert.is_nil(header "http://h/")
  end)

  it("reads dates in the forms that are about", function()
    for _, date in ipairs { "Tue, 14-Nov-23 22:13:30 GMT", "Tue Nov 14 22:13:30 2023", "14 nov 2023 22:13:30",
                            "2023 Nov 14 22:13:30" } do
      jar:clear()
      set("http://h/", "a=1; Expires=" .. date)
      assert.equal(1700000010, jar:cookiesFor(URI.parse "http://h/")[1].expires, date)
    end
  end)

  it("replaces a cookie of the same name, domain and path, in its place", function()
    set("http://h/", "a=1")
    set("http://h/", "b=2")
    set("http://h/", "a=3")
    assert.equal("a=3; b=2", header "http://h/")
  end)

  it("ignores what is malformed or too large", function()
    for _, line in ipairs { "", "=1", "novalue", "; Path=/", "a=\1", "a=1\r\nb=2", "a=" .. ("x"):rep(4096) } do
      assert.is_false(set("http://h/", line), line)
    end
    assert.is_nil(header "http://h/")
    assert.is_true(set("http://h/", "empty="))
    assert.equal("empty=", header "http://h/")
  end)

  it("is bounded, for a domain and as a whole", function()
    for i = 1, 60 do set("http://h/", ("c%d=1"):format(i)) end
    assert.equal(50, #jar:cookiesFor(URI.parse "http://h/"))
    assert.equal("c11", jar:cookiesFor(URI.parse "http://h/")[1].name)
    for i = 1, 3100 do set(("http://h%d/"):format(i), "a=1") end
    assert.equal(3000, jar._count)
    assert.is_nil(header "http://h/")
    assert.equal("a=1", header "http://h3100/")
  end)
end)

describe("CookieAgent", function()
  it("keeps what responses set for the requests that follow", function()
    local plain, reactor = peer.agent { persistent = false }
    local jar = client.CookieJar()
    local agent = client.RedirectAgent(client.CookieAgent(plain, jar))
    local result = agent:request("GET", "http://10.0.0.1/login")
    local first = peer.accept(reactor, 1)
    assert.is_nil(first.sent():find "Cookie")
    first.answer("HTTP/1.1 302 X\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2; Path=/other\r\n"
      .. "Location: /home\r\nContent-Length: 0\r\n\r\n")
    local second = peer.accept(reactor, 2)
    assert.matches("\r\nCookie: a=1\r\n", second.sent())
    second.answer "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    peer.outcome(result)
    agent:request("GET", "http://10.0.0.2/"):addErrback(function() end)
    assert.is_nil(peer.accept(reactor, 3).sent():find "Cookie")
    agent:request("GET", "http://10.0.0.1/", { cookie = "own=3" }):addErrback(function() end)
    local sent = peer.accept(reactor, 4).sent()
    assert.matches("cookie: own=3", sent)
    assert.is_nil(sent:find "a=1")
  end)
end)
