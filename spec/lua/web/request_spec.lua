-- SPDX-License-Identifier: MIT
-- request_spec.lua -- what a handler learns of a request, and what it can say in the response.
local Served = require "lua.web.served"
local async  = require "twistlua.test".async
local date   = require "twistlua.web.date"
local server = require "twistlua.web.server"

describe("Request", function()
  local served, request

  -- Send it to a handler that does `f(request)`; the status, body and head of what is answered.
  local function ask(bytes, f, given)
    served = Served(function(asked)
      request = asked
      return f and f(asked) or ""
    end, given)
    local status, body, head = Served.parse(served:send(bytes))
    return status, body, head
  end

  local function get(target, fields, f)
    return ask(("GET %s HTTP/1.1\r\nHost: example.com:8080\r\n%s\r\n"):format(target, fields or ""), f)
  end

  local function post(kind, body, f, given)
    return ask(("POST /?q=1 HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s")
      :format(kind, #body, body), f, given)
  end

  local function does(name, body)
    it(name, async(function()
      body()
      if served then served:lose() end
    end))
  end

  does("is an object of its class, to which a handler may add", function()
    local isA = require("twistlua.class").isA
    get("/", nil, function(asked) asked.user = "u" return asked.user end)
    assert.is_true(isA(request, server.Request))
    assert.is_true(request:is(require("twistlua.web.http").Request))
    assert.is_false(isA(request, require("twistlua.web.resource").Resource))
    assert.is_false(isA(io.stdout, server.Request))
    assert.equal("u", request.user)
  end)

  does("tells the request line", function()
    get("/a%20b/c?d=e%26f&d=g+h&i")
    assert.same({ "GET", "/a%20b/c?d=e%26f&d=g+h&i", "/a%20b/c", "HTTP/1.1" },
                { request.method, request.uri, request.path, request.clientproto })
    assert.same({ "a b", "c" }, request.postpath)
    assert.same({}, request.prepath)
    assert.same({ d = { "e&f", "g h" }, i = { "" } }, request.args)
    get("http://other/x/?y")
    assert.same({ "/x/", { "x", "" }, "other" }, { request.path, request.postpath, request:getRequestHostname() })
    ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.equal("*", request.path)
  end)

  does("tells headers, the last of several", function()
    get("/", "X-A: 1\r\nx-a: 2\r\nX-B: 3\r\n")
    assert.equal("2", request:getHeader("X-a"))
    assert.same({ "1", "2" }, request:getHeaders("x-A"))
    assert.is_nil(request:getHeader("x-c"))
    assert.same({}, request:getHeaders("x-c"))
    assert.same({ "1", "2" }, request.requestHeaders:getRawHeaders("x-a"))
    assert.same({ host = "example.com:8080", ["x-a"] = "2", ["x-b"] = "3" }, request:getAllHeaders())
  end)

  does("tells cookies", function()
    get("/", "Cookie: a=b; c = d e;f=\r\nCookie: a=z\r\n")
    assert.same({ "b", "d e", "" }, { request:getCookie("a"), request:getCookie("c"), request:getCookie("f") })
    assert.is_nil(request:getCookie("x"))
    assert.same({ a = "b", c = "d e", f = "" }, request.receivedCookies)
  end)

  does("tells the name and password of Basic authentication", function()
    get("/", "Authorization: Basic QWxhZGRpbjpvcGVuOnNlc2FtZQ==\r\n")
    assert.same({ "Aladdin", "open:sesame" }, { request:getUser(), request:getPassword() })
    for _, bad in ipairs { "Basic", "Basic !!!", "Bearer QWxhZGRpbjpvcGVu", "Basic QWxh" } do
      get("/", "Authorization: " .. bad .. "\r\n")
      assert.same({ "", "" }, { request:getUser(), request:getPassword() })
    end
  end)

  does("tells places", function()
    get("/a/b?c", nil, function(asked)
      asked.prepath[1] = table.remove(asked.postpath, 1)
    end)
    assert.equal("example.com", request:getRequestHostname())
    assert.equal("http://example.com:8080/a", request:prePathURL())
    assert.equal("http://example.com:8080/a/b", request:URLPath())
    assert.equal("127.0.0.1", request:getClientIP())
    assert.equal(54321, request:getClientAddress().port)
    assert.equal(8000, request:getHost().port)
    assert.is_false(request:isSecure())
    request:setHost("www.example.org", 443, true)
    assert.is_true(request:isSecure())
    assert.equal("https://www.example.org/a", request:prePathURL())
    assert.equal("x%2Fy%20z", request:childLink("x/y z"))
  end)

  does("tells a form in the body, behind the query", function()
    local _, body = post("application/x-www-form-urlencoded; charset=utf-8", "a=1&q=2&a=%C3%A9", function(asked)
      assert.same({ q = { "1", "2" }, a = { "1", "é" } }, asked.args)
      return asked.content:read("a")
    end)
    assert.equal("a=1&q=2&a=%C3%A9", body)
  end)

  does("tells a multipart form", function()
    local parts = '--X\r\nContent-Disposition: form-data; name="a"\r\n\r\none\r\n--X\r\n' ..
      'Content-Disposition: form-data; name="f"; filename="x;y.txt"\r\nContent-Type: text/plain\r\n\r\n' ..
      '\r\n\r\n\r\n--X--\r\n'
    post('multipart/form-data; boundary="X"', parts, function(asked) return asked.args and "" end)
    assert.same({ q = { "1" }, a = { "one" }, f = { "\r\n\r\n" } }, request.args)
  end)

  does("answers 400 for malformed or too large forms", function()
    local function use(asked) return tostring(asked.args.a) end
    for _, case in ipairs {
      { "multipart/form-data", "--X--" },
      { "multipart/form-data; boundary=X", "no boundary" },
      { "multipart/form-data; boundary=X", "--X\r\nContent-Disposition: form-data; name=a\r\n\r\nx" },
      { "multipart/form-data; boundary=X", "--X\r\nContent-Type: a\r\n\r\nx\r\n--X--" },
      { "multipart/form-data; boundary=X", "--X\r\n\r\nx\r\n--X--" },
      { "application/x-www-form-urlencoded", ("a=1&"):rep(1001) },
    } do
      assert.equal(400, (post(case[1], case[2], use)), case[2])
      served:lose()
    end
  end)

  does("reads the body like a file, from memory or from a file", function()
    local body = "one\ntwo\n3 rest"
    for _, memory in ipairs { 1000, 4 } do
      local got
      post("text/plain", body, function(asked)
        local lines = {}
        for line in asked.content:lines() do lines[#lines + 1] = line end
        asked.content:seek("set")
        got = { lines, asked.content:read("L"), asked.content:read(3), asked.content:read("l", "n", "a") }
        assert.equal(#body, asked.content:seek("end"))
        assert.is_nil(asked.content:read("l"))
      end, { contentMemory = memory })
      assert.same({ { "one", "two", "3 rest" }, "one\n", "two", "", 3, " rest" }, got)
      served:lose()
    end
  end)

  does("lets no header begin another", function()
    local _, _, head = get("/", nil, function(asked)
      asked:setHeader("X-A", "a\r\nX-B: c")
      asked:redirect("/\r\n\r\n<script>")
      asked:addCookie("n", "v\r\nX-D: e; path=/x", { path = "/;x" })
      assert.has_error(function() asked:setHeader("X A", "b") end)
      assert.has_error(function() asked:addCookie("a=b", "c") end)
      assert.has_error(function() asked:addCookie("a", "c", { sameSite = "maybe" }) end)
      assert.has_error(function() asked:setResponseCode(99) end)
      assert.has_error(function() asked:setResponseCode(200, "OK\r\nX-E: f") end)
    end)
    assert.truthy(head:find("x-a: a x-b: c\r\n", 1, true))
    assert.truthy(head:find("location: / <script>\r\n", 1, true))
    assert.truthy(head:find("set-cookie: n=v x-d: e  path=/x; path=/ x\r\n", 1, true))
    assert.is_nil(head:find("\nx-[bde]:"))
  end)

  does("sets cookies with all that they can have", function()
    local _, _, head = get("/", nil, function(asked)
      asked:addCookie("a", "b", {
        expires = 784111777, domain = "example.com", path = "/", max_age = 5, secure = true, httpOnly = true,
        sameSite = "Strict",
      })
      asked:addCookie("c", "d")
    end)
    assert.truthy(head:find("set%-cookie: a=b; expires=sun, 06 nov 1994 08:49:37 gmt; domain=example.com; path=/; " ..
      "max%-age=5; secure; httponly; samesite=strict\r\nset%-cookie: c=d\r\n"))
  end)

  does("redirects", function()
    local status, _, head = get("/", nil, function(asked) asked:redirect("/elsewhere") end)
    assert.equal(302, status)
    assert.truthy(head:find("location: /elsewhere\r\n", 1, true))
    assert.equal(301, (get("/", nil, function(asked)
      asked:setResponseCode(301, "Gone There")
      asked:redirect("/elsewhere")
    end)))
  end)

  does("answers 304 or 412 for an entity-tag that the client has", function()
    local function tagged(asked)
      return asked:setETag('"x"') == "cached" and "" or "body"
    end
    assert.equal(304, (get("/", 'If-None-Match: "y", W/"x"\r\n', tagged)))
    assert.equal(304, (get("/", "If-None-Match: *\r\n", tagged)))
    assert.equal(200, (get("/", 'If-None-Match: "y"\r\n', tagged)))
    assert.equal(200, (get("/", nil, tagged)))
    assert.equal(412, (ask('PUT / HTTP/1.1\r\nHost: a\r\nIf-None-Match: "x"\r\n\r\n', tagged)))
  end)

  does("answers 304 for what has not changed since", function()
    local changed = 784111777
    local function dated(asked)
      asked:setLastModified(changed - 10)
      return asked:setLastModified(changed) == "cached" and "" or "body"
    end
    local status, _, head = get("/", "If-Modified-Since: " .. date.format(changed) .. "\r\n", dated)
    assert.equal(304, status)
    assert.truthy(head:find("last-modified: sun, 06 nov 1994 08:49:37 gmt\r\n", 1, true))
    assert.equal(200, (get("/", "If-Modified-Since: " .. date.format(changed - 1) .. "\r\n", dated)))
    assert.equal(200, (get("/", "If-Modified-Since: yesterday\r\n", dated)))
  end)

  does("does not send a length twice, nor a coding of the handler's", function()
    local _, _, head = get("/", nil, function(asked)
      asked:setHeader("Content-Length", 99)
      asked:setHeader("Transfer-Encoding", "chunked")
      asked:setHeader("Server", "mine")
      asked:setHeader("Date", "today")
      return "body"
    end)
    assert.truthy(head:find("content-length: 4\r\n", 1, true))
    assert.is_nil(head:find("99", 1, true))
    assert.is_nil(head:find("chunked", 1, true))
    assert.equal(1, select(2, head:gsub("server:", "")))
    assert.equal(1, select(2, head:gsub("date:", "")))
  end)

  does("closes when a handler writes another length than it has told", function()
    get("/", nil, function(asked)
      asked:setHeader("Content-Length", 99)
      asked:write("body")
      asked:finish()
      return server.NOT_DONE_YET
    end)
    assert.is_true(served:isClosed())
    assert.equal(1, #require("twistlua.test.async").flushLoggedErrors())
  end)

  does("has the trailers of the body, when that is there", function()
    local seen = {}
    local function tell(asked)
      seen[#seen + 1] = asked.trailers:getHeader("x-sum") or "none"
      return ""
    end
    local CHUNKED = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
    ask(CHUNKED .. "X-Sum: 1\r\nContent-Length: 9\r\n\r\n", function(asked)
      assert.is_false(asked.trailers:hasHeader("content-length"))
      return tell(asked)
    end)
    ask(CHUNKED .. "\r\n", tell)
    ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n", tell)
    local Early = require("twistlua.web.resource").Resource:extend("Early")
    Early.isLeaf = true
    function Early:onBody(asked)
      tell(asked)
      return { write = function() end }
    end
    function Early:render_PUT(asked) return tell(asked) end
    served = Served(Early())
    served:send(CHUNKED, "X-Sum: 2\r\n\r\n")
    assert.same({ "1", "none", "none", "none", "2" }, seen)
  end)

  does("logs what it refuses", function()
    local lines, given = {}, nil
    local access = require "twistlua.web.http.access_log"
    local function refused(bytes, more, wait)
      given = { log = function(asked) lines[#lines + 1] = access.combinedFormat(asked):match('%] (".*)$') end,
                bodyLimit = 5, headLimit = 1000, lineLimit = 500, reactor = require("twistlua.task").Clock() }
      served = Served(function() return "" end, given)
      served:send(bytes)
      if more then served:send(more) end
      if wait then given.reactor:pump({ 30, 31, 2 }) end
      served:lose()
      return table.remove(lines)
    end
    local function all(pattern, ...)
      assert.matches(pattern, (refused(...)))
      assert.same({}, lines)
    end
    all('^"GET /a HTTP/1.1" 400 %d+ "%-" "%-"$', "GET /a HTTP/1.1\r\nHost : a\r\n\r\n")
    all('^"%- %- %-" 400 %d+ ', "\22\3\1nonsense\r\n\r\n")
    all('^"GET /x%+ HTTP/1.1" 431 %d+ ', "GET /x+ HTTP/1.1\r\nA: " .. ("x"):rep(2000))
    all('^"GET /x+ %-" 414 %d+ ', "GET /" .. ("x"):rep(2000))
    all('^"PUT / HTTP/1.1" 413 %d+ "%-" "%-"$',
      "PUT / HTTP/1.1\r\nHost: a\r\nUser-Agent: me\r\nContent-Length: 6\r\n\r\n")
    all('^"PUT / HTTP/1.1" 413 %d+ ', "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "6\r\n")
    all('^"PUT / HTTP/1.1" 400 %d+ ', "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx")
    all('^"GET / HTTP/1.1" 408 %d+ ', "GET / HTTP/1.1\r\nHost:", nil, true)
    all('^"PUT / HTTP/1.1" 408 %d+ ', "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na", nil, true)
  end)

  does("logs what was asked, in a form that nobody can break", function()
    local lines = {}
    local access = require "twistlua.web.http.access_log"
    ask('GET /x HTTP/1.1\r\nHost: a\r\nReferer: "x\r\nUser-Agent: curl\r\n\r\n', function() return "12345" end,
      { log = function(asked) lines[#lines + 1] = access.combinedFormat(asked) end })
    assert.equal(1, #lines)
    assert.truthy(lines[1]:find(
      '^127%.0%.0%.1 %- %- %[%d%d/%a%a%a/%d%d%d%d:%d%d:%d%d:%d%d %+0000%] "GET /x HTTP/1.1" 200 5 ' ..
      '"\\x22x" "curl"$'))
  end)
end)
