-- SPDX-License-Identifier: MIT
-- response_spec.lua -- heads and bodies as they come, in whatever pieces, and those that are not what they should be.
local base    = require "twistlua.error"
local client  = require "twistlua.web.client"
local peer    = require "lua.web.client.peer"
local test    = require "twistlua.test"

local URI = "http://10.0.0.1/"

-- A request, and the other side of its connection.
local function begin(method, given, agentOptions, body)
  local agent, reactor, pool = peer.agent(given, agentOptions)
  local result = agent:request(method or "GET", URI, nil, body)
  local connection = peer.accept(reactor, 1)
  return result, connection, reactor, pool
end

local function respond(text, method)
  local result, connection = begin(method)
  connection.answer(text)
  return peer.outcome(result), connection
end

local function reasonOf(err, class)
  assert.equal("ResponseFailed", err.__name, tostring(err))
  return assert(err.reasons[#err.reasons]:check(class), tostring(err))
end

describe("a response", function()
  it("is there with its head", function()
    local response = respond "HTTP/1.1 404 Not here\r\nContent-Length: 5\r\nX-Y: z\r\n\r\n"
    assert.equal("HTTP/1.1", response.version)
    assert.equal(404, response.code)
    assert.equal("Not here", response.phrase)
    assert.equal(5, response.length)
    assert.equal("z", response:getHeader "x-y")
    assert.equal("GET", response.request.method)
    assert.equal(URI, response.request.absoluteURI)
    response:abort()
  end)

  it("may come byte by byte", function()
    local result, connection = begin()
    for byte in ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"):gmatch "." do connection.answer(byte) end
    local body = client.readBody((peer.outcome(result)))
    for byte in ("3\r\nabc\r\n0a;x=y\r\n0123456789\r\n0\r\nT: u\r\n\r\n"):gmatch "." do connection.answer(byte) end
    assert.equal("abc0123456789", peer.outcome(body))
  end)

  it("may come after interim ones", function()
    local response = respond("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
      .. "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert.equal(200, response.code)
    assert.equal("ok", peer.body(response))
    local result, connection = begin()
    connection.answer "HTTP/1.1 100 Continue\r\n\r\n"
    test.assertNoResult(result)
    connection.answer(("HTTP/1.1 102 Processing\r\n\r\n"):rep(30))
    local _, err = peer.outcome(result)
    assert.matches("too many interim responses", err.message)
  end)

  it("has no body for HEAD, 204 and 304", function()
    assert.equal("", peer.body((respond("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "HEAD"))))
    assert.equal("", peer.body((respond "HTTP/1.1 204 No Content\r\n\r\n")))
    local response, connection = respond "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n"
    assert.equal(0, response.length)
    assert.equal("", peer.body(response))
    assert.is_false(connection.transport.disconnecting)
  end)

  it("ends with its connection if nobody said how long it is", function()
    local result, connection = begin()
    connection.answer "HTTP/1.0 200 OK\r\n\r\nsome"
    local response = peer.outcome(result)
    assert.equal(client.UNKNOWN_LENGTH, response.length)
    assert.equal("HTTP/1.0", response.version)
    local consumer = test.AccumulatingProtocol()
    response:deliverBody(consumer)
    connection.answer " more"
    connection.lose()
    assert.equal("some more", consumer.data)
    assert.is_truthy(consumer.closedReason:check(client.PotentialDataLoss))
  end)

  it("tells a consumer that it is complete", function()
    local consumer = test.AccumulatingProtocol()
    local response = respond "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
    response:deliverBody(consumer)
    assert.equal("abc", consumer.data)
    assert.equal(1, consumer.closed)
    assert.is_truthy(consumer.closedReason:check(client.ResponseDone))
    assert.has_error(function() response:deliverBody(consumer) end)
  end)

  it("fails if its body is cut short", function()
    for _, head in ipairs { "Content-Length: 10\r\n\r\nsome", "Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n" } do
      local result, connection = begin()
      connection.answer("HTTP/1.1 200 OK\r\n" .. head)
      local body = client.readBody((peer.outcome(result)))
      connection.lose()
      local _, err = peer.outcome(body)
      reasonOf(err, base.ConnectionDone)
    end
    local result, connection = begin()
    connection.answer "HTTP/1.1 200 OK\r\n\r\nsome"
    local body = client.readBody((peer.outcome(result)))
    connection.lose(base.ConnectionLost())
    reasonOf(select(2, peer.outcome(body)), base.ConnectionLost)
  end)

  it("that is malformed fails, with what is wrong", function()
    for text, message in pairs {
      ["SSH-2.0-OpenSSH\r\n\r\n"] = "Not HTTP: ",
      ["HTTP/1.1 200 OK\r\nA B: c\r\n\r\n"] = "name",
      ["HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"] = "Content%-Length",
      ["HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n"] = "Content%-Length",
      ["HTTP/1.1 2000 OK\r\n\r\n"] = "Not HTTP",
      ["HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"] = "oding",
    } do
      local result, connection = begin()
      connection.answer(text)
      local _, err = peer.outcome(result)
      reasonOf(err, client.ParseError)
      assert.matches(message, err.message)
      assert.is_true(connection.transport.aborting)
    end
  end)

  it("with a malformed chunk fails in its body", function()
    local result, connection = begin()
    connection.answer "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    local body = client.readBody((peer.outcome(result)))
    connection.answer "xyz\r\n"
    reasonOf(select(2, peer.outcome(body)), client.ParseError)
    assert.is_true(connection.transport.aborting)
  end)

  it("that ends inside its head fails so", function()
    local result, connection = begin()
    connection.answer "HTTP/1.1 200 OK\r\nContent-"
    connection.lose()
    reasonOf(select(2, peer.outcome(result)), client.ParseError)
  end)

  it("may be answered by nothing at all", function()
    local result, connection = begin("POST")
    connection.lose(base.ConnectionLost())
    local _, err = peer.outcome(result)
    assert.equal("ResponseNeverReceived", err.__name)
    assert.is_truthy(err.reasons[1]:check(base.ConnectionLost))
  end)

  it("is not followed by what nobody asked for", function()
    local response, connection = respond "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n"
    assert.equal("ok", peer.body(response))
    assert.is_true(connection.transport.aborting)
    local second, idle = respond "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    assert.equal("ok", peer.body(second))
    idle.answer "HTTP/1.1 200 OK\r\n\r\n"
    assert.is_true(idle.transport.aborting)
  end)

  it("fails with the error of TLS itself", function()
    local result, connection = begin()
    connection.lose(base.SSLError "certificate verify failed")
    assert.equal("SSLError", select(2, peer.outcome(result)).__name)
  end)

  it("has a phrase that may be empty", function()
    assert.equal("", respond("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n").phrase)
  end)
end)

describe("the body of a response", function()
  it("waits on the connection until somebody wants it", function()
    local response, connection = respond "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc"
    assert.equal("paused", connection.transport.producerState)
    local body = client.readBody(response)
    assert.equal("producing", connection.transport.producerState)
    connection.answer "def"
    assert.equal("abcdef", peer.outcome(body))
  end)

  it("that came in pieces before is delivered as one", function()
    local response, connection = respond "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab"
    connection.answer "cd"   -- though it was asked to pause
    local pieces = {}
    local consumer = test.AccumulatingProtocol()
    function consumer.dataReceived(_, data) pieces[#pieces + 1] = data end
    response:deliverBody(consumer)
    connection.answer "ef"
    assert.same({ "abcd", "ef" }, pieces)
    assert.equal(1, consumer.closed)
  end)

  it("that is empty has no pieces", function()
    for _, head in ipairs { "Content-Length: 0\r\n\r\n", "Connection: close\r\nContent-Length: 0\r\n\r\n",
                            "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" } do
      local response = respond("HTTP/1.1 200 OK\r\n" .. head)
      local consumer = test.AccumulatingProtocol()
      function consumer.dataReceived() error "called" end
      response:deliverBody(consumer)
      assert.is_truthy(consumer.closedReason:check(client.ResponseDone))
    end
  end)

  it("that came with the head is read once, or is too large", function()
    local OK = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
    local response, connection = respond(OK)
    assert.equal("BodyTooLarge: The body is larger than the limit: 2 bytes, of which there are 3.",
      tostring(select(2, peer.body((respond(OK)), { maxSize = 2 }))))
    assert.equal("abc", peer.body(response, { maxSize = 3 }))
    assert.has_error(function() response:deliverBody(test.AccumulatingProtocol()) end)
    response:abort()
    response:discard()
    assert.is_false(connection.transport.disconnecting)
    assert.equal(3, response.length)
    assert.equal("3", response.headers:getHeader "content-length")
  end)

  it("pauses and resumes the connection for its consumer", function()
    local response, connection = respond "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc"
    local consumer = test.AccumulatingProtocol()
    response:deliverBody(consumer)
    consumer.transport:pauseProducing()
    assert.equal("paused", connection.transport.producerState)
    consumer.transport:resumeProducing()
    assert.equal("producing", connection.transport.producerState)
    connection.answer "def"
    assert.equal("abcdef", consumer.data)
    assert.equal(1, consumer.closed)
  end)

  it("does not end while its consumer pauses", function()
    local response = respond "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
    local consumer = test.AccumulatingProtocol()
    function consumer:dataReceived(data)
      self.data = self.data .. data
      self.transport:pauseProducing()
    end
    response:deliverBody(consumer)
    assert.equal("abc", consumer.data)
    assert.equal(0, consumer.closed)
    consumer.transport:resumeProducing()
    assert.equal(1, consumer.closed)
  end)

  it("may be given up by its consumer", function()
    local response, connection = respond "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc"
    local consumer = test.AccumulatingProtocol()
    response:deliverBody(consumer)
    consumer.transport:loseConnection()
    assert.is_true(connection.transport.aborting)
    assert.equal(0, consumer.closed)
    connection.lose(base.ConnectionAborted())
    assert.equal(1, consumer.closed)
    assert.is_truthy(consumer.closedReason:check(client.ResponseFailed))
  end)

  it("is read up to a limit", function()
    local response, connection = respond "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc"
    assert.equal("BodyTooLarge", select(2, peer.body(response, { maxSize = 5 })).__name)
    assert.is_true(connection.transport.aborting)
    local chunked, other = respond "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    local body = client.readBody(chunked, { maxSize = 5 })
    other.answer "3\r\ndef\r\n"
    assert.equal("BodyTooLarge", select(2, peer.outcome(body)).__name)
    assert.is_true(other.transport.aborting)
    local whole = respond "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n0\r\n\r\n"
    assert.equal("BodyTooLarge", select(2, peer.body(whole, { maxSize = 5 })).__name)
  end)

  it("may be given up at its last byte, and its connection is not used again", function()
    local agent, reactor = peer.agent { maxConnectionsPerHost = 1 }
    local first, second = agent:request("GET", URI), agent:request("GET", URI)
    local connection = peer.accept(reactor, 1)
    connection.answer "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    local body = client.readBody((peer.outcome(first)), { maxSize = 2 })
    connection.sent()
    connection.answer "3\r\nabc\r\n0\r\n\r\n"
    assert.equal("BodyTooLarge", select(2, peer.outcome(body)).__name)
    assert.is_true(connection.transport.aborting)
    assert.equal("", connection.sent())
    connection.lose(base.ConnectionAborted())
    assert.matches("^GET / ", peer.accept(reactor, 2).sent())
    second:cancel()
    peer.outcome(second)
  end)

  it("is not read on when reading is cancelled", function()
    local response, connection = respond "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc"
    local body = client.readBody(response)
    body:cancel()
    assert.equal("CancelledError", select(2, peer.outcome(body)).__name)
    assert.is_true(connection.transport.aborting)
    connection.lose(base.ConnectionAborted())
  end)

  it("may be discarded, for the sake of the connection", function()
    local response, connection = respond "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc"
    response:discard()
    connection.answer "def"
    assert.is_false(connection.transport.disconnecting)
    local large, other = respond "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    large:discard()
    other.answer(("x"):rep(100000))
    assert.is_true(other.transport.aborting)
  end)
end)

describe("time", function()
  it("is limited for the head", function()
    local result, connection, reactor = begin("GET", nil, { headTimeout = 5 })
    reactor:advance(4.9)
    test.assertNoResult(result)
    reactor:advance(0.1)
    local _, err = peer.outcome(result)
    assert.equal("TimeoutError", err.__name)
    assert.matches("10.0.0.1: no response within 5 s", err.message)
    assert.is_true(connection.transport.aborting)
  end)

  it("for the head begins when the body of the request is sent", function()
    local large = ("x"):rep(100000)
    local result, connection, reactor = begin("POST", nil, { headTimeout = 5 }, large)
    assert.is_nil(connection.transport.producer)   -- this transport takes all at once
    reactor:advance(5)
    assert.equal("TimeoutError", select(2, peer.outcome(result)).__name)

    local slow, done = { length = 3, stopProducing = print, pauseProducing = print, resumeProducing = print }, nil
    function slow.startProducing(_, consumer)
      consumer:write "abc"
      done = require("twistlua.defer").Deferred()
      return done
    end
    result, connection, reactor = begin("POST", nil, { headTimeout = 5 }, slow)
    reactor:advance(100)
    test.assertNoResult(result)
    done:callback()
    reactor:advance(4.9)
    test.assertNoResult(result)
    reactor:advance(0.1)
    assert.equal("TimeoutError", select(2, peer.outcome(result)).__name)
    assert.is_true(connection.transport.aborting)
  end)

  it("for the head begins with each request", function()
    local result, connection, reactor, pool = begin("GET", nil, { headTimeout = 5 })
    local agent = client.Agent(reactor, { pool = pool, headTimeout = 5 })
    connection.answer "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    peer.outcome(result)
    reactor:advance(4)
    result = agent:request("GET", URI)
    reactor:advance(4.9)
    test.assertNoResult(result)
    reactor:advance(0.1)
    assert.equal("TimeoutError", select(2, peer.outcome(result)).__name)
    connection.lose(base.ConnectionAborted())
    assert.equal(0, #reactor:getDelayedCalls())
  end)

  it("for the head is the agent's, whoever used the connection before", function()
    local result, connection, reactor, pool = begin("GET", nil, { headTimeout = 50 })
    connection.answer "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    peer.outcome(result)
    result = client.Agent(reactor, { pool = pool, headTimeout = 3 }):request("GET", URI)
    reactor:advance(3)
    assert.matches("no response within 3 s", select(2, peer.outcome(result)).message)
  end)

  it("for the head may be without limit", function()
    local result, connection, reactor, pool = begin("GET", { cachedConnectionTimeout = 10 }, { headTimeout = 0 })
    local agent = client.Agent(reactor, { pool = pool, headTimeout = 0 })
    for _ = 1, 2 do
      reactor:advance(1000)
      test.assertNoResult(result)
      connection.answer "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
      assert.equal("ok", peer.body((peer.outcome(result))))
      reactor:advance(9)
      result = agent:request("GET", URI)
    end
    reactor:advance(1000)
    assert.is_false(connection.transport.disconnecting)
    result:cancel()
    peer.outcome(result)
    connection.lose(base.ConnectionAborted())
    assert.equal(0, #reactor:getDelayedCalls())
  end)

  it("is not limited between the head and the end of the body", function()
    local result, connection, reactor = begin("GET", { cachedConnectionTimeout = 10 }, { headTimeout = 5 })
    connection.answer "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc"
    local body = client.readBody((peer.outcome(result)))
    reactor:advance(1000)
    connection.answer "def"
    assert.equal("abcdef", peer.outcome(body))
    reactor:advance(9.9)
    assert.is_false(connection.transport.disconnecting)
    reactor:advance(0.1)
    assert.is_true(connection.transport.disconnecting)
    connection.lose()
    assert.equal(0, #reactor:getDelayedCalls())
  end)

  it("is limited for all of it", function()
    local result, connection, reactor = begin("GET", nil, { timeout = 5 })
    connection.answer "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc"
    local body = client.readBody((peer.outcome(result)))
    reactor:advance(5)
    assert.is_true(connection.transport.aborting)
    connection.lose(base.ConnectionAborted())
    reasonOf(select(2, peer.outcome(body)), base.TimeoutError)
    assert.equal(0, #reactor:getDelayedCalls())

    local agent, another = peer.agent(nil, { timeout = 5 })
    local waiting = agent:request("GET", URI)
    another:advance(5)
    local _, err = peer.outcome(waiting)
    assert.matches("not done within 5 s", err.message)
    assert.is_true(another.tcpClients[1].connector.stoppedConnecting)
  end)

  it("leaves nothing behind", function()
    local result, connection, reactor, pool = begin("GET", nil, { timeout = 5 })
    connection.answer "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    assert.equal("ok", peer.body((peer.outcome(result))))
    pool:closeCachedConnections()
    connection.lose()
    assert.equal(0, #reactor:getDelayedCalls())
  end)
end)

describe("cancelling", function()
  it("closes the connection", function()
    local result, connection, reactor = begin()
    result:cancel()
    assert.equal("CancelledError", select(2, peer.outcome(result)).__name)
    assert.is_true(connection.transport.aborting)
    connection.lose(base.ConnectionAborted())
    assert.equal(0, #reactor:getDelayedCalls())
  end)

  it("is too late once the response is there", function()
    local result, connection, reactor, pool = begin()
    connection.answer "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    local second = client.Agent(reactor, { pool = pool }):request("GET", URI)
    local first = peer.outcome(result)
    result:cancel()
    assert.is_false(connection.transport.aborting)
    connection.answer "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n2nd"
    assert.equal("2nd", peer.body((peer.outcome(second))))
    assert.equal("ok", peer.body(first))
  end)

  it("ends the attempt to connect", function()
    local agent, reactor = peer.agent()
    local result = agent:request("GET", URI)
    result:cancel()
    assert.equal("CancelledError", select(2, peer.outcome(result)).__name)
    assert.is_true(reactor.tcpClients[1].connector.stoppedConnecting)
    assert.equal(0, #reactor:getDelayedCalls())
  end)
end)
