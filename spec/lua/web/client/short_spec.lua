-- SPDX-License-Identifier: MIT
-- short_spec.lua -- who makes the requests in one call; what becomes of them is in spec/system/web.
local client = require "twistlua.web.client"
local peer   = require "lua.web.client.peer"
local test   = require "twistlua.test"

local URI = "http://10.0.0.1/"
local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
local MOVED = "HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"

-- A request that is answered on the attempt to connect of that number.
local function get(reactor, index, given, answer)
  given.reactor = reactor
  local result = client.get(URI, given)
  local connection = peer.accept(reactor, index)
  connection.answer(answer or OK)
  return peer.outcome(result), connection
end

describe("a request in one call", function()
  it("uses the connections of its pool again, and closes one that has no pool", function()
    local reactor = test.MemoryReactor()
    local pool = client.HTTPConnectionPool(reactor)
    local _, connection = get(reactor, 1, { pool = pool })
    local result = client.get(URI, { pool = pool, reactor = reactor })
    connection.answer(OK)
    assert.equal("ok", peer.outcome(result).body)
    assert.equal(1, #reactor.tcpClients)
    for index = 2, 3 do
      local _, other = get(reactor, index, {})
      assert.is_true(other.transport.disconnecting)
    end
  end)

  it("is made on the reactor that it is given", function()
    local reactors = { test.MemoryReactor(), test.MemoryReactor() }
    local pool = client.HTTPConnectionPool(reactors[1])
    for index, reactor in ipairs(reactors) do
      client.get(URI, { reactor = reactor }):addErrback(function() end)
      client.get(("http://10.0.0.%d/"):format(index), { reactor = reactor, pool = pool }):addErrback(function() end)
      assert.equal(2, #reactor.tcpClients)
    end
  end)

  it("asks the agent that it is given", function()
    local reactor = test.MemoryReactor()
    local asked
    local agent = {}
    function agent.request(_, method, uri)
      asked = method .. " " .. uri
      return client.Agent(reactor):request(method, uri)
    end
    get(reactor, 1, { agent = agent })
    assert.equal("GET " .. URI, asked)
  end)

  it("follows redirections unless it is told not to", function()
    local reactor = test.MemoryReactor()
    local result = client.get(URI, { reactor = reactor })
    peer.accept(reactor, 1).answer(MOVED)
    peer.accept(reactor, 2).answer(OK)
    assert.equal(URI .. "there", peer.outcome(result).url)
    assert.equal(302, get(reactor, 3, { followRedirects = false }, MOVED).code)
  end)

  it("keeps the cookies of a jar, which other requests do not get", function()
    local reactor = test.MemoryReactor()
    local jar = client.CookieJar()
    get(reactor, 1, { cookies = jar }, "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")
    client.get(URI, { reactor = reactor, cookies = jar }):addErrback(function() end)
    assert.matches("Cookie: a=b", peer.accept(reactor, 2).sent())
    client.get(URI, { reactor = reactor }):addErrback(function() end)
    assert.not_matches("Cookie", peer.accept(reactor, 3).sent())
  end)

  it("does not keep its pool and reactor from the collector", function()
    local seen = setmetatable({}, { __mode = "k" })
    do
      local reactor = test.MemoryReactor()
      local pool = client.HTTPConnectionPool(reactor)
      seen[pool], seen[reactor] = true, true
      local _, connection = get(reactor, 1, { pool = pool })
      connection.lose()
      get(reactor, 2, {})
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(seen))
  end)
end)
