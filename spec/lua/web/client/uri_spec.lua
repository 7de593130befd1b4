-- SPDX-License-Identifier: MIT
local URI = require("twistlua.web.client").URI

local function parts(text)
  local uri = assert(URI.parse(text))
  return { uri.scheme, uri.host, uri.port, uri.netloc, uri.originForm }
end

describe("URI", function()
  it("has the parts that a request needs", function()
    assert.same({ "http", "example.org", 80, "example.org", "/" }, parts "http://example.org")
    assert.same({ "http", "example.org", 80, "example.org", "/?q" }, parts "HTTP://Example.ORG:80?q#f")
    assert.same({ "https", "example.org", 8443, "example.org:8443", "/a?c=d" }, parts "https://example.org:8443/a?c=d")
    assert.same({ "http", "::1", 81, "[::1]:81", "/" }, parts "http://[::1]:81/")
    assert.same({ "https", "::1", 443, "[::1]", "/" }, parts "https://[::1]/")
    assert.equal("user:pw", URI.parse("http://user:pw@host/").userinfo)
    assert.equal("f", URI.parse("http://host/#f").fragment)
    assert.is_nil(URI.parse("http://host/").fragment)
  end)

  it("may be shared by those who do not change it", function()
    local shared = URI.shared "http://example.org/shared"
    assert.equal(shared, URI.shared "http://example.org/shared")
    assert.not_equal(shared, URI.parse "http://example.org/shared")
    for _ = 1, 2 do assert.same({ nil, nil, "ftp" }, { URI.shared "ftp://example.org/" }) end
    assert.equal("'x' has no scheme and host", select(2, URI.shared "x"))
  end)

  it("refuses what is none, or could be two things", function()
    for _, text in ipairs { "", "example.org", "/path", "http://", "http:///x", "http://a b/", "http://h:x/",
                            "http://h:0/", "http://h:65536/",
                            "http://h/a b", "http://h/\r\nX: y", "http://h\r\n/", "http://h/\0",
                            "http://[::1/", "http://h/\195\164" } do
      local uri, message = URI.parse(text)
      assert.is_nil(uri, text)
      assert.is_string(message)
    end
  end)

  -- RFC 3986 5.4
  it("resolves references", function()
    local base = URI.parse "http://a/b/c/d;p?q"
    for reference, target in pairs {
      ["g"] = "http://a/b/c/g", ["./g"] = "http://a/b/c/g", ["g/"] = "http://a/b/c/g/", ["/g"] = "http://a/g",
      ["//g"] = "http://g", ["?y"] = "http://a/b/c/d;p?y", ["g?y"] = "http://a/b/c/g?y",
      ["#s"] = "http://a/b/c/d;p?q#s",
      ["g#s"] = "http://a/b/c/g#s", [";x"] = "http://a/b/c/;x", [""] = "http://a/b/c/d;p?q", ["."] = "http://a/b/c/",
      ["./"] = "http://a/b/c/", [".."] = "http://a/b/", ["../"] = "http://a/b/", ["../g"] = "http://a/b/g",
      ["../.."] = "http://a/", ["../../g"] = "http://a/g", ["../../../g"] = "http://a/g", ["/./g"] = "http://a/g",
      ["/../g"] = "http://a/g", ["g."] = "http://a/b/c/g.", ["..g"] = "http://a/b/c/..g", ["./g/."] = "http://a/b/c/g/",
      ["g/../h"] = "http://a/b/c/h", ["https://x/y"] = "https://x/y",
    } do
      assert.equal(target, base:resolve(reference), reference)
    end
  end)

  it("hands its fragment on to where it leads", function()
    assert.equal("http://a/y#f", URI.parse("http://a/x#f"):resolve "/y")
    assert.equal("http://a/y#g", URI.parse("http://a/x#f"):resolve "/y#g")
  end)
end)
