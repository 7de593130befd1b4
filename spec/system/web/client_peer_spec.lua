-- SPDX-License-Identifier: MIT
-- client_peer_spec.lua -- the web client with servers that misbehave, with one that tells what it was sent, with a
-- proxy, and with none at all.
local async     = require("twistlua.test").async
local certificates = require "system.tls.certificates"
local child     = require "system.child"
local client    = require "twistlua.web.client"
local defer     = require "twistlua.defer"
local endpoints = require "twistlua.endpoints"
local nginx     = require "system.web.nginx"
local peer      = require "system.web.client_peer"
local reactor   = require "twistlua.reactor"
local ssl       = require "twistlua.ssl"
local task      = require "twistlua.task"

local await = defer.await

local function failureOf(deferred)
  local ok, err = pcall(await, deferred)
  assert.is_false(ok)
  return err
end

describe("the web client", function()
  local server

  before_each(function() server = peer.start() end)
  after_each(function() server.stop() end)

  local function get(path, given) return client.get(server.url .. path, given) end

  it("tells that a body was cut short", async(function()
    for _, path in ipairs { "/short", "/shortchunk" } do
      local err = failureOf(get(path))
      assert.equal("ResponseFailed", err.__name)
      assert.matches("Connection was closed cleanly", err.message)
    end
  end))

  it("takes a body that ends with its connection", async(function()
    assert.equal("all of it", await(get "/rest").body)
  end))

  it("tells that there was no response", async(function()
    assert.equal("ResponseNeverReceived", failureOf(get "/nothing").__name)
  end))

  it("tells what is wrong with a response", async(function()
    assert.matches("Not HTTP: .*garbage", failureOf(get "/garbage").message)
    assert.matches("Content%-Length", failureOf(get "/smuggle").message)
    assert.matches("Not HTTP", failureOf(get "/endless").message)
  end))

  it("passes over interim responses", async(function()
    assert.equal("late", await(get "/interim").body)
  end))

  it("does not wait for ever", async(function()
    assert.equal("TimeoutError", failureOf(get("/silent", { timeout = 0.05 })).__name)
    local agent = client.Agent(reactor, { headTimeout = 0.05 })
    assert.equal("TimeoutError", failureOf(agent:request("GET", server.url .. "/silent")).__name)
  end))

  it("makes up for stale connections", async(function()
    local pool = client.HTTPConnectionPool(reactor)
    for _ = 1, 20 do assert.equal("ok", await(get("/stale", { pool = pool })).body) end
    await(pool:closeCachedConnections())
  end))

  it("tells whom it cannot connect to", async(function()
    server.stop()
    local err = failureOf(get "/")
    assert.equal("ConnectionRefusedError", err.__name)
    assert.matches("'127.0.0.1' port " .. server.port, err.message)
    server = peer.start()
  end))

  it("uploads a file with its length, and what has none in chunks", async(function()
    local path = child.file(("0123456789abcdef"):rep(1000000))
    local digest = child.run({ "sha256sum", path }).stdout:match "^%x+"
    local counted = await(client.put(server.url .. "/tell", { body = client.FileBodyProducer(io.open(path, "rb")) }))
    assert.equal("16000000 " .. digest, counted.body)
    local producer = client.FileBodyProducer(io.open(path, "rb"))
    producer.length = client.UNKNOWN_LENGTH
    assert.equal("16000000 " .. digest, await(client.post(server.url .. "/tell", { body = producer })).body)
    local text = child.take(path)
    assert.equal("16000000 " .. digest, await(client.post(server.url .. "/tell", { body = text })).body)
  end, { timeout = 20 }))

  it("takes a response that comes before the body is sent", async(function()
    local path = child.file(("x"):rep(30000000))
    local file = io.open(path, "rb")
    local result = await(client.put(server.url .. "/early", { body = client.FileBodyProducer(file) }))
    os.remove(path)
    assert.equal(413, result.code)
    assert.equal("big", result.body)
    assert.equal("closed file", io.type(file))
  end, { timeout = 20 }))

  it("sends forms and JSON", async(function()
    local function digestOf(text) return child.run({ "sha256sum" }, { stdin = text }).stdout:match "^%x+" end
    assert.equal("11 " .. digestOf "a=b%20c&d=1",
      await(client.post(server.url .. "/tell", { form = { a = "b c", d = 1 } })).body)
    assert.equal("9 " .. digestOf '{"a":[1]}', await(client.post(server.url .. "/tell", { json = { a = { 1 } } })).body)
    assert.has_error(function() client.post(server.url, { json = {}, form = {} }) end)
  end))

  it("goes through a proxy", async(function()
    local agent = client.ProxyAgent(endpoints.TCP4ClientEndpoint(reactor, "127.0.0.1", server.port), reactor)
    local response = await(agent:request("GET", "http://no.such.host.example/x?y"))
    assert.equal("http://no.such.host.example/x?y", await(client.readBody(response)))
  end))

  it("reaches a server behind a UNIX socket", async(function()
    local path = os.tmpname()
    os.remove(path)
    local relay = child.start { "socat", "UNIX-LISTEN:" .. path .. ",fork", "TCP4:127.0.0.1:" .. server.port }
    assert(os.execute(("timeout 15 sh -c 'until [ -S %s ]; do sleep 0.02; done'"):format(path)))
    local agent = client.Agent.usingEndpointFactory(reactor, {
      endpointForURI = function() return endpoints.UNIXClientEndpoint(reactor, path) end,
    })
    local body = await(client.get("http://any.example/path", { agent = agent })).body
    relay:signal "TERM"
    await(task.deferLater(reactor, 0))   -- in which the connection is closed; socat ends with it
    relay:finish()
    os.remove(path)
    assert.equal("/path", body)
  end))
end)

