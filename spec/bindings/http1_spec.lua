-- SPDX-License-Identifier: MIT
-- http1_spec.lua -- core.http1: heads and bodies in Lua, from bytes cut in any way.
local http1 = require("twistlua.core").http1

local REQUEST = "POST /a?b=c HTTP/1.1\r\nHost: example.com:80\r\nX-One: 1\r\nx-one: 2\r\nContent-Length: 3\r\n\r\n"

describe("http1.request", function()
  it("tells what a server looks at, and where the head ends", function()
    local head, next = http1.request("xx" .. REQUEST .. "abc", 3)
    assert.equal(#REQUEST + 3, next)
    assert.equal("POST", head.method)
    assert.equal("/a?b=c", head.target)
    assert.equal("origin", head.form)
    assert.equal("example.com:80", head.authority)
    assert.equal(1, head.minor)
    assert.equal(3, head.body)
    assert.is_true(head.keepAlive)
    assert.is_false(head.upgrade)
    assert.is_false(head.expectContinue)
    assert.equal(4, head.count)
  end)

  it("finds fields by a name in any case, the last of several, or all", function()
    local head = http1.request(REQUEST)
    assert.equal("2", head:get("X-ONE"))
    assert.same({ "1", "2" }, head:getAll("x-one"))
    assert.equal("example.com:80", head:get("hOST"))
    assert.is_nil(head:get("X-Two"))
    assert.is_nil(head:get("Cookie"))
    assert.is_nil(head:getAll("Cookie"))
    assert.same({ "Host", "example.com:80", "X-One", "1", "x-one", "2", "Content-Length", "3" }, head:fields())
  end)

  it("goes on where it stopped, however the bytes are cut", function()
    local head, next
    for length = 1, #REQUEST do
      head, next = http1.request(REQUEST:sub(1, length), 1, nil, head)
      if length < #REQUEST then assert.is_nil(next) end
    end
    assert.equal(#REQUEST + 1, next)
    collectgarbage()
    assert.equal("2", head:get("x-one"))
    assert.equal(4, head.count)
  end)

  it("tells what is wrong, and with which status to answer", function()
    for bytes, expected in pairs {
      ["GET / HTTP/1.1\r\n\r\n"]                          = { "EHTTP_NO_HOST", 400 },
      ["GET / HTTP/2.0\r\n\r\n"]                          = { "EHTTP_MAJOR", 505 },
      ["GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"] = { "EHTTP_CODING_UNKNOWN", 501 },
      ["GET /" .. ("a"):rep(8200) .. " HTTP/1.1\r\n"]     = { "EHTTP_LINE_SIZE", 414 },
      ["GET / HTTP/1.1\r\nA: " .. ("a"):rep(33000)]       = { "EHTTP_HEAD_SIZE", 431 },
    } do
      local head, message, name, status = http1.request(bytes)
      assert.is_nil(head)
      assert.is_string(message)
      assert.same(expected, { name, status })
    end
  end)

  it("takes as many fields as the limits allow, at once and piece by piece", function()
    local limits = http1.limits { fields = 100 }
    local good = "GET / HTTP/1.1\r\nHost: a\r\n" .. ("A: b\r\n"):rep(99) .. "\r\n"
    local bad = "GET / HTTP/1.1\r\nHost: a\r\n" .. ("A: b\r\n"):rep(100) .. "\r\n"
    local head, next = http1.request(good, 1, limits)
    assert.equal(#good + 1, next)
    assert.equal(99, #head:getAll("a"))
    assert.equal("EHTTP_FIELDS", (select(3, http1.request(bad, 1, limits))))
    local partial = http1.request(good:sub(1, 400), 1, limits)
    assert.equal(#good + 1, (select(2, http1.request(good, 1, limits, partial))))
    partial = http1.request(bad:sub(1, 400), 1, limits)
    assert.equal("EHTTP_FIELDS", (select(3, http1.request(bad, 1, limits, partial))))
    assert.equal("EHTTP_FIELDS", (select(3, http1.request(good, 1, http1.limits { fields = 10 }))))
  end)

  it("refuses what is no argument of its", function()
    assert.has_error(function() http1.request({}) end)
    assert.has_error(function() http1.request("abc", 5) end)
    assert.has_error(function() http1.request("abc", 0) end)
    assert.has_error(function() http1.request("abc", 1, io.stdout) end)
    assert.has_error(function() http1.limits { line = -1 } end)
    assert.has_error(function() http1.limits { body = -1 } end)
  end)
end)

describe("http1.response", function()
  it("tells status, reason and body", function()
    local bytes = "HTTP/1.0 404 Not Here\r\nContent-Length: 5\r\n\r\n"
    local head, next, status, body, keepAlive = http1.response(bytes, 1, "GET")
    assert.same({ #bytes + 1, 404, 5, false }, { next, status, body, keepAlive })
    assert.same({ 404, "Not Here", 5, 0, false },
                { head.status, head.reason, head.body, head.minor, head.keepAlive })
  end)

  it("tells whether another response may follow", function()
    for bytes, expected in pairs {
      ["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"] = true,
      ["HTTP/1.1 101 Other\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"] = false,
      ["HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"] = false,
    } do
      assert.equal(expected, (select(5, http1.response(bytes, 1, "GET"))), bytes)
    end
  end)

  it("gives the body, if it is all there and another response may follow", function()
    local LENGTH = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    local function whole(bytes, from, method) return (select(6, http1.response(bytes, from or 1, method or "GET"))) end
    assert.equal("ok", whole(LENGTH .. "ok"))
    assert.equal("ok", whole("HTTP/1.1 100 Continue\r\n\r\n" .. LENGTH .. "ok", 26))
    assert.equal("", whole "HTTP/1.1 204 No Content\r\n\r\n")
    assert.equal("", whole(LENGTH, 1, "HEAD"))
    for _, bytes in ipairs {
      LENGTH, LENGTH .. "o", LENGTH .. "okHTTP", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nok",
      "HTTP/1.1 204 No Content\r\n\r\nok", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
      "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 101 Other\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    } do assert.is_nil(whole(bytes), bytes) end
    assert.is_nil(whole("HTTP/1.1 200 OK\r\n\r\n", 1, "CONNECT"))
  end)

  it("has no body where the request's method asks for none", function()
    local head = http1.response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 1, "HEAD")
    assert.equal(0, head.body)
    assert.equal("chunked", http1.response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 1, "GET").body)
    assert.equal("rest", http1.response("HTTP/1.1 200 OK\r\n\r\n", 1, "GET").body)
  end)

  it("is parsed piece by piece", function()
    local bytes = "HTTP/1.1 204 No Content\r\nA: b\r\n\r\n"
    local head, next
    for length = 1, #bytes do head, next = http1.response(bytes:sub(1, length), 1, "GET", nil, head) end
    assert.same({ #bytes + 1, "b", 204 }, { next, head:get("a"), head.status })
    assert.equal("EHTTP_CODE", (select(3, http1.response("HTTP/1.1 abc", 1, "GET"))))
  end)
end)

-- Feed `bytes` in pieces of `size`; the data, how many bytes were of the body, and the decoder.
local function decode(kind, bytes, size, limits)
  local body, data, at = http1.body(kind, limits), {}, 1
  while at <= #bytes do
    local piece, next, name = body:feed(bytes:sub(at, at + size - 1))
    if not piece then return nil, name end
    data[#data + 1] = piece
    if next then return table.concat(data), at + next - 2, body end
    at = at + size
  end
  return table.concat(data), nil, body
end

describe("http1.body", function()
  local CHUNKED = "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n"

  it("counts", function()
    for size = 1, 8 do
      local data, used = decode(5, "helloGET", size)
      assert.same({ "hello", 5 }, { data, used })
    end
    local body = http1.body(0)
    assert.same({ "", 1 }, { body:feed("GET") })
    assert.same({ "", 2 }, { body:feed("GET", 2) })
  end)

  it("joins chunks and gives the trailers, however the bytes are cut", function()
    local bytes = CHUNKED .. "X-Sum: 1\r\nHost: b\r\n\r\n"
    for size = 1, #bytes + 3 do
      local data, used, body = decode("chunked", bytes .. "GET", size)
      assert.same({ "hello world", #bytes, 11 }, { data, used, body:received() })
      assert.equal("1", body:trailers():get("x-sum"))
      assert.same({ "X-Sum", "1" }, body:trailers():fields())
      data, used, body = decode("chunked", CHUNKED .. "\r\nGET", size)
      assert.same({ "hello world", #CHUNKED + 2 }, { data, used })
      assert.is_true(body:trailers() == nil or body:trailers().count == 0)
    end
  end)

  it("refuses what is malformed or too long", function()
    assert.equal("EHTTP_CHUNK", (select(2, decode("chunked", "0x5\r\nhello", 100))))
    assert.equal("EHTTP_CHUNK_END", (select(2, decode("chunked", "5\r\nhelloX", 1))))
    assert.equal("EHTTP_NO_COLON", (select(2, decode("chunked", "0\r\nbad\r\n\r\n", 4))))
    assert.equal("EHTTP_TRAILER_SIZE", (select(2, decode("chunked", "0\r\nA: " .. ("b"):rep(9000), 50))))
    local limits = http1.limits { body = 4 }
    assert.equal("EHTTP_BODY_SIZE", (select(2, decode("chunked", CHUNKED, 1, limits))))
    local _, _, _, status = http1.body("rest", limits):feed("hello")
    assert.equal(413, status)
    assert.has_error(function() http1.body("other") end)
    assert.has_error(function() http1.body(-1) end)
  end)

  it("takes the rest of a connection", function()
    local data, used = decode("rest", "abcdef", 4)
    assert.same({ "abcdef" }, { data, used })
  end)
end)

describe("http1", function()
  it("writes chunks that it reads again", function()
    assert.equal("5\r\nhello\r\n", http1.chunk("hello"))
    assert.equal("", http1.chunk(""))
    assert.equal("ff\r\n", http1.chunkHead(255))
    local big = ("x"):rep(100000)
    assert.equal(big, (decode("chunked", http1.chunk(big) .. http1.LAST_CHUNK, 1000)))
  end)

  it("knows what may stand in a message", function()
    assert.is_true(http1.isToken("X-Name"))
    assert.is_false(http1.isToken("X Name"))
    assert.is_false(http1.isToken(nil))
    assert.is_true(http1.isValue("a value"))
    assert.is_false(http1.isValue("a\r\nb: c"))
    assert.is_true(http1.isTarget("/a?b"))
    assert.is_false(http1.isTarget("/a b"))
    assert.is_true(http1.isHost("[::1]:80"))
    assert.is_false(http1.isHost("a/b"))
    assert.is_true(http1.hasWord("Upgrade, close", "close"))
    assert.is_false(http1.hasWord("closed", "close"))
    assert.equal("Not Found", http1.reason(404))
    assert.is_nil(http1.reason(799))
  end)
end)

describe("http1.message", function()
  local function store(...)
    local made = {}
    for index = 1, select("#", ...), 2 do
      http1.addField(made, (select(index, ...)), (select(index + 1, ...)))
    end
    return made
  end

  it("has the start-line, the lines, the fields in their order, the framing and the body", function()
    assert.equal("HTTP/1.1 200 OK\r\nDate: now\r\nX-B: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nSet-Cookie: c\r\n" ..
      "ETag: 7\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
      http1.message("HTTP/1.1 200 OK", "Date: now\r\n",
        store("x-b", "1", "set-cookie", "a", "SET-COOKIE", "b", "etag", 7, "Set-Cookie", "c"), 3, "close", "abc"))
    assert.equal("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n",
      http1.message("GET / HTTP/1.1", nil, nil, true, "keep-alive"))
    local long = ("x"):rep(100000)
    assert.equal("A: " .. long, http1.message("S", nil, store("a", long)):sub(4, -5))
  end)

  it("lets no name or value in that would begin a line of its own", function()
    local made = {}
    http1.setField(made, "Location", "/a\r\nSet-Cookie: x=y\r\n\r\n<html>")
    http1.setField(made, "X-Nul", " a\0b\127c\t ")
    assert.same({ "location", "x-nul", location = "/a Set-Cookie: x=y <html>", ["x-nul"] = "a b c" }, made)
    for _, name in ipairs { "", "a b", "a:", "a\r\nb", ("a"):rep(300) } do
      assert.has_error(function() http1.setField(made, name, "x") end)
      assert.has_error(function() http1.addField(made, name, "x") end)
    end
    assert.has_error(function() http1.setField(made, "a", nil) end)
    assert.has_error(function() http1.message("S", nil, { "a", a = true }) end)
  end)

  it("replaces values, and knows the usual spelling of names", function()
    local made = store("a", "1", "a", "2", "b", "3")
    http1.setField(made, "A", "4")
    assert.same({ "a", "b", a = "4", b = "3" }, made)
    assert.equal("WWW-Authenticate", http1.canonical("www-AUTHENTICATE"))
    assert.equal("X-My-Name", http1.canonical("x-my-NAME"))
  end)
end)

describe("http1.lines", function()
  it("makes lines of headers", function()
    assert.equal("", http1.lines {})
    assert.equal("Accept: */*\r\n", http1.lines { Accept = "*/*" })
    assert.equal("x-a: 1\r\nx-a: b\r\nx-a: \r\n", http1.lines { ["x-a"] = { 1, "b", "" } })
    assert.equal("", http1.lines { A = {} })
    local lines = http1.lines { A = 1.5, B = "c" }
    assert.is_true(lines == "A: 1.5\r\nB: c\r\n" or lines == "B: c\r\nA: 1.5\r\n")
  end)

  it("leaves to others what has to be decided, or refused", function()
    for _, name in ipairs { "Host", "CONNECTION", "keep-alive", "Content-Length", "Transfer-Encoding", "TE", "trailer",
                            "", "A B", "A:", "A\r\nB", 1, true } do
      assert.is_nil(http1.lines { [name] = "x" }, tostring(name))
      assert.is_nil(http1.lines { [name] = { "x" }, Good = "x" }, tostring(name))
    end
    for _, value in ipairs { "a\r\nB: c", "a\nb", "a\0", "\127", true, {} } do
      assert.is_nil(http1.lines { A = { "good", value } })
      if type(value) ~= "table" then assert.is_nil(http1.lines { A = value }) end
    end
    assert.is_nil(http1.lines(setmetatable({}, {})))
    assert.is_nil(http1.lines { A = setmetatable({ "x" }, {}) })
    for _, given in ipairs { false, "headers", 1, print } do assert.is_nil(http1.lines(given)) end
    assert.is_nil(http1.lines())
  end)

  it("makes no more than two kilobytes", function()
    assert.equal(2048, #http1.lines { A = ("x"):rep(2043) })
    assert.is_nil(http1.lines { A = ("x"):rep(2044) })
  end)
end)
