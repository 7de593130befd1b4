-- SPDX-License-Identifier: MIT
-- http1_server_spec.lua -- core.http1: the steps of a server that are taken in C.
local http1 = require("twistlua.core").http1

local function classOfRequests(later)
  local class = { __name = "Request" }
  for name, member in pairs(http1.requestMembers) do class[name] = member end
  http1.requestClass(class, later or {})
  return class
end

local Request = classOfRequests()

local function channelWith(input, limits, class)
  local factory = { limits = http1.limits(limits or {}), requestFactory = class or Request }
  return {
    _input = input, _at = 1, _head = false, _keepAlive = true, factory = factory, _service = http1.service(factory),
  }
end

-- What is left to the caller.
local function serve(channel)
  local special = { n = 0 }
  local done = http1.serve(channel, function(given, ...)
    assert.equal(channel, given)
    special = table.pack(...)
    return false
  end)
  assert.equal(special.n == 0 and not channel._request, done)
  return table.unpack(special, 1, special.n)
end

local function requestOf(head, class)
  return assert(serve(channelWith(head .. "\r\n\r\n", nil, class)))
end

describe("http1.serve", function()
  it("makes a request of a head, and leaves what is behind it", function()
    local channel = channelWith("GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
      .. "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n")
    local request, body = serve(channel)
    assert.equal(Request, getmetatable(request))
    assert.same({ "GET", "/a", false, 0 }, { request.method, request.uri, request._more, body })
    assert.equal(channel, request.channel)
    assert.equal(request, channel._request)
    assert.equal("h", request:getHeader("host"))
    channel._request = false
    request, body = serve(channel)
    assert.same({ "POST", "/b", 1, true }, { request.method, request.uri, body, channel._keepAlive })
    assert.same({ false, 1 }, { channel._input, channel._at })
  end)

  it("tells that the connection ends behind a request", function()
    local channel = channelWith "GET / HTTP/1.0\r\n\r\n"
    assert.truthy(serve(channel))
    assert.is_false(channel._keepAlive)
  end)

  it("goes on with a head in pieces", function()
    local channel = channelWith "GET / HTT"
    local request, head = serve(channel)
    assert.is_false(request)
    assert.equal("GET / HTT", channel._input)
    channel._head, channel._input = head, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    request = serve(channel)
    assert.same({ "/", "h" }, { request.uri, request:getHeader "host" })
    assert.same({ false, false }, { channel._head, channel._input })
  end)

  it("makes a request of a head with many fields", function()
    local lines = { "GET / HTTP/1.1\r\nHost: h\r\n" }
    for i = 1, 150 do lines[#lines + 1] = ("A%d: %d\r\n"):format(i, i) end
    local request = serve(channelWith(table.concat(lines) .. "\r\n"))
    assert.same({ "1", "150", 302 }, { request:getHeader "a1", request:getHeader "a150", #request:_fields() })
  end)

  it("tells of what is no request", function()
    assert.equal(400, (select(4, serve(channelWith "GET\r\n\r\n"))))
    local channel = channelWith("GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n", { fields = 1 })
    local request, _, name, status = serve(channel)
    assert.same({ "nil", "EHTTP_FIELDS", 431 }, { type(request), name, status })
  end)

  it("goes on by the limits of a service that nobody else has any more", function()
    local channel, uris = channelWith(("GET /a HTTP/1.1\r\nHost: h\r\n\r\n"):rep(3)), {}
    http1.serve(channel, function(_, request)
      uris[#uris + 1] = request.uri
      channel._request, channel._service = nil, false
      channel.factory._service, channel.factory.limits = nil, nil
      for _ = 1, 100 do http1.service { requestFactory = Request, limits = http1.limits { line = 1 } } end
      collectgarbage()
      return true
    end)
    assert.same({ "/a", "/a", "/a" }, uris)
  end)

  it("goes on as long as it is told to", function()
    local channel, uris = channelWith(("GET /a HTTP/1.1\r\nHost: h\r\n\r\n"):rep(3)), {}
    http1.serve(channel, function(_, request)
      uris[#uris + 1] = request.uri
      channel._request = nil
      return #uris < 2
    end)
    assert.same({ "/a", "/a" }, uris)
    assert.truthy(channel._input)
  end)

  it("leaves a request whose body is coming", function()
    local channel = channelWith "body"
    channel._request = "a request"
    assert.same({ "a request", 0 }, { serve(channel) })
    assert.equal("body", channel._input)
    assert.is_nil(serve(channelWith(false)))
  end)

  it("raises for what is no channel", function()
    assert.has_error(function() serve("x") end)
    assert.has_error(function() serve({}) end)
    local channel = channelWith "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    channel._at = 100
    assert.has_error(function() serve(channel) end)
    for _, service in ipairs { false, 1, io.stdout, channel.factory.limits } do
      channel._at, channel._service = 1, service
      assert.error_matches(function() serve(channel) end, "channel that is open")
    end
  end)

  describe("for a site", function()
    local answers

    -- A site with a leaf, whose requests are processed in the usual way.
    local function siteWith(input, leaf)
      local class = classOfRequests()
      function class.process() error("not to be called") end
      class._process = class.process
      function class._answer(...) answers[#answers + 1] = table.pack(...) end
      local channel = channelWith(input, nil, class)
      leaf.isLeaf, leaf.render = true, leaf.render or http1.render
      channel.factory.resource = leaf
      return channel
    end

    local TWO = ("GET / HTTP/1.1\r\nHost: h\r\n\r\n"):rep(2)

    before_each(function() answers = {} end)

    it("renders, and hands on what it cannot send", function()
      local leaf = { render_GET = function(_, request) return request.uri end }
      local channel = siteWith(TWO, leaf)
      serve(channel)
      assert.equal(1, #answers)
      assert.same({ "/", false, 4 }, { answers[1][3], answers[1][4], answers[1].n })
      assert.equal(leaf, answers[1][2])
      assert.same({ channel._request, #TWO // 2 + 1 }, { answers[1][1], channel._at })
    end)

    it("asks nobody about a handler that answers by itself", function()
      local channel
      local leaf = { render_GET = function(_, request)
        if request.uri == "/now" then channel._request = false end
        return require("twistlua.web.server").NOT_DONE_YET
      end }
      channel = siteWith("GET /now HTTP/1.0\r\n\r\nGET /later HTTP/1.0\r\n\r\n" .. TWO, leaf)
      serve(channel)
      assert.same({ {}, "/later" }, { answers, channel._request.uri })
      assert.equal(TWO, channel._input:sub(channel._at))
    end)

    it("calls a render of the resource's own", function()
      local channel = siteWith(TWO, { render = function(self, request) return self.isLeaf and request end })
      serve(channel)
      assert.equal(channel._request, answers[1][3])
    end)

    it("asks the site for the resource where the root is no leaf", function()
      local channel = siteWith(TWO, { render_GET = function() return "root" end })
      channel.factory.resource.isLeaf = false
      function channel.factory.getResourceFor(site, request)
        assert.equal(channel.factory, site)
        return { render = function(_, rendered) return rendered == request end }
      end
      serve(channel)
      assert.is_true(answers[1][3])
    end)

    it("leaves requests to a class that processes them in another way, and those with a body", function()
      local channel = siteWith("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n", {})
      assert.same({ channel.factory.requestFactory, 1 }, { getmetatable(serve(channel)), 1 })
      channel = siteWith(TWO, {})
      channel.factory.requestFactory.process = function() end
      channel._service = http1.service(channel.factory)
      assert.equal(channel.factory.requestFactory, getmetatable(serve(channel)))
      assert.same({}, answers)
    end)

    it("lets a handler yield, and what finds it", function()
      local channel = siteWith(TWO, { render_GET = function() return coroutine.yield "in render" end })
      channel.factory.resource.isLeaf = false
      function channel.factory.getResourceFor(site) return coroutine.yield "looking" and site.resource end
      local run = coroutine.wrap(http1.serve)
      assert.equal("looking", run(channel))
      assert.equal("in render", run(true))
      run "text"
      assert.equal("text", answers[1][3])
      assert.equal(#TWO // 2 + 1, channel._at)
    end)

    it("lets what is left to the caller yield", function()
      local run = coroutine.wrap(http1.serve)
      assert.equal("special", run(channelWith(TWO), function() coroutine.yield "special" return true end))
      run()   -- others have gone on: no further request is looked for
      assert.is_false(pcall(run))
    end)

    it("passes errors on", function()
      local channel = siteWith(TWO, { render_GET = function() error("raised", 0) end })
      assert.same({ false, "raised" }, { pcall(http1.serve, channel) })
      assert.truthy(channel._request)
      channel = siteWith(TWO, { _unsupported = function(_, request) error("no " .. request.method, 0) end })
      assert.same({ false, "no GET" }, { pcall(http1.serve, channel) })
    end)
  end)
end)

describe("http1.service", function()
  it("is the same for all channels of a factory until something has changed", function()
    local class = classOfRequests()
    local factory = { limits = http1.limits {}, requestFactory = class }
    local first = http1.service(factory)
    assert.equal(first, http1.service(factory))
    local changes = {
      function() factory.limits = http1.limits {} end,
      function() factory.requestFactory = Request end,
      function() Request.process, Request._process = print, print end,
      function() Request.process, Request._process = nil, nil end,
      function() factory._service = io.stdout end,
    }
    for _, change in ipairs(changes) do
      change()
      local service = http1.service(factory)
      assert.not_equal(first, service)
      assert.equal(service, http1.service(factory))
      first = service
    end
    assert.not_equal(first, http1.service { limits = factory.limits, requestFactory = Request, _service = first })
  end)

  it("raises for what is no factory", function()
    assert.has_error(function() http1.service "x" end)
    assert.error_matches(function() http1.service {} end, "class of requests")
    assert.error_matches(function() http1.service { requestFactory = {} } end, "class of requests")
    assert.has_error(function() http1.service { requestFactory = Request, limits = io.stdout } end)
  end)
end)

describe("http1.methods", function()
  local GET = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
  local calls, dataReceived, serveIt

  local function note(name)
    return function(channel, ...)
      calls[#calls + 1] = { name, http1.isServing(channel), ... }
      return false
    end
  end

  before_each(function()
    calls = {}
    dataReceived, serveIt = http1.methods(note "special", note "served", note "receive")
  end)

  it("serves a request without an input", function()
    local channel = channelWith(false)
    dataReceived(channel, GET)
    local request = channel._request
    assert.same({ { "special", true, request, 0 }, { "served", true, true } }, calls)
    assert.same({ false, "/", "h" }, { channel._input, request.uri, request:getHeader "host" })
    assert.is_false(http1.isServing(channel))
  end)

  it("keeps what is behind the request, or is none yet", function()
    for _, rest in ipairs { "G", GET } do
      local channel = channelWith(false)
      dataReceived(channel, GET .. rest)
      assert.same({ rest, 1 }, { channel._input, channel._at })
    end
    for _, bytes in ipairs { "", "GET", "GET\r\n\r\n", GET:sub(1, -3) .. ("A: b\r\n"):rep(60) .. "\r" } do
      local channel = channelWith(false)
      calls = {}
      dataReceived(channel, bytes)
      assert.same({ bytes, "special", #bytes == 7 and "nil" or "boolean" },
        { channel._input, calls[1][1], type(calls[1][3]) })
    end
  end)

  it("hands on what comes while there is something to do, or the channel is not open", function()
    for _, name in ipairs { "_service", "_request", "_input" } do
      local channel = channelWith(false)
      channel[name] = not channel[name] and "x"
      calls = {}
      dataReceived(channel, GET)
      assert.same({ { "receive", false, GET } }, calls)
    end
  end)

  it("tells of a handler that raises, or awaits", function()
    local defer = require "twistlua.defer"
    local waited = defer.Deferred()
    local channel = channelWith(GET)
    dataReceived, serveIt = http1.methods(function() error("broken", 0) end, note "served", note "receive")
    serveIt(channel)
    assert.same({ "served", true, false }, { table.unpack(calls[1], 1, 3) })
    assert.equal("broken", calls[1][4].value)
    channel, calls = channelWith(GET), {}
    dataReceived, serveIt = http1.methods(function() defer.await(waited) end, note "served", note "receive")
    serveIt(channel)
    assert.same({ "served", true }, { table.unpack(calls[1], 1, 2) })
    assert.is_true(require("twistlua.core").deferred.isDeferred(calls[1][3]))
    assert.is_false(http1.isServing(channel))
    waited:callback(nil)
  end)

  it("is done with a channel when telling so raises", function()
    local channel, seen = channelWith(GET), nil
    dataReceived, serveIt = http1.methods(note "special", function(given)
      seen = http1.isServing(given)
      error("broken", 0)
    end, note "receive")
    assert.is_false((pcall(serveIt, channel)))
    assert.same({ true, false }, { seen, http1.isServing(channel) })
  end)

  it("knows all channels that are being served, one within the other", function()
    local outer, inner, seen = channelWith(GET), channelWith(false), nil
    dataReceived = http1.methods(function(channel)
      if channel == outer then return dataReceived(inner, GET) end
      seen = { http1.isServing(outer), http1.isServing(inner), http1.isServing {} }
    end, note "served", note "receive")
    outer._input = false
    dataReceived(outer, GET)
    assert.same({ true, true, false }, seen)
  end)

  it("raises for what is no channel, no bytes, and no functions", function()
    assert.has_error(function() dataReceived(5, GET) end)
    assert.has_error(function() serveIt(5) end)
    assert.has_error(function() dataReceived(channelWith(false)) end)
    assert.has_error(function() dataReceived(channelWith(false), {}) end)
    assert.has_error(function() http1.methods(print, print) end)
  end)
end)

describe("http1.render", function()
  local resource = {
    render_GET = function() return "get" end,
    render_POST = function() return "post", 2 end,
    _unsupported = function(_, request) return "no " .. request.method end,
  }

  it("calls the method that is named after the request's", function()
    assert.equal("get", http1.render(resource, { method = "GET" }))
    assert.same({ "post", 2 }, { http1.render(resource, requestOf "POST / HTTP/1.1\r\nHost: h") })
    assert.equal("no PUT", http1.render(resource, requestOf "PUT / HTTP/1.1\r\nHost: h"))
    assert.has_error(function() http1.render(resource, {}) end)
  end)

  it("answers HEAD by the method for GET, if there is no other", function()
    assert.equal("get", http1.render(resource, { method = "HEAD" }))
    assert.equal("head", http1.render({ render_HEAD = function() return "head" end }, { method = "HEAD" }))
  end)

  it("looks at a method that was changed", function()
    local request = requestOf "GET / HTTP/1.1\r\nHost: h"
    request.method = "POST"
    assert.equal("post", (http1.render(resource, request)))
  end)
end)

describe("http1.respond", function()
  it("leaves alone what is not usual", function()
    local channel = channelWith "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    channel.transport = { write = function() error("not to be called") end }
    local request = serve(channel)
    assert.is_nil(http1.respond(channel, request, "text"))   -- the transport is none of ours
    for _, body in ipairs { "", 12, false, {} } do assert.is_nil(http1.respond(channel, request, body)) end
    assert.equal(request, channel._request)
    assert.has_error(function() http1.respond(channel, "x", "text") end)
    assert.has_error(function() http1.respond(channel, io.stdout, "text") end)
  end)
end)

describe("a request", function()
  it("has the members of its class, those that are computed, and its own", function()
    local class = classOfRequests { later = function(request) return request.uri .. "!" end, none = function() end }
    class.member = 1
    local request = requestOf("GET /a HTTP/1.0", class)
    assert.same({ 1, "/a!", "GET", "/a", 0, 200, false }, {
      request.member, request.later, request.method, request.uri, request._minor, request.code, request.finished,
    })
    assert.is_nil(request.neither)
    assert.is_nil(request.none)
    assert.is_nil(request:_own "member")
    assert.equal("/a!", request:_own "later")
    request.member, request.uri, request.later, request[1] = 2, "/b", nil, "one"
    assert.same({ 2, "/b", "/b!", "one" }, { request.member, request.uri, request.later, request[1] })
    request.member = nil
    assert.equal(1, request.member)
    request.code, request.finished, request._more = 404, true, 1
    assert.same({ 404, true, true }, { request.code, request.finished, request._more })
    assert.has_error(function() request.code = "x" end)
    assert.has_error(function() request.code = 1 << 16 end)
    assert.has_error(function() debug.getmetatable(request).__index(io.stdout, "member") end)
    assert.has_error(function() debug.getmetatable(request).__newindex({}, "member", 1) end)
    assert.matches("^Request: ", tostring(request))
    function class.__tostring(given) return "my " .. given.method end
    assert.equal("my GET", tostring(request))
  end)

  it("has no finalizer, whatever its class has", function()
    local class, called = classOfRequests(), false
    function class.__gc() called = true end
    requestOf("GET / HTTP/1.0", class)
    collectgarbage()
    collectgarbage()
    assert.is_false(called)
  end)

  it("lets what computes a member yield", function()
    local request = requestOf("GET / HTTP/1.0", classOfRequests { later = function() return coroutine.yield() end })
    local thread = coroutine.create(function() return request.later end)
    assert.is_true(coroutine.resume(thread))
    assert.equal("done", select(2, coroutine.resume(thread, "done")))
    assert.equal("done", request.later)
  end)

  it("tells of its fields", function()
    local request = requestOf "GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\na: 2"
    assert.same({ "2", { "1", "2" } }, { request:getHeader "a", request:getHeaders "A" })
    assert.same({ {}, nil }, { request:getHeaders "b", request:getHeader "b" })
    assert.same({ "Host", "h", "A", "1", "a", "2" }, request:_fields())
  end)

  -- The store that the response's fields are in, made by setting `fields`: name, value, ...
  local function storeOf(request, fields)
    for i = 1, #fields, 2 do request:setHeader(fields[i], fields[i + 1]) end
    return request._store
  end

  it("makes a store of the response's fields when somebody looks at it", function()
    local request = requestOf "GET / HTTP/1.0"
    assert.is_false(request._store)
    local store = storeOf(request, { "Content-Type", "a/b", "X-A", "", "ETag", '"x"' })
    assert.same({ "content-type", "x-a", "etag", ["content-type"] = "a/b", ["x-a"] = "", etag = '"x"' }, store)
    request:setHeader("x-a", 12)
    request:setHeader("C", "d\r\ne")
    assert.equal(store, request._store)
    assert.same({ "12", "d e" }, { store["x-a"], store.c })
    request._store = false
    assert.is_false(request._store)
    assert.same({ "c", c = "1" }, storeOf(request, { "c", "1" }))
    request._store = { "d", d = "2" }
    assert.same({ "d", d = "2" }, request._store)
  end)

  it("keeps the last value of a name, in any case", function()
    for _, name in ipairs { "ETag", "x-one" } do
      local store = storeOf(requestOf "GET / HTTP/1.0", { name, "1", "b", "2", name:upper(), "3" })
      assert.same({ name:lower(), "b", b = "2", [name:lower()] = "3" }, store)
    end
  end)

  it("trims and cleans values, and marks the fields that the framing depends on", function()
    assert.same({ "a", a = "x y" }, storeOf(requestOf "GET / HTTP/1.0", { "a", " x\0y\t" }))
    local store = storeOf(requestOf "GET / HTTP/1.0", { "a", "1", "Connection", "close" })
    assert.same({ true, "close", "1" }, { store[0], store.connection, store.a })
  end)

  it("takes as many and as long fields as one likes", function()
    local request, expected = requestOf "GET / HTTP/1.0", {}
    for i = 1, 60 do
      local name, value = ("f%d"):format(i), ("v"):rep(i * 7)
      request:setHeader(name, value)
      expected[i], expected[name] = name, value
    end
    assert.same(expected, request._store)
    local long = ("n"):rep(200)
    assert.same({ long, [long] = "1" }, storeOf(requestOf "GET / HTTP/1.0", { long, "1" }))
  end)

  it("raises for what is no field", function()
    local request = requestOf "GET / HTTP/1.0"
    assert.has_error(function() request:setHeader("no token", "") end)
    assert.has_error(function() request:setHeader("", "") end)
    assert.has_error(function() request:setHeader("x", {}) end)
    assert.has_error(function() request:setHeader("x") end)
    assert.has_error(function() request.setHeader({}, "x", "y") end)
    assert.is_false(request._store)
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
