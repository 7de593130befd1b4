local errors = require "twistlua.error"
local test   = require "twistlua.test"

-- A push or pull producer that notes what it is asked.
local function producer()
  local made = { asked = {} }
  for _, method in ipairs { "pauseProducing", "resumeProducing", "stopProducing" } do
    made[method] = function() made.asked[#made.asked + 1] = method end
  end
  return made
end

describe("a connection in memory", function()
  local server, client, pump
  local function connect(options, Protocol)
    server, client = (Protocol or test.AccumulatingProtocol)(), test.AccumulatingProtocol()
    pump = test.connect(server, client, options)
  end
  before_each(function() connect() end)

  it("connects both sides", function()
    assert.equal(1, server.made)
    assert.equal(1, client.made)
    assert.is_true(client.transport:getPeer() == server.transport:getHost())
  end)

  it("moves bytes only when pumped", function()
    client.transport:write("hello")
    assert.equal("", server.data)
    assert.is_true(pump:pump())
    assert.equal("hello", server.data)
    assert.is_false(pump:pump())
  end)

  it("moves bytes both ways until it is quiet", function()
    function server:dataReceived(data) self.transport:write(data:upper()) end
    client.transport:writeSequence { "he", "llo" }
    pump:flush()
    assert.equal("HELLO", client.data)
  end)

  it("delivers byte by byte when asked to", function()
    connect { byteAtATime = true }
    local sizes = {}
    function server.dataReceived(_, data) sizes[#sizes + 1] = #data end
    client.transport:write("abc")
    pump:flush()
    assert.same({ 1, 1, 1 }, sizes)
  end)

  it("complains about two sides that never stop", function()
    function server:dataReceived(data) self.transport:write(data) end
    function client:dataReceived(data) self.transport:write(data) end
    client.transport:write("x")
    assert.error_matches(function() pump:flush(100) end, "still talk to each other")
  end)

  it("ends both sides cleanly, after what was written", function()
    client.transport:write("bye")
    client.transport:loseConnection()
    client.transport:write("dropped")
    assert.equal(0, client.closed)
    pump:flush()
    assert.equal("bye", server.data)
    assert.is_not_nil(client.closedReason:check(errors.ConnectionDone))
    assert.is_not_nil(server.closedReason:check(errors.ConnectionDone))
    assert.equal(1, client.closed)
    assert.equal(1, server.closed)
    server.transport:write("into the void")
    pump:flush()
    assert.equal("", client.data)
  end)

  it("aborts without what was written", function()
    client.transport:write("bye")
    client.transport:abortConnection()
    client.transport:abortConnection()
    assert.equal(0, client.closed)
    pump:flush()
    assert.equal("", server.data)
    assert.is_not_nil(client.closedReason:check(errors.ConnectionAborted))
    assert.is_nil(server.closedReason:check(errors.ConnectionAborted))
    assert.is_not_nil(server.closedReason:check(errors.ConnectionLost))
    assert.equal(1, client.closed)
  end)

  it("delivers nothing to a side that loses the connection", function()
    server.transport:loseConnection()
    client.transport:write("late")
    pump:flush()
    assert.equal("", server.data)
  end)

  it("holds bytes and the end back while a side is paused", function()
    server.transport:pauseProducing()
    client.transport:write("hello")
    client.transport:loseConnection()
    pump:flush()
    assert.equal("", server.data)
    server.transport:resumeProducing()
    pump:flush()
    assert.equal("hello", server.data)
    assert.equal(1, server.closed)
  end)

  it("stops between two bytes when paused there", function()
    connect { byteAtATime = true }
    function server:dataReceived(data)
      self.data = self.data .. data
      self.transport:pauseProducing()
    end
    client.transport:write("ab")
    pump:flush()
    assert.equal("a", server.data)
    server.transport:resumeProducing()
    pump:flush()
    assert.equal("ab", server.data)
  end)

  it("half-closes for a side that listens for it", function()
    local Half = test.AccumulatingProtocol:extend("Half")
    function Half:readConnectionLost() self.readLost = true end
    connect(nil, Half)
    client.transport:loseWriteConnection()
    pump:flush()
    assert.is_true(server.readLost)
    server.transport:write("still here")
    pump:flush()
    assert.equal("still here", client.data)
    server.transport:loseConnection()
    pump:flush()
    assert.equal(1, server.closed)
    assert.equal(1, client.closed)
  end)

  it("closes a side that does not listen for half of it", function()
    client.transport:loseWriteConnection()
    pump:flush()
    assert.is_not_nil(server.closedReason:check(errors.ConnectionDone))
    assert.equal(1, client.closed)
  end)

  it("pauses a push producer that is too fast, and resumes it", function()
    local pushing = producer()
    client.transport:registerProducer(pushing, true)
    client.transport:write(("x"):rep(65536))
    assert.same({}, pushing.asked)
    client.transport:write("x")
    assert.same({ "pauseProducing" }, pushing.asked)
    pump:flush()
    assert.same({ "pauseProducing", "resumeProducing" }, pushing.asked)
  end)

  it("asks a pull producer whenever it has nothing to send", function()
    local pulled, left = producer(), 3
    function pulled.resumeProducing()
      left = left - 1
      client.transport:write(tostring(left))
      if left == 0 then client.transport:unregisterProducer() end
    end
    client.transport:registerProducer(pulled, false)
    pump:flush()
    assert.equal("210", server.data)
  end)

  it("does not ask a pull producer again that had nothing to send", function()
    local pulled = producer()
    client.transport:registerProducer(pulled, false)
    pump:flush()
    assert.same({ "resumeProducing" }, pulled.asked)
    client.transport:write("x")
    pump:flush()
    assert.same({ "resumeProducing", "resumeProducing" }, pulled.asked)
  end)

  it("loses what a side had still to send when the end of the other comes first", function()
    client.transport:pauseProducing()
    server.transport:write("unsent")
    client.transport:loseWriteConnection()
    pump:flush()
    assert.equal(1, server.closed)
    client.transport:resumeProducing()
    pump:flush()
    assert.equal("", client.data)
    assert.equal(1, client.closed)
  end)

  it("waits with its end for a producer", function()
    client.transport:registerProducer(producer(), true)
    client.transport:loseConnection()
    pump:flush()
    assert.equal(0, client.closed)
    client.transport:unregisterProducer()
    pump:flush()
    assert.equal(1, client.closed)
  end)

  it("stops the producer of a lost connection", function()
    local pushing, late = producer(), producer()
    client.transport:registerProducer(pushing, true)
    server.transport:loseConnection()
    pump:flush()
    assert.same({ "stopProducing" }, pushing.asked)
    client.transport:registerProducer(late, true)
    assert.same({ "stopProducing" }, late.asked)
  end)
end)

describe("the output limit of a MemoryTransport", function()
  local server, client, pump
  before_each(function()
    server, client = test.AccumulatingProtocol(), test.AccumulatingProtocol()
    pump = test.connect(server, client)
  end)

  it("aborts the connection when more is written", function()
    client.transport:setOutputLimit(10)
    client.transport:write(("x"):rep(11))
    pump:flush()
    client.transport:write(("x"):rep(11))
    assert.is_true(client.transport.connected)
    client.transport:write("x")
    pump:flush()
    assert.is_not_nil(client.closedReason:check(errors.OutputLimitExceeded))
    assert.is_not_nil(server.closedReason:check(errors.ConnectionLost))
    assert.equal(11, #server.data)
  end)

  it("is the protocol's, and tells it if it wants to know", function()
    local told = {}
    client.outputLimit = 1
    function client:outputLimitExceeded(pending)
      told[#told + 1] = pending
      self.transport:write("z")
    end
    for _ = 1, 3 do client.transport:write("x") end
    assert.same({ 3 }, told)
    pump:flush()
    assert.equal("xxxz", server.data)
  end)
end)
