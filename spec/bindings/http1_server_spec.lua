-- SPDX-License-Identifier: MIT
-- http1_server_spec.lua -- core.http1: the steps of a server that are taken in C.
local http1 = require("twistlua.core").http1

local Request = { __name = "Request" }
Request.__index = Request

local function channelWith(input, limits)
  return {
    _input = input, _at = 1, _head = false, _keepAlive = true,
    factory = { limits = http1.limits(limits or {}), requestFactory = Request },
  }
end

describe("http1.takeRequest", function()
  it("makes a request of a head, and leaves what is behind it", function()
    local channel = channelWith("GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
      .. "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n")
    local request, body = http1.takeRequest(channel)
    assert.equal(Request, getmetatable(request))
    assert.same({ "GET", "/a", false, 0 }, { request.method, request.uri, request._more, body })
    assert.equal(channel, request.channel)
    assert.equal(request, channel._request)
    assert.equal("h", request._head:get("host"))
    request, body = http1.takeRequest(channel)
    assert.same({ "POST", "/b", 1, true }, { request.method, request.uri, body, channel._keepAlive })
    assert.same({ false, 1 }, { channel._input, channel._at })
  end)

  it("tells that the connection ends behind a request", function()
    local channel = channelWith "GET / HTTP/1.0\r\n\r\n"
    assert.truthy(http1.takeRequest(channel))
    assert.is_false(channel._keepAlive)
  end)

  it("goes on with a head in pieces", function()
    local channel = channelWith "GET / HTT"
    local request, head = http1.takeRequest(channel)
    assert.is_false(request)
    assert.equal("GET / HTT", channel._input)
    channel._head, channel._input = head, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    request = http1.takeRequest(channel)
    assert.equal(head, request._head)
    assert.equal("h", head:get("host"))
    assert.same({ false, false }, { channel._head, channel._input })
  end)

  it("tells of what is no request", function()
    assert.equal(400, (select(4, http1.takeRequest(channelWith "GET\r\n\r\n"))))
    local channel = channelWith("GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n", { fields = 1 })
    local request, _, name, status = http1.takeRequest(channel)
    assert.same({ "nil", "EHTTP_FIELDS", 431 }, { type(request), name, status })
  end)

  it("raises for what is no channel", function()
    assert.has_error(function() http1.takeRequest("x") end)
    assert.has_error(function() http1.takeRequest({}) end)
    local channel = channelWith "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    channel._at = 100
    assert.has_error(function() http1.takeRequest(channel) end)
    channel._at, channel.factory.requestFactory = 1, nil
    assert.has_error(function() http1.takeRequest(channel) end)
  end)
end)

describe("http1.respond", function()
  it("leaves alone what is not usual", function()
    local channel = channelWith "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    channel.transport = { write = function() error("not to be called") end }
    local request = http1.takeRequest(channel)
    assert.is_nil(http1.respond(channel, request, "text"))   -- the transport is none of ours
    for _, body in ipairs { "", 12, false, {} } do assert.is_nil(http1.respond(channel, request, body)) end
    assert.equal(request, channel._request)
    assert.has_error(function() http1.respond(channel, "x", "text") end)
  end)
end)

describe("http1.setHeader", function()
  it("keeps the fields in the request's store", function()
    local request = {}
    http1.setHeader(request, "X-A", "b")
    local store = request._store
    http1.setHeader(request, "x-a", 12)
    http1.setHeader(request, "C", "d\r\ne")
    assert.equal(store, request._store)
    assert.same({ "x-a", "c", ["x-a"] = "12", c = "d e" }, store)
    assert.has_error(function() http1.setHeader(request, "no token", "") end)
    assert.has_error(function() http1.setHeader(request, "x", {}) end)
  end)
end)

describe("http1.lazily", function()
  it("finds members of the class, then computes, and keeps that", function()
    local computed = 0
    local class = { member = 1, no = false }
    class.__index = http1.lazily(class, { later = function(object)
      computed = computed + 1
      return object.member + 1
    end })
    local object = setmetatable({}, class)
    assert.same({ 1, false, 2, 2, 1 }, { object.member, object.no, object.later, object.later, computed })
    assert.is_nil(object.neither)
    assert.equal(2, rawget(object, "later"))
  end)

  it("lets what computes yield", function()
    local class = {}
    class.__index = http1.lazily(class, { later = function() return coroutine.yield() end })
    local object = setmetatable({}, class)
    local thread = coroutine.create(function() return object.later end)
    assert.is_true(coroutine.resume(thread))
    assert.equal("done", select(2, coroutine.resume(thread, "done")))
    assert.equal("done", object.later)
  end)
end)