describe("the web client with https", function()
  local secured, proxy, authority

  before_each(function()
    local blocks = {}
    for place, name in pairs { ["%PORT%"] = "server", ["%PORT2%"] = "selfsigned" } do
      local certificate, key = certificates.of(name)
      blocks[#blocks + 1] = ([[server { listen 127.0.0.1:%s ssl; ssl_certificate %s; ssl_certificate_key %s;
        location / { return 200 "secret $connection_requests"; } }]]):format(place, certificate, key)
    end
    secured = nginx.start(table.concat(blocks))
    proxy = peer.start()
    authority = ssl.trustRootFromFile((certificates.of "authority"))
  end)

  after_each(function()
    secured.stop()
    proxy.stop()
  end)

  local function url(port, host) return ("https://%s:%d/"):format(host or "127.0.0.1", port) end

  local function trusting(given)
    given = given or {}
    given.contextFactory = client.BrowserLikePolicyForHTTPS(authority)
    return client.Agent(reactor, given)
  end

  it("talks to a server whose certificate is trusted, and keeps the connection", async(function()
    local pool = client.HTTPConnectionPool(reactor)
    local agent = trusting { pool = pool }
    for i = 1, 2 do
      assert.equal("secret " .. i, await(client.get(url(secured.port), { agent = agent })).body)
    end
    await(pool:closeCachedConnections())
    assert.equal("secret 1", await(client.get(url(secured.port, "localhost"), { agent = trusting() })).body)
  end))

  it("refuses a certificate that nobody trusted has signed", async(function()
    for _, agent in ipairs { trusting(), client.Agent(reactor) } do
      local err = failureOf(agent:request("GET", url(secured.port2)))
      assert.equal("SSLError", err.__name)
      assert.matches("certificate", err.message)
    end
    assert.equal("SSLError", failureOf(client.get(url(secured.port))).__name)
  end))

  it("takes options for TLS as they are", async(function()
    local options = ssl.CertificateOptions { trustRoot = authority }
    local agent = client.Agent(reactor, { contextFactory = options })
    assert.equal("secret 1", await(client.get(url(secured.port), { agent = agent })).body)
    local other = ssl.optionsForClientTLS("other.example", { trustRoot = authority })
    local refused = failureOf(client.Agent(reactor, { contextFactory = other }):request("GET", url(secured.port)))
    assert.equal("SSLError", refused.__name)
  end))

  it("verifies the server itself through a proxy", async(function()
    local endpoint = endpoints.TCP4ClientEndpoint(reactor, "127.0.0.1", proxy.port)
    local agent = client.ProxyAgent(endpoint, reactor,
      { contextFactory = client.BrowserLikePolicyForHTTPS(authority), auth = { "user", "password" } })
    assert.equal("secret 1", await(client.get(url(secured.port), { agent = agent })).body)
    assert.equal("SSLError", failureOf(agent:request("GET", url(secured.port2))).__name)
    local err = failureOf(agent:request("GET", "https://refused.example/"))
    assert.equal("ProxyError", err.__name)
    assert.equal(403, err.status)
  end))

  it("does not take plain text for TLS", async(function()
    local plain = nginx.start "server { listen 127.0.0.1:%PORT%; }"
    local err = failureOf(trusting():request("GET", url(plain.port)))
    plain.stop()
    assert.equal("SSLError", err.__name)
  end))
end)

describe("fetch.lua", function()
  it("prints how much there is, or why it failed", function()
    local server = peer.start()
    local good = child.twistlua("scripts/fetch.lua", server.url .. "/12345")
    local bad = child.twistlua("scripts/fetch.lua", server.url .. "/garbage")
    server.stop()
    assert.same({ "6 bytes\n", "", 0 }, { good.stdout, good.stderr, good.status })
    assert.matches("^failed: ResponseFailed: The response was not received completely: Not HTTP", bad.stdout)
  end)
end)
