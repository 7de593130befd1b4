-- SPDX-License-Identifier: MIT
-- upload_spec.lua -- bodies of requests, from producers.
local base   = require "twistlua.error"
local client = require "twistlua.web.client"
local defer  = require "twistlua.defer"
local peer   = require "lua.web.client.peer"
local test   = require "twistlua.test"
local Object = require("twistlua.class").Object

local URI = "http://10.0.0.1/"
local OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

local Producer = Object:extend("Producer")

function Producer:init(length)
  self.length = length
  self.stopped = 0
  self.done = defer.Deferred()
end

function Producer:startProducing(consumer)
  self.consumer = consumer
  return self.done
end

function Producer:pauseProducing() self.paused = true end
function Producer:resumeProducing() self.paused = false end
function Producer:stopProducing() self.stopped = self.stopped + 1 end

local function begin(producer)
  local agent, reactor = peer.agent()
  local result = agent:request("POST", URI, nil, producer)
  return result, peer.accept(reactor, 1), reactor
end

describe("the body of a request", function()
  it("is sent as it is produced, when its length is known", function()
    local producer = Producer(6)
    local result, connection = begin(producer)
    assert.equal("POST / HTTP/1.1\r\nHost: 10.0.0.1\r\nContent-Length: 6\r\n\r\n", connection.sent())
    assert.equal(producer, connection.transport.producer)
    assert.is_true(connection.transport.streaming)
    producer.consumer:write "abc"
    producer.consumer:write "def"
    assert.equal("abcdef", connection.sent())
    producer.done:callback()
    assert.is_nil(connection.transport.producer)
    connection.answer(OK)
    assert.equal("ok", peer.body((peer.outcome(result))))
    assert.is_false(connection.transport.disconnecting)
  end)

  it("is sent in chunks, when it is not", function()
    local producer = Producer(client.UNKNOWN_LENGTH)
    local result, connection = begin(producer)
    assert.equal("POST / HTTP/1.1\r\nHost: 10.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n", connection.sent())
    producer.consumer:write "abc"
    producer.consumer:write ""
    producer.consumer:write(("x"):rep(17))
    producer.done:callback()
    assert.equal("3\r\nabc\r\n11\r\n" .. ("x"):rep(17) .. "\r\n0\r\n\r\n", connection.sent())
    producer.consumer:write "too late"
    assert.equal("", connection.sent())
    connection.answer(OK)
    peer.outcome(result)
  end)

  it("may neither be longer nor shorter than its producer said", function()
    local producer = Producer(3)
    local result, connection = begin(producer)
    producer.consumer:write "abcd"
    local _, err = peer.outcome(result)
    assert.equal("RequestGenerationFailed", err.__name)
    assert.equal("WrongBodyLength", err.reasons[1].value.__name)
    assert.equal(1, producer.stopped)
    assert.is_true(connection.transport.aborting)

    producer = Producer(3)
    result, connection = begin(producer)
    producer.consumer:write "a"
    producer.done:callback()
    _, err = peer.outcome(result)
    assert.matches("2 bytes are missing", err.message)
    assert.is_true(connection.transport.aborting)
  end)

  it("fails the request when its producer fails", function()
    local producer = Producer(3)
    local result, connection = begin(producer)
    producer.done:errback(base.IOError "disk")
    local _, err = peer.outcome(result)
    assert.equal("RequestGenerationFailed", err.__name)
    assert.matches("disk", err.message)
    assert.is_true(connection.transport.aborting)

    producer = Producer(3)
    function producer.startProducing() error("cannot") end
    local _, raised = peer.outcome((begin(producer)))
    assert.matches("cannot", raised.message)
  end)

  it("is told when the connection is lost", function()
    local producer = Producer(3)
    local result, connection = begin(producer)
    connection.lose(base.ConnectionLost())
    local _, err = peer.outcome(result)
    assert.equal("RequestTransmissionFailed", err.__name)
    producer.consumer:write "x"
    producer.done:callback()
  end)

  it("is stopped when the request is cancelled", function()
    local producer = Producer(3)
    local result = begin(producer)
    result:cancel()
    peer.outcome(result)
    assert.equal(1, producer.stopped)
  end)

  it("is stopped when the response is complete before it is", function()
    local producer = Producer(1000)
    local result, connection = begin(producer)
    producer.consumer:write "abc"
    connection.answer "HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\n"
    local response = peer.outcome(result)
    assert.equal(413, response.code)
    assert.equal(0, producer.stopped)
    local body = client.readBody(response)
    connection.answer "large"
    assert.equal("large", peer.outcome(body))
    assert.equal(1, producer.stopped)
    assert.is_true(connection.transport.disconnecting)
  end)

  it("goes on while the response comes", function()
    local producer = Producer(6)
    local result, connection = begin(producer)
    producer.consumer:write "abc"
    connection.answer "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nA"
    local body = client.readBody((peer.outcome(result)))
    connection.sent()
    producer.consumer:write "def"
    assert.equal("def", connection.sent())
    producer.done:callback()
    connection.answer "BC"
    assert.equal("ABC", peer.outcome(body))
    assert.is_false(connection.transport.disconnecting)
  end)
end)

describe("FileBodyProducer", function()
  local path

  before_each(function()
    path = os.tmpname()
    local file <close> = assert(io.open(path, "wb"))
    file:write(("0123456789"):rep(10000))
  end)

  after_each(function() os.remove(path) end)

  it("sends a file from where it stands, and closes it", function()
    local file = assert(io.open(path, "rb"))
    file:seek("set", 10)
    local producer = client.FileBodyProducer(file)
    assert.equal(99990, producer.length)
    local result, connection = begin(producer)
    local sent = connection.sent()
    assert.matches("Content%-Length: 99990\r\n\r\n0123", sent)
    assert.equal("\r\n\r\n" .. ("0123456789"):rep(9999), sent:match "\r\n\r\n.*$")
    assert.equal("closed file", io.type(file))
    connection.answer(OK)
    peer.outcome(result)
  end)

  it("writes no more while it is paused", function()
    local file = assert(io.open(path, "rb"))
    local producer = client.FileBodyProducer(file, { readSize = 1000 })
    local written = 0
    local done = producer:startProducing { write = function(_, data)
      written = written + #data
      if written % 10000 == 0 then producer:pauseProducing() end
    end }
    assert.equal(10000, written)
    for i = 2, 10 do
      test.assertNoResult(done)
      producer:resumeProducing()
      assert.equal(i * 10000, written)
    end
    producer:resumeProducing()
    assert.is_nil((peer.outcome(done)))
  end)

  it("sends what has no length in chunks", function()
    local pipe = assert(io.popen("printf abc"))
    local producer = client.FileBodyProducer(pipe)
    assert.equal(client.UNKNOWN_LENGTH, producer.length)
    local _, connection = begin(producer)
    assert.matches("3\r\nabc\r\n0\r\n\r\n$", connection.sent())
  end)

  it("closes the file when it is stopped", function()
    local file = assert(io.open(path, "rb"))
    local producer = client.FileBodyProducer(file)
    producer:stopProducing()
    producer:stopProducing()
    assert.equal("closed file", io.type(file))
  end)

  it("tells that a file cannot be read", function()
    local folder = assert(io.open "/")
    local producer = client.FileBodyProducer(folder)
    producer.length = 10
    local _, err = peer.outcome((begin(producer)))
    assert.equal("RequestGenerationFailed", err.__name)
  end)
end)
