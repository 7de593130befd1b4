-- SPDX-License-Identifier: MIT
-- site_spec.lua -- a site on a transport in memory: requests in, responses out.
local async    = require "twistlua.test".async
local defer    = require "twistlua.defer"
local errors   = require "twistlua.error"
local resource = require "twistlua.web.resource"
local server   = require "twistlua.web.server"
local Served   = require "lua.web.served"

local flush = require("twistlua.test.async").flushLoggedErrors

-- Errors that are logged and not expected fail the spec.
local function does(name, body)
  it(name, async(body))
end

local GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

describe("Site", function()
  local served

  local function serve(...)
    served = Served(...)
    return served
  end

  -- The body of what is answered with 200.
  local function text(path)
    local status, body = served:get(path)
    assert.equal(200, status)
    return body
  end

  after_each(function()
    if served then served:lose() end
    served = nil
  end)

  does("answers with what the resource renders", function()
    serve(function(request)
      request:setHeader("content-type", "text/plain")
      return "hello " .. request.path
    end)
    local status, body, head = served:get("/x?y")
    assert.same({ 200, "hello /x" }, { status, body })
    assert.truthy(head:find("content-type: text/plain\r\n", 1, true))
    assert.truthy(head:find("content-length: 8\r\n", 1, true))
    assert.truthy(head:find("date: %a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d gmt\r\n"))
    assert.is_nil(head:find("connection:", 1, true))
    assert.is_false(served:isClosed())
  end)

  does("goes on with a connection, and takes heads and bodies cut in any way", function()
    serve(function(request) return request.method .. request.content:read("a") end)
    local bytes = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" .. GET ..
      "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n" .. GET
    for size = 1, #bytes do
      local bodies = {}
      for at = 1, #bytes, size do
        local answer = served:send(bytes:sub(at, at + size - 1))
        for length, from in answer:gmatch("Content%-Length: (%d+)\r\n\r\n()") do
          bodies[#bodies + 1] = answer:sub(from, from + length - 1)
        end
      end
      assert.same({ "POSThello", "GET", "PUTabc", "GET" }, bodies)
    end
  end)

  does("answers strictly in order, one request at a time", function()
    local waiting = {}
    serve(function(request)
      waiting[#waiting + 1] = request
      return server.NOT_DONE_YET
    end)
    assert.equal("", served:send(GET:gsub("/", "/1", 1) .. GET:gsub("/", "/2", 1)))
    assert.equal(1, #waiting)
    waiting[1]:write("one")
    waiting[1]:finish()
    assert.equal(2, #waiting)
    assert.truthy(served:take():find("\r\n\r\n3\r\none\r\n0\r\n\r\n", 1, true))
    assert.equal("/2", waiting[2].uri)
    waiting[2]:finish()
    assert.truthy(served:take():find("Content-Length: 0\r\n", 1, true))
  end)

  does("reads no more after 16 KiB of further requests", function()
    local waiting
    serve(function(request)
      waiting = request
      return server.NOT_DONE_YET
    end)
    local many = GET:rep(16384 // #GET)
    served:send(GET .. many)
    assert.equal("producing", served.transport.producerState)
    served:send(GET .. GET)
    assert.equal("paused", served.transport.producerState)
    waiting:finish()
    assert.equal("producing", served.transport.producerState)
  end)

  does("closes after HTTP/1.0, unless keep-alive is asked for and the length is known", function()
    local long = false
    serve(function(request)
      if not long then return "x" end
      request:write("y")
      request:finish()
    end)
    local answer = served:send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert.truthy(answer:find("Connection: keep-alive\r\n", 1, true))
    assert.is_false(served:isClosed())
    long = true
    answer = served:send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert.truthy(answer:find("Connection: close\r\n\r\ny$"))
    assert.is_true(served:isClosed())
    serve(function() return "x" end)
    assert.truthy(served:send("GET / HTTP/1.0\r\n\r\n"):find("Connection: close\r\n", 1, true))
    assert.is_true(served:isClosed())
  end)

  does("closes when either side says so", function()
    serve(function() return "x" end)
    assert.truthy(served:send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" .. GET)
      :find("Connection: close\r\n\r\nx$"))
    assert.is_true(served:isClosed())
    serve(function(request)
      request:setHeader("connection", "close")
      return "x"
    end)
    local answer = served:send(GET .. GET)
    assert.equal(1, select(2, answer:gsub("Connection: close", "")))
    assert.equal(1, select(2, answer:gsub("HTTP/1.1 200", "")))
    assert.is_true(served:isClosed())
  end)

  does("has no body for HEAD, 204 and 304", function()
    local code, write = 200, false
    serve(function(request)
      request:setResponseCode(code)
      if not write then return "body" end
      request:write("body")
      request:finish()
    end)
    for _, case in ipairs { { "HEAD", 200, "Content%-Length: 4" }, { "GET", 204 }, { "GET", 304 } } do
      code = case[2]
      for _, written in ipairs { false, true } do
        write = written
        local answer = served:send((GET:gsub("GET", case[1])))
        assert.truthy(answer:find("\r\n\r\n$"))
        assert.is_nil(answer:find("chunked", 1, true))
        if case[3] and not written then assert.truthy(answer:find(case[3])) end
        if code ~= 200 then assert.is_nil(answer:find("Content%-Length")) end
      end
    end
  end)

  does("asks for a body that waits to be asked for, when it is wanted", function()
    serve(function(request) return request.content:read("a") end)
    local head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    assert.equal("HTTP/1.1 100 Continue\r\n\r\n", served:send(head))
    assert.truthy(served:send("ab"):find("\r\n\r\nab$"))
    assert.is_nil(served:send(head .. "ab"):find("100 Continue", 1, true))
    assert.is_nil(served:send((head:gsub("1%.1", "1.0"))):find("100 Continue", 1, true))
  end)

  does("refuses other expectations by 417, and long bodies by 413, and closes", function()
    local function refusal(rest)
      return (Served.parse(served:send("POST / HTTP/1.1\r\nHost: a\r\n" .. rest)))
    end
    serve(function() return "x" end)
    assert.equal(417, refusal("Expect: tea\r\nContent-Length: 2\r\n\r\n"))
    assert.is_true(served:isClosed())
    serve(function() return "x" end, { bodyLimit = 10 })
    assert.equal(413, refusal("Content-Length: 11\r\n\r\n"))
    assert.is_true(served:isClosed())
    serve(function() return "x" end, { bodyLimit = 10 })
    assert.equal(413, refusal("Transfer-Encoding: chunked\r\n\r\nb\r\n"))
    assert.is_true(served:isClosed())
  end)

  does("answers 500 when a handler raises, and goes on", function()
    local bad = true
    serve(function()
      if bad then error("broken <&>") end
      return "good"
    end)
    local status, body = served:get("/")
    assert.equal(500, status)
    assert.is_nil(body:find("broken", 1, true))
    assert.equal(1, #flush())
    assert.is_false(served:isClosed())
    bad = false
    assert.equal("good", text("/"))
  end)

  does("shows the trace with displayTracebacks", function()
    serve(function() error("broken <&>") end, { displayTracebacks = true })
    local status, body = served:get("/")
    assert.equal(500, status)
    assert.truthy(body:find("broken &lt;&amp;&gt;", 1, true))
    assert.truthy(body:find("site_spec.lua", 1, true))
    assert.equal(1, #flush())
  end)

  does("closes when a handler raises within its response", function()
    serve(function(request)
      request:write("part")
      error("broken")
    end)
    assert.is_nil(served:send(GET):find("0\r\n\r\n", 1, true))
    assert.is_true(served:isClosed())
    assert.equal(1, #flush())
  end)

  does("answers 500 for a handler that returns what is no body", function()
    for _, value in ipairs { {}, 7, true } do
      serve(function() return value end)
      assert.equal(500, (served:get("/")))
      served:lose()
    end
    serve(function() return nil end)
    assert.equal(500, (served:get("/")))
    assert.equal(4, #flush())
  end)

  does("answers when a Deferred fires", function()
    local d
    serve(function()
      d = defer.Deferred()
      return d
    end)
    assert.equal("", served:send(GET))
    d:callback("later")
    assert.truthy(served:take():find("\r\n\r\nlater$"))
    assert.equal("", served:send(GET))
    d:errback(errors.ConnectError())
    assert.truthy(served:take():find("^HTTP/1.1 500 "))
    assert.equal(1, #flush())
    assert.equal("", served:send(GET))
    d:callback(nil)
    assert.truthy(served:take():find("Content%-Length: 0\r\n"))
  end)

  does("lets a handler await", function()
    local d
    serve(function(request)
      d = defer.Deferred()
      return request.uri .. " " .. defer.await(d)
    end)
    assert.equal("", served:send(GET:gsub("/", "/1", 1) .. GET:gsub("/", "/2", 1)))
    d:callback("one")
    assert.truthy(served:take():find("\r\n\r\n/1 one$"))
    d:callback("two")
    assert.truthy(served:take():find("\r\n\r\n/2 two$"))
    served:send(GET)
    d:errback(errors.ConnectError())
    assert.truthy(served:take():find("^HTTP/1.1 500 "))
    assert.equal(1, #flush())
    served:send(GET)
    d:callback("three")
    assert.truthy(served:take():find("\r\n\r\n/ three$"))
  end)

  does("cancels what a handler waits for when the client has gone", function()
    local cancelled, how = 0, nil
    local function wait()
      return defer.Deferred(function() cancelled = cancelled + 1 end)
    end
    serve(function() return wait() end)
    served:send(GET)
    served:lose()
    assert.equal(1, cancelled)
    serve(function()
      how = select(2, pcall(defer.await, wait()))
      error(how, 0)
    end)
    served:send(GET)
    served:lose()
    assert.equal(2, cancelled)
    assert.equal("CancelledError", how.__name)
    assert.equal(0, #flush())
  end)

  does("tells by notifyFinish how a response has ended", function()
    local request, ended
    serve(function(asked)
      request = asked
      asked:notifyFinish():addBoth(function(value) ended = value or "finished" end)
      return server.NOT_DONE_YET
    end)
    served:send(GET)
    request:finish()
    assert.equal("finished", ended)
    assert.is_true(request:notifyFinish().called)
    served:send(GET)
    served:lose()
    assert.equal(errors.ConnectionDone, ended.type)
    request:write("ignored")
    assert.has_error(function() request:finish() end)
    assert.is_true(request.disconnected)
  end)

  does("refuses to write or finish twice", function()
    local request
    serve(function(asked)
      request = asked
      return "done"
    end)
    served:send(GET)
    assert.has_error(function() request:write("x") end)
    assert.has_error(function() request:finish() end)
    assert.has_error(function() request:respond("x") end)
    assert.has_error(function() request:write(nil) end)
  end)

  does("streams a body to what onBody returns, as fast as that takes it", function()
    local got, wait = {}, nil
    local Upload = resource.Resource:extend("Upload")
    Upload.isLeaf = true
    function Upload:onBody(request)
      return { write = function(_, data)
        got[#got + 1] = data
        wait = defer.Deferred()
        return wait
      end }, request
    end
    function Upload:render_PUT(request) return table.concat(got, "|") .. request.content:read("a") end
    serve(Upload())
    served:send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
    assert.same({ "abc" }, got)
    assert.equal("paused", served.transport.producerState)
    wait:callback(nil)
    assert.equal("producing", served.transport.producerState)
    assert.equal("", served:send("def"))
    wait:callback(nil)
    assert.truthy(served:take():find("\r\n\r\nabc|def$"))
  end)

  does("gives no piece of a body before the last was taken, and answers 500 when that fails", function()
    local got, waits = {}, {}
    local Upload = resource.Resource:extend("Upload")
    Upload.isLeaf = true
    function Upload:onBody()
      return { write = function(_, data)
        got[#got + 1] = data
        waits[#waits + 1] = defer.Deferred()
        defer.await(waits[#waits])
      end }
    end
    function Upload:render_PUT() return "done" end
    serve(Upload())
    served:send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\na", "b", "c", "d")
    assert.same({ "a" }, got)
    waits[1]:callback(nil)
    assert.same({ "a", "bcd" }, got)
    waits[2]:callback(nil)
    assert.truthy(served:take():find("\r\n\r\ndone$"))
    served:send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\na")
    waits[3]:errback(errors.ConnectError())
    assert.equal(500, (Served.parse(served:take())))
    assert.is_true(served:isClosed())
    assert.equal(1, #flush())
  end)

  does("reads on for the next request where a handler has forgotten that it paused its body", function()
    serve(Served.leaf(function() return "done" end, {
      onBody = function(_, request) return { write = function() request:pauseProducing() end } end,
    }))
    served:send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na")
    assert.equal("producing", served.transport.producerState)
  end)

  does("lets onBody await, with the body coming meanwhile", function()
    local d, got = defer.Deferred(), {}
    local Upload = resource.Resource:extend("Upload")
    Upload.isLeaf = true
    function Upload:onBody()
      defer.await(d)
      return { write = function(_, data) got[#got + 1] = data end }
    end
    function Upload:render_PUT() return table.concat(got) end
    serve(Upload())
    served:send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc", "def" .. GET)
    d:callback(nil)
    local answer = served:take()
    assert.truthy(answer:find("\r\n\r\nabcdefHTTP/1.1 405", 1, true))
  end)

  does("hands the connection over", function()
    local protocol, lost = {}, false
    function protocol:dataReceived(data) self.transport:write(data:upper()) end
    function protocol:connectionLost() lost = true end
    serve(function(request)
      request:setResponseCode(101)
      request:setHeader("upgrade", "shout")
      request:setHeader("connection", "Upgrade")
      local transport, data = request:takeOver(protocol)
      protocol.transport = transport
      protocol:dataReceived(data)
      return server.NOT_DONE_YET
    end)
    local asked = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: shout\r\nConnection: upgrade\r\n\r\n"
    local answer = served:send(asked .. "early ", "late")
    assert.truthy(answer:find("^HTTP/1.1 101 Switching Protocols\r\n"))
    assert.truthy(answer:find("\r\n\r\nEARLY LATE$"))
    assert.is_nil(answer:find("Content%-Length"))
    served:lose()
    assert.is_true(lost)
  end)

  does("takes an error with a status for the answer", function()
    serve(function(request) return request.args.a[1] end, { formFields = 2 })
    assert.equal("1", text("/?a=1"))
    local status, body = served:get("/?a=1&b=2&c=3")
    assert.equal(400, status)
    assert.truthy(body:find("more than 2", 1, true))
    assert.equal(0, #flush())
  end)

  does("serves scripts/counter.lua's resource", function()
    local Counter = resource.Resource:extend("Counter")
    Counter.isLeaf = true
    Counter.numberRequests = 0
    function Counter:render_GET(request)
      self.numberRequests = self.numberRequests + 1
      request:setHeader("content-type", "text/plain")
      return ("I am request #%d\n"):format(self.numberRequests)
    end
    serve(Counter())
    assert.equal("I am request #1\n", text("/"))
    assert.equal("I am request #2\n", text("/any/where"))
    assert.equal(405, (Served.parse(served:send("POST / HTTP/1.1\r\nHost: a\r\n\r\n"))))
  end)
end)
