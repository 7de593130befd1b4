-- SPDX-License-Identifier: MIT
local client = require "twistlua.web.client"
local coding = require("twistlua.core").coding
local peer   = require "lua.web.client.peer"
local test   = require "twistlua.test"

local TEXT = ("some text, "):rep(20000)

local function encoded(name, text)
  return coding.encoder(name):encode(text or TEXT, "end")
end

-- A response with such a body, of which the last `missing` bytes are cut off.
local function respond(encoding, body, codings, given)
  local plain, reactor = peer.agent()
  local agent = client.ContentDecoderAgent(plain, codings, given)
  local result = agent:request("GET", "http://10.0.0.1/")
  local connection = peer.accept(reactor, 1)
  connection.answer(("HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n"):format(encoding, #body))
  local response = peer.outcome(result)
  return response, connection
end

describe("ContentDecoderAgent", function()
  it("says what it takes", function()
    local plain, reactor = peer.agent()
    client.ContentDecoderAgent(plain):request("GET", "http://10.0.0.1/"):addErrback(function() end)
    assert.matches("\r\nAccept%-Encoding: gzip, br\r\n", peer.accept(reactor, 1).sent())
    client.ContentDecoderAgent(plain, { "deflate" }):request("GET", "http://10.0.0.1/", { X = "y" })
    assert.matches("\r\nAccept%-Encoding: deflate\r\n", peer.accept(reactor, 2).sent())
    client.ContentDecoderAgent(plain):request("GET", "http://10.0.0.1/", { ["accept-encoding"] = "br" })
    assert.matches("\r\naccept%-encoding: br\r\n", peer.accept(reactor, 3).sent())
    assert.has_error(function() client.ContentDecoderAgent(plain, { "zip" }) end)
  end)

  it("decodes gzip, deflate and brotli, in whatever pieces", function()
    for encoding, name in pairs { gzip = "gzip", ["X-GZIP"] = "gzip", deflate = "deflate", br = "br" } do
      for _, size in ipairs { 1, 100, 1000000 } do
        local bytes = encoded(name)
        local response, connection = respond(encoding, bytes, { "gzip", "deflate", "br" })
        assert.equal(client.UNKNOWN_LENGTH, response.length)
        local body = client.readBody(response)
        for at = 1, #bytes, size do connection.answer(bytes:sub(at, at + size - 1)) end
        assert.equal(TEXT, peer.outcome(body))
      end
    end
  end)

  it("decodes codings one inside the other", function()
    local bytes = encoded("br", encoded "gzip")
    local response, connection = respond("gzip, br", bytes)
    local body = client.readBody(response)
    connection.answer(bytes)
    assert.equal(TEXT, peer.outcome(body))
  end)

  it("leaves what it does not know, or was not told to decode", function()
    for _, encoding in ipairs { "zstd", "identity", "deflate" } do
      local response, connection = respond(encoding, "abc")
      assert.equal(3, response.length)
      connection.answer "abc"
      assert.equal("abc", peer.body(response))
    end
  end)

  it("gives an empty body as it is", function()
    local response = respond("gzip", "")
    assert.equal("", peer.body(response))
  end)

  it("fails where the body is no coding, or not all of one", function()
    local response, connection = respond("gzip", "no gzip")
    local body = client.readBody(response)
    connection.answer "no gzip"
    local _, err = peer.outcome(body)
    assert.equal("ResponseFailed", err.__name)
    assert.equal("ContentDecodingError", err.reasons[1].value.__name)

    local bytes = encoded("gzip"):sub(1, -5)
    response, connection = respond("gzip", bytes)
    body = client.readBody(response)
    connection.answer(bytes)
    _, err = peer.outcome(body)
    assert.matches("ends before its coding does", err.message)
  end)

  it("closes the connection where decoding fails early", function()
    local response, connection = respond("gzip", ("x"):rep(100))
    local body = client.readBody(response)
    connection.answer "no gzip at all"
    peer.outcome(body)
    assert.is_true(connection.transport.aborting)
  end)

  it("does not let a small body become a huge one", function()
    local bomb = coding.encoder("gzip", 9):encode(("\0"):rep(50000000), "end")
    assert.is_true(#bomb < 60000)
    local response, connection = respond("gzip", bomb)
    local body = client.readBody(response, { maxSize = 100000 })
    connection.answer(bomb)
    assert.equal("BodyTooLarge", select(2, peer.outcome(body)).__name)

    response, connection = respond("gzip", bomb, nil, { maxSize = 100000 })
    local consumer = test.AccumulatingProtocol()
    response:deliverBody(consumer)
    connection.answer(bomb)
    assert.is_true(#consumer.data <= 100000)
    assert.equal(1, consumer.closed)
    assert.equal("BodyTooLarge", consumer.closedReason.value.reasons[1].value.__name)
  end)

  it("decodes no more than its consumer takes", function()
    local bytes = coding.encoder("br"):encode(("\0"):rep(10000000), "end")
    local response, connection = respond("br", bytes)
    local consumer, most = test.AccumulatingProtocol(), 0
    function consumer:dataReceived(data)
      self.data, most = self.data .. data, math.max(most, #data)
      self.transport:pauseProducing()
    end
    response:deliverBody(consumer)
    connection.answer(bytes)
    assert.equal(65536, #consumer.data)
    local turns = 1
    while consumer.closed == 0 and turns < 1000 do
      turns = turns + 1
      consumer.transport:resumeProducing()
    end
    assert.equal(10000000, #consumer.data)
    assert.equal(65536, most)
    assert.is_truthy(consumer.closedReason:check(client.ResponseDone))
  end)

  it("has a response that can be given up", function()
    local response, connection = respond("gzip", "abc")
    response:abort()
    assert.is_true(connection.transport.aborting)
  end)
end)
