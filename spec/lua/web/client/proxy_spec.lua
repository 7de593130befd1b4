-- SPDX-License-Identifier: MIT
-- proxy_spec.lua -- what a proxy is asked; tunnels with TLS in them are in spec/system/web.
local client    = require "twistlua.web.client"
local endpoints = require "twistlua.endpoints"
local peer      = require "lua.web.client.peer"
local test      = require "twistlua.test"

local function begin(given)
  local reactor = test.MemoryReactor()
  local pool = client.HTTPConnectionPool(reactor)
  local options = { pool = pool }
  for name, value in pairs(given or {}) do options[name] = value end
  return client.ProxyAgent(endpoints.TCP4ClientEndpoint(reactor, "10.0.0.9", 3128), reactor, options), reactor
end

describe("ProxyAgent", function()
  it("asks the proxy for the whole URI", function()
    local agent, reactor = begin()
    local result = agent:request("GET", "http://example.org:81/a?b")
    assert.equal("10.0.0.9", reactor.tcpClients[1].host)
    local connection = peer.accept(reactor, 1)
    assert.equal("GET http://example.org:81/a?b HTTP/1.1\r\nHost: example.org:81\r\n\r\n", connection.sent())
    connection.answer "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    assert.equal(200, peer.outcome(result).code)
    agent:request("GET", "http://other.example/"):addErrback(function() end)
    assert.matches("^GET http://other.example/ ", connection.sent())
  end)

  it("asks the proxy each time, whoever asks the server itself", function()
    local URI = "http://10.0.0.1/"
    local WHOLE = "GET http://10.0.0.1/ HTTP/1.1\r\nHost: 10.0.0.1\r\nProxy-Authorization: Basic bWU6eA==\r\n\r\n"
    for _ = 1, 2 do
      local agent, reactor = begin { auth = { "me", "x" } }
      agent:request("GET", URI):addErrback(function() end)
      assert.equal(WHOLE, peer.accept(reactor, 1).sent())
      local direct, other = peer.agent()
      direct:request("GET", URI):addErrback(function() end)
      assert.equal("GET / HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n", peer.accept(other, 1).sent())
    end
  end)

  it("asks the proxy to connect for https, and fails where it does not", function()
    for answer, message in pairs {
      ["HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"] = "403 Forbidden",
      ["nonsense\r\n\r\n"] = "did not connect",
      [""] = "closed the connection",
    } do
      local agent, reactor = begin()
      local result = agent:request("GET", "https://example.org/secret")
      local connection = peer.accept(reactor, 1)
      assert.equal("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n", connection.sent())
      if answer == "" then connection.lose() else connection.answer(answer) end
      local _, err = peer.outcome(result)
      assert.equal("ProxyError", err.__name)
      assert.matches(message, err.message)
      assert.equal(answer:find "403" and 403 or nil, err.status)
      assert.is_true(connection.transport.disconnecting)
      assert.equal("", connection.sent())
    end
  end)

  it("waits for the proxy so long", function()
    local agent, reactor = begin { connectTimeout = 5 }
    local result = agent:request("GET", "https://example.org/")
    local connection = peer.accept(reactor, 1)
    reactor:advance(5)
    assert.equal("TimeoutError", select(2, peer.outcome(result)).__name)
    assert.is_true(connection.transport.aborting)
    assert.equal(0, #reactor:getDelayedCalls())
  end)

  it("refuses what it cannot send", function()
    local agent = begin()
    assert.equal("InvalidRequest", select(2, peer.outcome(agent:request("GET", "http://h/", { X = "a\r\nb" }))).__name)
    assert.equal("InvalidURI", select(2, peer.outcome(agent:request("GET", "https://h/\r\n"))).__name)
  end)
end)
