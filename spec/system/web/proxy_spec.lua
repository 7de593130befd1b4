-- SPDX-License-Identifier: MIT
-- proxy_spec.lua -- reverse and forward proxies, in front of twistlua and of sockets that misbehave.
local async    = require("twistlua.test").async
local defer    = require "twistlua.defer"
local proxy    = require "twistlua.web.proxy"
local protocol = require "twistlua.protocol"
local raw      = require "system.web.raw"
local reactor  = require "twistlua.reactor"
local resource = require "twistlua.web.resource"
local task     = require "twistlua.task"

local await = defer.await

-- Says what was asked, and with what.
local Echo = resource.Resource:extend("Echo")
Echo.isLeaf = true
function Echo:render(request)
  self.requests = (self.requests or 0) + 1
  local lines = { request.method .. " " .. request.uri }
  for name, values in request.requestHeaders:getAllRawHeaders() do
    lines[#lines + 1] = name:lower() .. ": " .. table.concat(values, ", ")
  end
  request:setHeader("x-own", "yes")
  request:setHeader("keep-alive", "timeout=5")
  request.responseHeaders:setRawHeaders("set-cookie", { "a=1", "b=2" })
  return table.concat(lines, "\n") .. "\n\n" .. request.content:read("a")
end

local function leaf(render)
  local Leaf = resource.Resource:extend("Leaf")
  Leaf.isLeaf = true
  function Leaf.render(_, request) return render(request) end
  return Leaf()
end

-- A server of `backend` behind a proxy at `path`; body(port of the proxy, port of the backend, the proxy).
local function behind(backend, path, given, body)
  raw.serving(backend, function(behindPort)
    local front = proxy.ReverseProxyResource("127.0.0.1", behindPort, path, given)
    local root = resource.Resource()
    root:putChild("app", front)
    raw.serving(root, function(port) body(port, behindPort, front) end)
    await(front:close())
    -- The other ends of both sides' connections close when they have seen it.
    while #require("twistlua.core").transport.live() > 0 do await(task.deferLater(reactor, 0.001)) end
  end)
end

-- A socket that sends `bytes` to whoever connects, and `after` that.
local function rude(bytes, after, body)
  local Rude = protocol.Protocol:extend("Rude")
  function Rude:dataReceived()
    if self.said then return end
    self.said = true
    self.transport:write(bytes)
    if after then self.transport[after](self.transport) end
  end
  local factory = protocol.ServerFactory()
  factory.protocol, factory.noisy = Rude, false
  local port = reactor:listenTCP(0, factory, { interface = "127.0.0.1" })
  local front = proxy.ReverseProxyResource("127.0.0.1", port:getHost().port, "", { timeout = 0.2 })
  raw.serving(front, function(at) body(at) end)
  await(front:close())
  await(port:stopListening())
end

local function freePort()
  local port = reactor:listenTCP(0, protocol.ServerFactory(), { interface = "127.0.0.1" })
  local number = port:getHost().port
  await(port:stopListening())
  return number
end

describe("ReverseProxyResource", function()
  it("hands requests on and tells who asked", async(function()
    behind(Echo(), "/base", nil, function(port, behindPort)
      local answer = raw.ask(port, "/app/a%2Fb//c?q=%20", {
        ["X-Own"] = "v", ["Connection"] = "close, x-hop", ["X-Hop"] = "secret", ["TE"] = "trailers",
        ["X-Forwarded-For"] = "6.6.6.6", ["X-Forwarded-Proto"] = "https", ["Proxy-Authorization"] = "x",
      })
      assert.equal(200, answer.status)
      local body = answer.body
      assert.truthy(body:find("^GET /base/a%%2Fb//c%?q=%%20\n"), body)
      assert.truthy(body:find("host: 127.0.0.1:" .. behindPort, 1, true))
      assert.truthy(body:find("x-forwarded-for: 127.0.0.1\n", 1, true))
      assert.truthy(body:find("x-forwarded-host: localhost\n", 1, true))
      assert.truthy(body:find("x-forwarded-proto: http\n", 1, true))
      assert.truthy(body:find("x-own: v\n", 1, true))
      for _, gone in ipairs { "secret", "trailers", "6.6.6.6", "proxy%-auth" } do
        assert.is_nil(body:find(gone), gone)
      end
      assert.equal("yes", answer.headers["x-own"])
      assert.is_nil(answer.headers["keep-alive"])
    end)
  end))

  it("tells addresses of the server as the client knows them", async(function()
    local said
    local backend = leaf(function(request)
      request:setResponseCode(302)
      for name, value in pairs(said) do request:setHeader(name, value) end
      return ""
    end)
    behind(backend, "/v1", { preserveHost = true }, function(port, behindPort)
      local base = "http://127.0.0.1:" .. behindPort
      local function mapped(name, value)
        said = { [name] = value }
        return raw.ask(port, "/app/x").headers[name]
      end
      for value, expected in pairs {
        [base .. "/v1/a?b#c"] = "/app/a?b#c", ["HTTP://127.0.0.1:" .. behindPort .. "/v1"] = "/app", ["/v1/"] = "/app/",
        ["http://localhost/v1/a"] = "/app/a", ["/v1?x"] = "/app?x",
        -- These are not below the path that is served here, or elsewhere.
        ["/v10/a"] = "/v10/a", ["/"] = "/", [base .. "/"] = base .. "/", ["a/b"] = "a/b", ["../x"] = "../x",
        ["//127.0.0.1/v1/a"] = "//127.0.0.1/v1/a", ["/\\v1/a"] = "/\\v1/a", ["?q"] = "?q",
        ["http://a.example/v1/"] = "http://a.example/v1/", ["https://localhost/v1/"] = "https://localhost/v1/",
      } do
        assert.equal(expected, mapped("location", value))
      end
      assert.equal("/app/a", mapped("content-location", base .. "/v1/a"))
      assert.equal("5; url=/app/a", mapped("refresh", "5; url=" .. base .. "/v1/a"))
      assert.equal("0;URL='/app/a'", mapped("refresh", "0;URL='/v1/a'"))
      assert.equal("5", mapped("refresh", "5"))
      assert.equal("/v1/a", mapped("x-location", "/v1/a"))
    end)
    -- What would lead to another host when the path before it is gone.
    raw.serving(backend, function(behindPort)
      local front = proxy.ReverseProxyResource("127.0.0.1", behindPort, "/v1")
      raw.serving(front, function(port)
        said = { location = "/v1//evil.example" }
        assert.equal("/v1//evil.example", raw.ask(port, "/").headers.location)
        said = { location = "/v1" }
        assert.equal("/", raw.ask(port, "/").headers.location)
      end)
      await(front:close())
    end)
  end))

  it("keeps all cookies, and trusts a proxy in front where told so", async(function()
    behind(Echo(), "", { trustForwarded = true, preserveHost = true }, function(port)
      local bytes = raw.send(port, "GET /app HTTP/1.1\r\nHost: www\r\nConnection: close\r\n" ..
        "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n\r\n")
      assert.truthy(bytes:find("Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n", 1, true))
      assert.truthy(bytes:find("GET /\n", 1, true))
      assert.truthy(bytes:find("host: www\n", 1, true))
      assert.truthy(bytes:find("x-forwarded-for: 1.2.3.4, 127.0.0.1\n", 1, true))
      assert.truthy(bytes:find("x-forwarded-proto: https\n", 1, true))
    end)
  end))

  it("leads nowhere beside its path", async(function()
    behind(Echo(), "/base", nil, function(port)
      for _, path in ipairs { "/app/../x", "/app/%2e%2e/x", "/app/..", "/app/a/%2E./../x", "/app/x%2f..%2f..%2fy",
                              "/app/./x" } do
        assert.equal(400, raw.ask(port, path).status, path)
      end
    end)
  end))

  it("hands bodies on, with a length or in chunks", async(function()
    behind(Echo(), "", nil, function(port)
      local answer = raw.ask(port, "/app", { ["Content-Length"] = "5", Expect = "100-continue" }, "POST", "hello")
      if answer.status == 100 then answer = raw.parse(answer.body) end
      assert.truthy(answer.body:find("\n\nhello$"))
      assert.truthy(answer.body:find("content-length: 5\n", 1, true))
      assert.is_nil(answer.body:find("expect", 1, true))
      answer = raw.ask(port, "/app", { ["Transfer-Encoding"] = "chunked" }, "PUT", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
      assert.truthy(answer.body:find("\n\nabcde$"))
      assert.truthy(answer.body:find("transfer-encoding: chunked\n", 1, true))
    end)
  end))

  it("reads on behind a body that filled the way to the server", async(function()
    behind(Echo(), "", nil, function(port)
      -- More than the buffers of the kernel take, all of it there before the server is connected to.
      local body = ("x"):rep(4 * 1024 * 1024)
      local first = ("POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"):format(#body) .. body
      local bytes = raw.send(port, first .. "GET /app/next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      assert.truthy(bytes:find("GET /next\n", 1, true))
    end)
  end))

  it("keeps connections to the server for the next requests", async(function()
    local echo = Echo()
    raw.serving(echo, function(behindPort, site)
      local channels = 0
      local opened = site.channelOpened
      site.channelOpened = function(...) channels = channels + 1 return opened(...) end
      local front = proxy.ReverseProxyResource("127.0.0.1", behindPort, "")
      raw.serving(front, function(port)
        for _ = 1, 5 do assert.equal(200, raw.ask(port, "/").status) end
      end)
      assert.same({ 5, 1 }, { echo.requests, channels })
      await(front:close())
    end)
  end))

  it("sends big bodies both ways without keeping them", async(function()
    local SIZE = 20 * 1024 * 1024
    local received = 0
    local Sink = resource.Resource:extend("Sink")
    Sink.isLeaf = true
    function Sink.onBody()
      return { write = function(_, data) received = received + #data end }
    end
    function Sink.render_POST(_, request)
      request:setHeader("content-length", SIZE)
      local left = SIZE
      request:registerProducer({
        resumeProducing = function()
          request:write(("r"):rep(math.min(65536, left)))
          left = left - math.min(65536, left)
          if left == 0 then
            request:unregisterProducer()
            request:finish()
          end
        end,
        stopProducing = function() end,
      }, false)
      return require("twistlua.web.server").NOT_DONE_YET
    end
    behind(Sink(), "", nil, function(port)
      collectgarbage()
      local before = collectgarbage "count"
      local out = raw.shell(("head -c %d /dev/zero | curl -sS --max-time 60 -H Expect: -T - -X POST -o /dev/null " ..
        "-w '%%{http_code} %%{size_download}' http://127.0.0.1:%d/app"):format(SIZE, port))
      assert.equal("200 " .. SIZE, out)
      assert.equal(SIZE, received)
      collectgarbage()
      assert.is_true(collectgarbage "count" - before < 4000)
    end)
  end))

  it("makes the server wait for a client that reads slowly", async(function()
    local written, SIZE = 0, 64 * 1024 * 1024
    local source = leaf(function(request)
      request:setHeader("content-length", SIZE)
      request:registerProducer({
        resumeProducing = function()
          if written < SIZE then
            request:write(("r"):rep(65536))
            written = written + 65536
          end
        end,
        stopProducing = function() end,
      }, false)
      return require("twistlua.web.server").NOT_DONE_YET
    end)
    behind(source, "", nil, function(port)
      local Slow = protocol.Protocol:extend("Slow")
      local lost = defer.Deferred()
      function Slow:connectionMade()
        self.transport:pauseProducing()
        self.transport:write("GET /app HTTP/1.1\r\nHost: a\r\n\r\n")
        self.factory.client = self
      end
      function Slow.connectionLost() lost:callback() end
      local factory = protocol.ClientFactory()
      factory.noisy, factory.protocol = false, Slow
      reactor:connectTCP("127.0.0.1", port, factory)
      local last = -1
      while written == 0 or written ~= last do
        last = written
        await(task.deferLater(reactor, 0.1))
      end
      assert.is_true(written < SIZE / 2)
      factory.client.transport:abortConnection()
      await(lost)
    end)
  end))

  it("goes on with a connection on which the end of a body was held up", async(function()
    raw.serving(leaf(function() return ("x"):rep(1000) end), function(port)
      local client = require "twistlua.web.client"
      local pool = client.HTTPConnectionPool(reactor)
      local agent = client.Agent(reactor, { pool = pool })
      local uri = ("http://127.0.0.1:%d/"):format(port)
      local Pausing = protocol.Protocol:extend("Pausing")
      function Pausing:dataReceived() self.transport:pauseProducing() end
      local pausing = Pausing()
      await(agent:request("GET", uri)):deliverBody(pausing)
      assert.equal(1000, #await(client.readBody(await(agent:request("GET", uri)))))
      await(pool:closeCachedConnections())
    end)
  end))

  it("says 502 where the server refuses, or answers nonsense", async(function()
    local port = freePort()
    raw.serving(proxy.ReverseProxyResource("127.0.0.1", port, ""), function(at)
      assert.equal(502, raw.ask(at, "/").status)
      assert.equal(502, raw.ask(at, "/", { ["Content-Length"] = "2" }, "POST", "ab").status)
    end)
    rude("nonsense\r\n\r\n", "loseConnection", function(at) assert.equal(502, raw.ask(at, "/").status) end)
    rude("", "abortConnection", function(at) assert.equal(502, raw.ask(at, "/", nil, "POST").status) end)
  end))

  it("says 504 where it takes too long", async(function()
    rude("", nil, function(at) assert.equal(504, raw.ask(at, "/").status) end)
  end))

  it("breaks off where the server does, so that the client sees it", async(function()
    rude("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", "loseConnection", function(at)
      local bytes, reason = raw.send(at, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      assert.is_nil(bytes:find("502", 1, true))
      assert.truthy(reason:check("ConnectionLost"))
    end)
  end))

  it("takes a body that ends with the connection", async(function()
    rude("HTTP/1.0 200 OK\r\n\r\nabc", "loseConnection", function(at)
      local answer = raw.ask(at, "/")
      assert.truthy(answer.body:find("abc", 1, true))
      assert.equal("chunked", answer.headers["transfer-encoding"])
    end)
  end))

  it("gives up what the client does not wait for", async(function()
    local lost = defer.Deferred()
    local slow = leaf(function(request)
      request:notifyFinish():addErrback(function() lost:callback() end)
      return require("twistlua.web.server").NOT_DONE_YET
    end)
    behind(slow, "", nil, function(port)
      raw.shell(("curl -s --max-time 0.3 http://127.0.0.1:%d/app"):format(port))
      await(lost)
    end)
  end))

  it("lets connections become something else", async(function()
    local upgrading = leaf(function(request)
      request:setResponseCode(101)
      request:setHeader("connection", "Upgrade")
      request:setHeader("upgrade", request:getHeader("upgrade"))
      local Loud = protocol.Protocol:extend("Loud")
      function Loud:dataReceived(data)
        self.transport:write(data:upper())
        if data:find("bye", 1, true) then self.transport:loseConnection() end
      end
      local loud = Loud()
      local transport, first = request:takeOver(loud)
      loud:makeConnection(transport)
      if first ~= "" then loud:dataReceived(first) end
      return require("twistlua.web.server").NOT_DONE_YET
    end)
    behind(upgrading, "", nil, function(port)
      local bytes = raw.send(port, "GET /app HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n" ..
        "Upgrade: loud\r\n\r\nhello, bye")
      assert.truthy(bytes:find("^HTTP/1.1 101 Switching Protocols\r\n"))
      assert.truthy(bytes:find("Upgrade: loud\r\n", 1, true))
      assert.truthy(bytes:find("\r\n\r\nHELLO, BYE$"))
    end)
    local closed = freePort()
    raw.serving(proxy.ReverseProxyResource("127.0.0.1", closed, ""), function(port)
      assert.equal(502, raw.ask(port, "/", { Connection = "upgrade", Upgrade = "x" }).status)
    end)
  end))

  it("refuses what it cannot be made of", function()
    assert.has_error(function() proxy.ReverseProxyResource("h", 0, "") end)
    assert.has_error(function() proxy.ReverseProxyResource("h", 80, "x") end)
    assert.has_error(function() proxy.ReverseProxyResource("h", 80, "/x y") end)
    assert.has_error(function() proxy.ReverseProxyResource("h", 80, "", { tineout = 1 }) end)
  end)
end)

describe("ProxyFactory", function()
  local function forwarding(given, body)
    local factory = proxy.ProxyFactory(given)
    local port = reactor:listenTCP(0, factory, { interface = "127.0.0.1" })
    local ok, problem = pcall(body, port:getHost().port)
    await(port:stopListening())
    if factory._agent then await(factory._agent._pool:closeCachedConnections()) end
    if not ok then error(problem, 0) end
  end

  local function curl(port, arguments)
    return raw.shell(("curl -sS --max-time 20 -x http://127.0.0.1:%d %s"):format(port, arguments))
  end

  it("hands requests on to wherever they want", async(function()
    raw.serving(Echo(), function(behindPort)
      forwarding(nil, function(port)
        local body = curl(port, ("-d hello -H 'X-Own: v' 'http://127.0.0.1:%d/a?b'"):format(behindPort))
        assert.truthy(body:find("^POST /a%?b\n"), body)
        assert.truthy(body:find("host: 127.0.0.1:" .. behindPort, 1, true))
        assert.truthy(body:find("via: 1.1 twistlua\n", 1, true))
        assert.truthy(body:find("\n\nhello$"))
        assert.is_nil(body:find("proxy-connection", 1, true))
        assert.is_nil(body:find("x-forwarded", 1, true))
      end)
    end)
  end))

  it("connects to ports that it may", async(function()
    raw.serving(Echo(), function(behindPort)
      forwarding({ connectPorts = { behindPort } }, function(port)
        assert.truthy(curl(port, ("-p http://127.0.0.1:%d/tunnelled"):format(behindPort)):find("^GET /tunnelled\n"))
        assert.equal("403", curl(port, "-p -o /dev/null -w '%{http_connect}' http://127.0.0.1:1/"):match("%d+$"))
      end)
      forwarding(nil, function(port)
        assert.truthy(curl(port, ("-p http://127.0.0.1:%d/"):format(behindPort)):find("403", 1, true))
      end)
    end)
  end))

  it("asks who may", async(function()
    forwarding({ allow = function(host, port) return host == "127.0.0.1" and port == 80 end, connectPorts = { 81 } },
      function(port)
        assert.equal(403, raw.ask(port, "http://127.0.0.1:81/").status)
        assert.equal(403, raw.ask(port, "http://example.com/").status)
        assert.equal(403, raw.ask(port, "127.0.0.1:81", nil, "CONNECT").status)
      end)
  end))

  it("says what is wrong", async(function()
    local closed = freePort()
    forwarding({ connectPorts = { closed } }, function(port)
      assert.equal(400, raw.ask(port, "/").status)
      assert.equal(400, raw.ask(port, "ftp://a/").status)
      assert.equal(502, raw.ask(port, "http://127.0.0.1:" .. closed .. "/").status)
      assert.equal(502, raw.ask(port, "127.0.0.1:" .. closed, nil, "CONNECT").status)
    end)
  end))
end)
