-- SPDX-License-Identifier: MIT
-- hostile_spec.lua -- input that is meant to harm: the right status, a closed connection, and never a second request
-- out of what is one for somebody else.
local Served = require "lua.web.served"
local async  = require "twistlua.test".async

local NEXT = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

local function post(fields, body)
  return "POST / HTTP/1.1\r\nHost: a\r\n" .. fields .. "\r\n" .. (body or "")
end

-- What each is answered with; behind it stands a request that must not be answered.
local REFUSED = {
  ["a length and a coding"] = { 400, post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n") },
  ["a coding and a length"] = { 400, post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n") },
  ["two lengths"] = { 400, post("Content-Length: 1\r\nContent-Length: 2\r\n", "ab") },
  ["two equal lengths"] = { 400, post("Content-Length: 1\r\nContent-Length: 1\r\n", "a") },
  ["a list of lengths"] = { 400, post("Content-Length: 1, 1\r\n", "a") },
  ["a length with a sign"] = { 400, post("Content-Length: +1\r\n", "a") },
  ["a negative length"] = { 400, post("Content-Length: -1\r\n") },
  ["a hexadecimal length"] = { 400, post("Content-Length: 0x1\r\n", "a") },
  ["an empty length"] = { 400, post("Content-Length:\r\n") },
  ["a length with a space in it"] = { 400, post("Content-Length: 1 1\r\n", "a") },
  ["a length that overflows"] = { 413, post("Content-Length: 18446744073709551617\r\n", "a") },
  ["a coding that is not chunked"] = { 400, post("Transfer-Encoding: gzip\r\n", "a") },
  ["a coding that we do not know"] = { 501, post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n") },
  ["identity behind chunked"] = { 400, post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n") },
  ["chunked twice"] = { 400, post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n") },
  ["a coding in two fields"] = { 400, post("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", "0\r\n\r\n") },
  ["a coding in HTTP/1.0"] = { 400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
  ["a tab before the colon"] = { 400, post("Content-Length\t: 1\r\n", "a") },
  ["a space before the colon"] = { 400, post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n") },
  ["a folded line"] = { 400, post("X: a\r\n Transfer-Encoding: chunked\r\n", "0\r\n\r\n") },
  ["a bare LF"] = { 400, "GET / HTTP/1.1\nHost: a\n\n" },
  ["a bare CR"] = { 400, "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n" },
  ["a NUL in a value"] = { 400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n" },
  ["a bad name"] = { 400, "GET / HTTP/1.1\r\nHost: a\r\nX(y): b\r\n\r\n" },
  ["no name"] = { 400, "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n" },
  ["no Host"] = { 400, "GET / HTTP/1.1\r\n\r\n" },
  ["two Hosts"] = { 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" },
  ["a bad Host"] = { 400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n" },
  ["a space in the target"] = { 400, "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n" },
  ["another version"] = { 505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n" },
  ["no version"] = { 400, "GET /\r\n\r\n" },
  ["a chunk size with 0x"] = { 400, post("Transfer-Encoding: chunked\r\n", "0x1\r\na\r\n0\r\n\r\n") },
  ["a chunk size with a sign"] = { 400, post("Transfer-Encoding: chunked\r\n", "+1\r\na\r\n0\r\n\r\n") },
  ["a chunk that is too long"] = { 400, post("Transfer-Encoding: chunked\r\n", "1\r\nab\r\n0\r\n\r\n") },
  ["a chunk's end without CR"] = { 400, post("Transfer-Encoding: chunked\r\n", "1\r\na\n0\r\n\r\n") },
  ["a chunk size that overflows"] = { 413, post("Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\na\r\n") },
  ["a bad trailer"] = { 400, post("Transfer-Encoding: chunked\r\n", "0\r\nX y: z\r\n\r\n") },
  ["a long chunk line"] = { 400, post("Transfer-Encoding: chunked\r\n", "1;" .. ("x"):rep(5000) .. "\r\na\r\n") },
  ["long trailers"] = { 431, post("Transfer-Encoding: chunked\r\n", "0\r\nX: " .. ("x"):rep(9000) .. "\r\n\r\n") },
  ["a long target"] = { 414, "GET /" .. ("a"):rep(9000) .. " HTTP/1.1\r\nHost: a\r\n\r\n" },
  ["a long head"] = { 431, "GET / HTTP/1.1\r\nHost: a\r\n" .. ("X: " .. ("a"):rep(1000) .. "\r\n"):rep(40) .. "\r\n" },
  ["many fields"] = { 431, "GET / HTTP/1.1\r\nHost: a\r\n" .. ("X: a\r\n"):rep(250) .. "\r\n" },
}

describe("hostile input", function()
  local names = {}
  for name in pairs(REFUSED) do names[#names + 1] = name end
  table.sort(names)

  -- Send it in pieces of `size`; what was answered.
  local function attack(bytes, size, seen)
    local served = Served(function(request)
      seen[#seen + 1] = request.uri
      return request.content:read("a")
    end)
    for at = 1, #bytes, size do
      if served.transport.connected then served.channel:dataReceived(bytes:sub(at, at + size - 1)) end
    end
    return served
  end

  for _, name in ipairs(names) do
    it("is refused: " .. name, async(function()
      local status, bytes = table.unpack(REFUSED[name])
      for _, size in ipairs { 1000000, 7, 1 } do
        local seen = {}
        local served = attack(bytes .. NEXT, size, seen)
        local answer = served:take()
        assert.equal(status, (Served.parse(answer)), "in pieces of " .. size)
        assert.truthy(answer:find("Connection: close\r\n", 1, true))
        assert.equal(1, select(2, answer:gsub("HTTP/1%.1 %d", "")))
        assert.same({}, seen)
        assert.is_true(served:isClosed())
        served:lose()
      end
    end))
  end

  it("in the body of one request is none of another", async(function()
    for _, size in ipairs { 1000000, 3, 1 } do
      local seen = {}
      local served = attack(post(("Content-Length: %d\r\n"):format(#NEXT), NEXT) ..
        post("Transfer-Encoding: chunked\r\n", ("%x\r\n%s\r\n0\r\n\r\n"):format(#NEXT, NEXT)), size, seen)
      assert.same({ "/", "/" }, seen)
      assert.is_false(served:isClosed())
      served:lose()
    end
  end))

  it("on one connection does not reach another", async(function()
    local function answer() return "x" end
    local good, bad = Served(answer), Served(answer)
    bad.channel:dataReceived("\0\0\0\r\n\r\n")
    assert.is_true(bad:isClosed())
    assert.equal(200, (good:get("/")))
    bad:lose()
    good:lose()
  end))
end)
