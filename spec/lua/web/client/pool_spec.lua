-- SPDX-License-Identifier: MIT
local base   = require "twistlua.error"
local client = require "twistlua.web.client"
local peer   = require "lua.web.client.peer"
local test   = require "twistlua.test"

local URI = "http://10.0.0.1/"
local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

-- A request that is answered; its connection is then idle.
local function idle(agent, reactor, index)
  local result = agent:request("GET", URI)
  local connection = peer.accept(reactor, index or 1)
  connection.sent()
  connection.answer(OK)
  peer.outcome(result)
  return connection
end

describe("HTTPConnectionPool", function()
  it("uses a connection again", function()
    local agent, reactor = peer.agent()
    local connection = idle(agent, reactor)
    local result = agent:request("GET", URI .. "second")
    assert.equal(1, #reactor.tcpClients)
    assert.equal("GET /second HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n", connection.sent())
    connection.answer(OK)
    assert.equal("ok", peer.body((peer.outcome(result))))
  end)

  it("uses it for the same scheme, host and port only", function()
    local agent, reactor = peer.agent()
    idle(agent, reactor)
    agent:request("GET", "http://10.0.0.1:81/"):addErrback(function() end)
    agent:request("GET", "http://10.0.0.2/"):addErrback(function() end)
    assert.equal(3, #reactor.tcpClients)
  end)

  it("does not let agents that trust otherwise share connections", function()
    local agent, reactor, pool = peer.agent()
    idle(agent, reactor)
    local other = client.Agent(reactor, { pool = pool, bindAddress = "127.0.0.1" })
    other:request("GET", URI):addErrback(function() end)
    assert.equal(2, #reactor.tcpClients)
  end)

  it("can be used again from the callback of a response", function()
    local agent, reactor = peer.agent()
    local second
    local result = agent:request("GET", URI):addCallback(function() second = agent:request("GET", URI) end)
    local connection = peer.accept(reactor, 1)
    connection.answer(OK)
    peer.outcome(result)
    assert.equal(1, #reactor.tcpClients)
    connection.answer(OK)
    assert.equal("ok", peer.body((peer.outcome(second))))
  end)

  it("does not use a connection that either side wants closed", function()
    for _, head in ipairs { "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
                            "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok" } do
      local agent, reactor = peer.agent()
      local result = agent:request("GET", URI)
      local connection = peer.accept(reactor, 1)
      connection.answer(head)
      assert.equal("ok", peer.body((peer.outcome(result))))
      assert.is_true(connection.transport.disconnecting)
    end
    local agent, reactor = peer.agent()
    local result = agent:request("GET", URI, { Connection = "close" })
    local connection = peer.accept(reactor, 1)
    connection.answer(OK)
    peer.outcome(result)
    assert.is_true(connection.transport.disconnecting)
  end)

  it("closes each connection when it is not persistent", function()
    local agent, reactor = peer.agent { persistent = false }
    assert.is_true(idle(agent, reactor).transport.disconnecting)
  end)

  it("keeps so many idle connections for a host", function()
    local agent, reactor = peer.agent { maxPersistentPerHost = 2 }
    local connections = {}
    for _ = 1, 3 do agent:request("GET", URI) end
    for i = 1, 3 do connections[i] = peer.accept(reactor, i) end
    for i = 1, 3 do connections[i].answer(OK) end
    assert.is_true(connections[1].transport.disconnecting)
    assert.is_false(connections[2].transport.disconnecting)
    assert.is_false(connections[3].transport.disconnecting)
  end)

  it("closes a connection that is idle for long, by its last use", function()
    local agent, reactor = peer.agent { cachedConnectionTimeout = 10 }
    local connection = idle(agent, reactor)
    reactor:advance(6)
    agent:request("GET", URI)
    connection.answer(OK)
    reactor:advance(9)
    assert.is_false(connection.transport.disconnecting)
    reactor:advance(1)
    assert.is_true(connection.transport.disconnecting)
    connection.lose()
    assert.equal(0, #reactor:getDelayedCalls())
    agent:request("GET", URI):addErrback(function() end)
    assert.equal(2, #reactor.tcpClients)
  end)

  it("forgets a connection that the other side closes", function()
    local agent, reactor = peer.agent()
    idle(agent, reactor).lose()
    assert.equal(0, #reactor:getDelayedCalls())
    agent:request("GET", URI):addErrback(function() end)
    assert.equal(2, #reactor.tcpClients)
  end)

  it("has requests wait for a place, in their order", function()
    local agent, reactor = peer.agent { maxConnectionsPerHost = 1 }
    local first = agent:request("GET", URI .. "1")
    local second, third = agent:request("GET", URI .. "2"), agent:request("GET", URI .. "3")
    assert.equal(1, #reactor.tcpClients)
    local connection = peer.accept(reactor, 1)
    assert.matches("^GET /1 ", connection.sent())
    connection.answer(OK)
    peer.outcome(first)
    assert.matches("^GET /2 ", connection.sent())
    connection.answer "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    peer.outcome(second)
    test.assertNoResult(third)
    assert.equal(1, #reactor.tcpClients)
    connection.lose()
    assert.equal(2, #reactor.tcpClients)
    local other = peer.accept(reactor, 2)
    assert.matches("^GET /3 ", other.sent())
    other.answer(OK)
    assert.equal("ok", peer.body((peer.outcome(third))))
  end)

  it("lets the next one connect when an attempt fails", function()
    local agent, reactor = peer.agent { maxConnectionsPerHost = 1 }
    local first, second = agent:request("GET", URI), agent:request("GET", URI)
    peer.refuse(reactor, 1)
    assert.equal("ConnectionRefusedError", select(2, peer.outcome(first)).__name)
    assert.equal(2, #reactor.tcpClients)
    peer.refuse(reactor, 2)
    assert.equal("ConnectionRefusedError", select(2, peer.outcome(second)).__name)
  end)

  it("passes over a waiting request that was cancelled", function()
    local agent, reactor = peer.agent { maxConnectionsPerHost = 1 }
    agent:request("GET", URI .. "1")
    local second, third = agent:request("GET", URI .. "2"), agent:request("GET", URI .. "3")
    local connection = peer.accept(reactor, 1)
    connection.sent()
    second:cancel()
    assert.equal("CancelledError", select(2, peer.outcome(second)).__name)
    connection.answer(OK)
    assert.matches("^GET /3 ", connection.sent())
    third:cancel()
    peer.outcome(third)
  end)

  it("bounds how many wait", function()
    local agent = peer.agent { maxConnectionsPerHost = 1, maxQueuedPerHost = 1 }
    agent:request("GET", URI):addErrback(function() end)
    agent:request("GET", URI):addErrback(function() end)
    local _, err = peer.outcome(agent:request("GET", URI))
    assert.equal("TooManyWaiting", err.__name)
    assert.matches("http://10.0.0.1:80", err.message)
  end)

  it("gives the place of an aborted connection to the next", function()
    local agent, reactor = peer.agent { maxConnectionsPerHost = 1 }
    local first = agent:request("GET", URI)
    agent:request("GET", URI):addErrback(function() end)
    local connection = peer.accept(reactor, 1)
    first:cancel()
    peer.outcome(first)
    assert.equal(1, #reactor.tcpClients)
    connection.lose(base.ConnectionAborted())
    assert.equal(2, #reactor.tcpClients)
  end)

  it("forgets a host that has no connections", function()
    local agent, reactor, pool = peer.agent()
    local connection = idle(agent, reactor)
    assert.is_truthy(next(pool._hosts))
    connection.lose()
    assert.is_nil(next(pool._hosts))
    local failing = agent:request("GET", URI)
    peer.refuse(reactor, 2)
    peer.outcome(failing)
    assert.is_nil(next(pool._hosts))
  end)

  it("closes what is idle when it is asked to, and says when that is done", function()
    local agent, reactor, pool = peer.agent()
    assert.is_nil((peer.outcome(pool:closeCachedConnections())))
    local connection = idle(agent, reactor)
    local done, again = pool:closeCachedConnections(), pool:closeCachedConnections()
    assert.is_true(connection.transport.disconnecting)
    test.assertNoResult(done)
    connection.lose()
    peer.outcome(done)
    peer.outcome(again)
  end)

  it("refuses options that make no sense", function()
    assert.has_error(function() client.HTTPConnectionPool(test.MemoryReactor(), { maxConnectionsPerHost = 0 }) end)
    assert.has_error(function() client.HTTPConnectionPool(test.MemoryReactor(), { persist = true }) end)
  end)
end)

describe("a stale connection", function()
  local function stale(given, method, body, err)
    local agent, reactor = peer.agent(given)
    local connection = idle(agent, reactor)
    local result = agent:request(method or "GET", URI .. "again", nil, body)
    assert.matches("/again", connection.sent())
    connection.lose(err)
    return result, reactor
  end

  it("is made up for by a new one, once", function()
    for _, err in ipairs { base.ConnectionDone(), base.ConnectionLost() } do
      local result, reactor = stale(nil, "GET", nil, err)
      test.assertNoResult(result)
      local connection = peer.accept(reactor, 2)
      assert.matches("^GET /again ", connection.sent())
      connection.answer(OK)
      assert.equal("ok", peer.body((peer.outcome(result))))
    end
    local result, reactor = stale()
    peer.accept(reactor, 2).lose()
    assert.equal("ResponseNeverReceived", select(2, peer.outcome(result)).__name)
    assert.equal(2, #reactor.tcpClients)
  end)

  it("is not, for a request that must not come twice", function()
    for _, method in ipairs { "POST", "PUT", "PATCH" } do
      assert.equal("ResponseNeverReceived", select(2, peer.outcome((stale(nil, method)))).__name)
    end
    assert.equal("ResponseNeverReceived", select(2, peer.outcome((stale(nil, "DELETE", "body")))).__name)
    assert.equal("ResponseNeverReceived", select(2, peer.outcome((stale { retryAutomatically = false }))).__name)
  end)

  it("is not, once a part of the response came", function()
    local agent, reactor = peer.agent()
    local connection = idle(agent, reactor)
    local result = agent:request("GET", URI)
    connection.answer "HTTP/1.1 2"
    connection.lose()
    assert.equal("ResponseFailed", select(2, peer.outcome(result)).__name)
    assert.equal(1, #reactor.tcpClients)
  end)

  it("is made up for even where all places were taken by idle ones", function()
    local agent, reactor = peer.agent { maxConnectionsPerHost = 2, maxPersistentPerHost = 2 }
    local results = { agent:request("GET", URI), agent:request("GET", URI) }
    local connections = { peer.accept(reactor, 1), peer.accept(reactor, 2) }
    connections[1].answer(OK)
    connections[2].answer(OK)
    local again = agent:request("GET", URI)
    connections[2].lose()
    assert.equal(3, #reactor.tcpClients)
    local fresh = peer.accept(reactor, 3)
    fresh.answer(OK)
    assert.equal("ok", peer.body((peer.outcome(again))))
    assert.equal(2, #results)
  end)
end)
