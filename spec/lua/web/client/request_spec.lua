-- SPDX-License-Identifier: MIT
-- request_spec.lua -- what goes out, and what must not.
local client = require "twistlua.web.client"
local peer   = require "lua.web.client.peer"

local Headers = require("twistlua.web.http_headers").Headers

local function sent(given, ...)
  local agent, reactor = peer.agent(given)
  agent:request(...):addErrback(function() end)
  return peer.accept(reactor, 1).sent()
end

local function refusal(...)
  local agent, reactor = peer.agent()
  local _, err = peer.outcome(agent:request(...))
  assert.equal(0, #reactor.tcpClients)
  return err
end

describe("a request", function()
  it("has a head of line, Host and headers", function()
    assert.equal("GET /a?b HTTP/1.1\r\nHost: 10.0.0.1:81\r\nAccept: x\r\n\r\n",
      sent(nil, "GET", "http://10.0.0.1:81/a?b#c", { Accept = "x" }))
  end)

  it("asks for the end of the connection if the pool keeps none", function()
    assert.equal("GET / HTTP/1.1\r\nHost: 10.0.0.1\r\nConnection: close\r\n\r\n",
      sent({ persistent = false }, "GET", "http://10.0.0.1"))
  end)

  it("takes several values, numbers, and a Host of its own", function()
    assert.equal("GET / HTTP/1.1\r\nhost: other\r\n\r\n", sent(nil, "GET", "http://10.0.0.1", { host = "other" }))
    assert.equal("GET / HTTP/1.1\r\nHost: 10.0.0.1\r\nX: 1\r\nX: b\r\n\r\n",
      sent(nil, "GET", "http://10.0.0.1", { X = { 1, "b" } }))
    assert.equal("GET / HTTP/1.1\r\nHost: 10.0.0.1\r\nX-A: 1\r\nX-A: b\r\n\r\n",
      sent(nil, "GET", "http://10.0.0.1", Headers { ["x-a"] = { "1", "b" } }))
    local long = ("x"):rep(5000)
    assert.equal("GET / HTTP/1.1\r\nHost: 10.0.0.1\r\nX: " .. long .. "\r\n\r\n",
      sent(nil, "GET", "http://10.0.0.1", { X = long }))
  end)

  it("that comes again is sent as the first, unless there is more to say", function()
    local URI = "http://10.0.0.1/again"
    local PLAIN = "GET /again HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n"
    for _ = 1, 2 do
      assert.equal(PLAIN, sent(nil, "GET", URI))
      assert.equal("HEAD /again HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n", sent(nil, "HEAD", URI))
      assert.equal("POST /again HTTP/1.1\r\nHost: 10.0.0.1\r\nContent-Length: 0\r\n\r\n", sent(nil, "POST", URI))
      assert.equal("GET /again HTTP/1.1\r\nHost: 10.0.0.1\r\nA: b\r\n\r\n", sent(nil, "GET", URI, { A = "b" }))
      assert.equal("GET /again HTTP/1.1\r\nHost: 10.0.0.1\r\nContent-Length: 1\r\n\r\nx",
        sent(nil, "GET", URI, nil, "x"))
      assert.equal("GET /again HTTP/1.1\r\nHost: 10.0.0.1\r\nConnection: close\r\n\r\n",
        sent({ persistent = false }, "GET", URI))
      assert.equal("InvalidRequest", refusal("G T", URI).__name)
    end
    local agent, reactor, pool = peer.agent()
    agent:request("GET", URI):addErrback(function() end)
    pool.persistent = false
    agent:request("GET", URI):addErrback(function() end)
    assert.equal(PLAIN, peer.accept(reactor, 1).sent())
    assert.matches("Connection: close", peer.accept(reactor, 2).sent())
  end)

  it("sends a string as its body, with its length", function()
    assert.equal("POST / HTTP/1.1\r\nHost: 10.0.0.1\r\nContent-Length: 4\r\n\r\nbody",
      sent(nil, "POST", "http://10.0.0.1", nil, "body"))
    assert.equal("POST / HTTP/1.1\r\nHost: 10.0.0.1\r\nContent-Length: 0\r\n\r\n", sent(nil, "POST", "http://10.0.0.1"))
    local large = ("x"):rep(100000)
    assert.equal("PUT / HTTP/1.1\r\nHost: 10.0.0.1\r\nContent-Length: 100000\r\n\r\n" .. large,
      sent(nil, "PUT", "http://10.0.0.1", nil, large))
  end)

  it("refuses methods, URIs and headers that would be more than one", function()
    for _, method in ipairs { "", "GET /", "G\r\nX: y", "GET\0" } do
      assert.matches("is no method", refusal(method, "http://10.0.0.1/").message)
    end
    for _, uri in ipairs { "http://10.0.0.1/ HTTP/1.1\r\nX: y", "http://10.0.0.1\r\n/", "http://x@10.0.0.1/" } do
      assert.equal("InvalidURI", refusal("GET", uri).__name)
    end
    for name, value in pairs { X = "a\r\nY: b", Y = "a\nb", Z = "a\0b", ["A B"] = "c", ["A:"] = "c", [""] = "c",
                               ["N\r\nM"] = "c", T = true } do
      assert.equal("InvalidRequest", refusal("GET", "http://10.0.0.1/", { [name] = value }).__name, name)
    end
  end)

  it("refuses credentials in a URI, however often, whoever has parsed it", function()
    local agent, reactor = peer.agent()
    for _, one in ipairs { agent, client.RedirectAgent(agent), client.CookieAgent(agent, client.CookieJar()), agent } do
      local _, err = peer.outcome(one:request("GET", "http://me:x@10.0.0.1/"))
      assert.equal("InvalidURI", err.__name)
    end
    assert.equal(0, #reactor.tcpClients)
  end)

  it("refuses headers that the body, or the client, decides", function()
    for _, name in ipairs { "Content-Length", "transfer-encoding", "TE", "Trailer", "Keep-Alive" } do
      assert.matches("is for the client to send", refusal("GET", "http://10.0.0.1/", { [name] = "1" }).message)
    end
    assert.matches("no Host", refusal("GET", "http://10.0.0.1/", { Host = "a/b" }).message)
    assert.matches("no Host", refusal("GET", "http://10.0.0.1/", { Host = { "a", "b" } }).message)
  end)

  it("says what is not supported", function()
    assert.equal("SchemeNotSupported", refusal("GET", "gopher://10.0.0.1/").__name)
    assert.equal("SchemeNotSupported", peer.outcome(client.Agent(require("twistlua.test").MemoryReactor())
      :request("GET", "ftp://10.0.0.1:21/"):addErrback(function(failure) return failure.value.__name end)))
    assert.matches("the URI must be a string, got nil", tostring(refusal("GET")))
    assert.matches("the body must be a string", tostring(refusal("POST", "http://10.0.0.1/", nil, {})))
  end)
end)
