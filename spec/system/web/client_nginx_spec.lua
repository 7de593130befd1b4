-- SPDX-License-Identifier: MIT
-- client_nginx_spec.lua -- the web client and nginx.
local async    = require("twistlua.test").async
local client   = require "twistlua.web.client"
local coding   = require("twistlua.core").coding
local defer    = require "twistlua.defer"
local nginx    = require "system.web.nginx"
local reactor  = require "twistlua.reactor"
local Protocol = require("twistlua.protocol").Protocol

local await = defer.await

local TEXT = ("text that can be compressed well, "):rep(3000)

local SERVERS = [[
  server {
    listen 127.0.0.1:%PORT%;
    gzip on; gzip_types *; gzip_min_length 1;
    location /connection { return 200 "$connection/$connection_requests $http_user_agent"; }
    location /close { keepalive_timeout 0; return 200 "$connection"; }
    location /moved { return 302 /connection?from=moved; }
    location /brotli { gzip off; add_header Content-Encoding br; }
    location /large { gzip off; }
    location /echo { add_header Set-Cookie "name=value; Path=/"; return 200 "$request_method $args $http_cookie"; }
    location /json { default_type application/json; return 200 '{"list":[1,2]}'; }
    location /auth { return 200 "$http_authorization"; }
  }
]]

describe("the web client with nginx", function()
  local server, pool

  before_each(function()
    server = nginx.start(SERVERS, {
      text = TEXT, brotli = coding.encoder("br"):encode(TEXT, "end"), large = ("0123456789abcdef"):rep(1048576),
    })
  end)

  after_each(function() server.stop() end)

  -- A test with a pool, which is empty when it ends.
  local function pooled(body, given)
    return async(function()
      pool = client.HTTPConnectionPool(reactor)
      local ok, err = pcall(body)
      await(pool:closeCachedConnections())
      if not ok then error(err, 0) end
    end, given)
  end

  local function get(path, given)
    given = given or {}
    given.pool = given.pool or pool
    return await(client.get(server.url .. path, given))
  end

  it("uses one connection for requests one after the other", pooled(function()
    local connections = {}
    for i = 1, 3 do
      local connection, count = get("/connection").body:match "^(%d+)/(%d+) twistlua/"
      assert.equal(tostring(i), count)
      connections[connection] = true
    end
    local first = next(connections)
    assert.is_nil(next(connections, first))
  end))

  it("uses a new one for each without a pool", pooled(function()
    local first = await(client.get(server.url .. "/connection")).body
    local second = await(client.get(server.url .. "/connection")).body
    assert.matches("/1 ", first)
    assert.matches("/1 ", second)
    assert.not_equal(first, second)
  end))

  it("takes a connection that the server closes for closed", pooled(function()
    assert.not_equal(get("/close").body, get("/close").body)
  end))

  it("never has more connections than it may", pooled(function()
    local bounded = client.HTTPConnectionPool(reactor, { maxConnectionsPerHost = 2 })
    local waiting, seen, count = {}, {}, 0
    for i = 1, 20 do waiting[i] = client.get(server.url .. "/connection", { pool = bounded }) end
    for _, result in ipairs(waiting) do
      local connection = await(result).body:match "^%d+"
      if not seen[connection] then seen[connection], count = true, count + 1 end
    end
    assert.equal(2, count)
    await(bounded:closeCachedConnections())
  end))

  it("makes up for a connection that the server has closed meanwhile", pooled(function()
    assert.equal(200, get("/connection").code)
    server.stop()
    server = nginx.start(SERVERS, nil, server.port)
    assert.matches("/1 ", get("/connection").body)
  end))

  it("decodes what nginx compresses, and brotli", pooled(function()
    local zipped = get("/text")
    assert.equal(TEXT, zipped.body)
    assert.is_nil(zipped.headers:getHeader "content-encoding")
    local agent = client.Agent(reactor, { pool = pool })
    local plain = await(agent:request("GET", server.url .. "/text", { ["Accept-Encoding"] = "gzip" }))
    assert.equal("gzip", plain.headers:getHeader "content-encoding")
    assert.is_true(#await(client.readBody(plain)) < 2000)
    assert.equal(TEXT, get("/brotli").body)
  end))

  it("follows redirections, with the method and fields of each request", pooled(function()
    local result = get("/moved")
    assert.equal(200, result.code)
    assert.equal(server.url .. "/connection?from=moved", result.url)
    assert.equal(302, result.previousResponse.code)
    assert.equal(302, get("/moved", { followRedirects = false }).code)
  end))

  it("sends queries, cookies and credentials", pooled(function()
    local jar = client.CookieJar()
    assert.equal("GET a=1%202&b=x ", get("/echo", { query = { a = "1 2", b = { "x" } }, cookies = jar }).body)
    assert.equal("GET q name=value", get("/echo?q", { cookies = jar }).body)
    assert.equal("Basic dXNlcjpzZWNyZXQ=", get("/auth", { auth = { "user", "secret" } }).body)
  end))

  it("reads JSON", pooled(function()
    assert.same({ list = { 1, 2 } }, get("/json"):json())
    local ok, message = pcall(function() get("/auth"):json() end)
    assert.is_false(ok)
    assert.matches("not JSON", message)
  end))

  it("has an empty body for HEAD", pooled(function()
    local result = await(client.head(server.url .. "/large", { pool = pool }))
    assert.equal("", result.body)
    assert.equal("16777216", result.headers:getHeader "content-length")
  end))

  it("downloads as fast as its consumer takes it", pooled(function()
    local agent = client.Agent(reactor, { pool = pool })
    local response = await(agent:request("GET", server.url .. "/large"))
    assert.equal(16777216, response.length)
    local consumer, done = Protocol(), defer.Deferred()
    local size, pauses = 0, 0
    function consumer:dataReceived(data)
      size, pauses = size + #data, pauses + 1
      self.transport:pauseProducing()
      reactor:callLater(0, function() self.transport:resumeProducing() end)
    end
    function consumer.connectionLost(_, reason) done:callback(reason:check(client.ResponseDone) ~= nil) end
    response:deliverBody(consumer)
    assert.is_true(await(done))
    assert.equal(16777216, size)
    assert.is_true(pauses > 10)
  end, { timeout = 20 }))

  it("stops in the middle of a body when it is cancelled", pooled(function()
    local agent = client.Agent(reactor, { pool = pool })
    local body = client.readBody(await(agent:request("GET", server.url .. "/large")))
    body:cancel()
    local ok, err = pcall(await, body)
    assert.is_false(ok)
    assert.equal("CancelledError", err.__name)
    assert.matches("BodyTooLarge", tostring(select(2, pcall(get, "/large", { maxBody = 1000 }))))
  end))
end)
