local async             = require("twistlua.test.async").async
local await             = require("twistlua.defer").await
local basic             = require "twistlua.protocols.basic"
local core              = require "twistlua.core"
local flushLoggedErrors = require("twistlua.test.async").flushLoggedErrors
local protocol          = require "twistlua.protocol"
local memory            = require "system.memory"
local reactor           = require "twistlua.reactor"
local ends              = require "system.streams.pairs"

local function listen(factory) return reactor:listenTCP(0, factory, { interface = "127.0.0.1", backlog = 512 }) end

-- What a peer said, and whether it ended well.
local function outcome(child)
  local output = child:read("a")
  local ok = child:close()
  return ok, output
end

describe("a peer that resets", function()
  it("in the middle of its bytes costs its own connection alone", async(function()
    local factory = ends.factory(ends.Recorder)
    local port = listen(factory)
    local bystander = ends.rawTo(port:getHost().port)
    local unharmed = await(factory:protocolMade(1))
    local child = ends.python([[
import socket, struct, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"x" * 100000)
s.recv(1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
s.close()]], port:getHost().port)
    local victim = await(factory:protocolMade(2))
    await(victim:whenReceived(100000))
    victim.transport:write("now")
    ends.isExactly(victim:awaitLost(), "ConnectionLost")
    assert.is_true((outcome(child)))
    bystander:send("still here")
    await(unharmed:whenReceived(10))
    bystander:close()
    unharmed:awaitLost()
    await(port:stopListening())
  end))

  it("while output waits releases that output", async(function()
    local server, raw = ends.joinRaw()
    local before = memory.level()
    server.transport:write(("x"):rep(30000000))
    for _ = 1, 100 do server.transport:write(("y"):rep(10000)) end
    ends.turns(3)
    server.transport:abortConnection()
    server:awaitLost()
    assert.is_true(memory.level() - before < 1000 * 1024)
    raw:close()
  end))
end)

describe("a peer that half-closes", function()
  it("gets all that it asked for", async(function()
    local factory = ends.factory(ends.recorder({
      dataReceived = function(self, data) self.transport:write(data) end,
      readConnectionLost = function(self)
        self:note("read lost")
        self.transport:loseConnection()
      end,
    }, ends.HalfCloser))
    local port = listen(factory)
    local child = ends.child(("head -c 3000000 /dev/zero | socat -t 20 - TCP:127.0.0.1:%d | wc -c")
      :format(port:getHost().port))
    local server = await(factory:protocolMade(1))
    ends.isExactly(server:awaitLost(), "ConnectionDone")
    local ok, output = outcome(child)
    assert.is_true(ok)
    assert.equal("3000000", output:match("%d+"))
    await(port:stopListening())
  end))

  it("and then resets is lost", async(function()
    local server, client = ends.join("TCP", ends.HalfCloser, ends.HalfCloser)
    client.transport:loseWriteConnection()
    await(server:whenNoted("read lost"))
    client.transport:abortConnection()
    client:awaitLost()
    local turns = 0
    while not server.reason and turns < 100 do
      server.transport:write("x")
      ends.turns(1)
      turns = turns + 1
    end
    ends.isExactly(server.reason, "ConnectionLost")
  end))
end)

describe("a peer that sends one byte at a time", function()
  it("is understood as any other", async(function()
    local Lines = basic.LineReceiver:extend("Lines")
    local lines, done = {}, require("twistlua.defer").Deferred()
    function Lines:lineReceived(line)
      lines[#lines + 1] = line
      self:sendLine(line:upper())
    end
    function Lines:connectionLost(reason) done:callback({ reason }) end
    local factory = protocol.Factory.forProtocol(Lines)
    factory.noisy = false
    local port = listen(factory)
    local child = ends.python([[
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for byte in b"first line\r\nsecond\r\n\r\nlast\r\n":
    s.send(bytes([byte]))
want, got = b"FIRST LINE\r\nSECOND\r\n\r\nLAST\r\n", b""
while len(got) < len(want):
    got += s.recv(1)
print(got == want)]], port:getHost().port)
    ends.isExactly(await(done)[1], "ConnectionDone")
    local ok, output = outcome(child)
    assert.is_true(ok)
    assert.equal("True\n", output)
    assert.same({ "first line", "second", "", "last" }, lines)
    await(port:stopListening())
  end))
end)

describe("a peer that never reads", function()
  local CHUNK = 100000

  for _, streaming in ipairs { true, false } do
    local what = streaming and "push" or "pull"
    it(("does not fill the server's memory, for its %s producer waits"):format(what), async(function()
      local server, raw = ends.joinRaw()
      local before = memory.level()
      local written, running = 0, true
      local producer = { stopProducing = function() running = false end }
      local function produce()
        written = written + CHUNK
        server.transport:write(("x"):rep(CHUNK))
      end
      if streaming then
        function producer.pauseProducing() running = false end
        function producer.resumeProducing()
          running = true
          while running do produce() end
        end
      else
        producer.resumeProducing = produce
      end
      server.transport:registerProducer(producer, streaming)
      if streaming then producer.resumeProducing() end
      local last
      repeat
        last = written
        ends.turns(20)
      until written == last
      assert.is_true(written < 50000000)   -- what the kernel's buffers hold, and little more
      assert.is_true(memory.level() - before < 2000 * 1024)
      raw:close()
      server:awaitLost()
      assert.is_false(running and streaming)
    end))
  end

  it("does not disturb the others", async(function()
    local server, raw = ends.joinRaw()
    server.transport:write(("x"):rep(20000000))
    local other, client = ends.join("TCP")
    for index = 1, 100 do
      client.transport:write("ping")
      await(other:whenReceived(4 * index))
    end
    ends.finish(other, client)
    server.transport:abortConnection()
    server:awaitLost()
    raw:close()
  end))
end)

describe("10,000 connections one after the other", function()
  -- Every third ends by the server, every third by the client, every third by a reset.
  local function endOne(index, server, client)
    if index % 3 == 0 then
      server.transport:loseConnection()
    elseif index % 3 == 1 then
      client.transport:loseConnection()
    else
      client.transport:abortConnection()
    end
  end

  local function pass(port, count)
    local BATCH = 100
    for first = 1, count, BATCH do
      local calling = ends.factory(ends.Recorder)
      port.factory.made = {}
      for _ = 1, BATCH do ends.kinds.TCP.connect(port, calling) end
      await(port.factory:protocolMade(BATCH))
      await(calling:protocolMade(BATCH))
      local clients = {}   -- by their port: the two sides may have made theirs in different order
      for index = 1, BATCH do
        local client = await(calling:protocolMade(index))
        clients[client.transport:getHost().port] = client
      end
      for index, server in ipairs(port.factory.made) do
        endOne(first + index, server, clients[server.transport:getPeer().port])
      end
      for index = 1, BATCH do
        calling.made[index]:awaitLost()
        port.factory.made[index]:awaitLost()
      end
    end
    port.factory.made = {}
  end

  it("leave memory at its level and nothing open", async(function()
    local port = listen(ends.factory(ends.Recorder))
    pass(port, 1000)
    ends.turns(2)
    local before = memory.level()
    pass(port, 10000)
    ends.turns(2)
    assert.equal(0, #core.transport.live())
    local grown = memory.level() - before
    assert.is_true(grown < 10000 * 4, grown .. " bytes more than before")   -- not even a pointer for each
    await(port:stopListening())
  end, { timeout = 60 }))

  it("leave no descriptor open", async(function()
    local function descriptors()
      local pipe = assert(io.popen("ls -l /proc/$PPID/fd | grep -c socket:"))
      local count = tonumber(pipe:read("a"))
      pipe:close()
      return count
    end
    local port = listen(ends.factory(ends.Recorder))
    local before = descriptors()
    pass(port, 300)
    ends.turns(2)
    assert.equal(before, descriptors())
    await(port:stopListening())
  end))
end)

describe("a protocol that raises", function()
  it("in every event costs its own connections alone, whoever else is served", async(function()
    local Fragile = ends.recorder {
      connectionMade = function(self)
        ends.Recorder.connectionMade(self)
        if #self.factory.made % 4 == 1 then error("in connectionMade") end
      end,
      dataReceived = function(self, data)
        if data == "break" then error("in dataReceived") end
        self.transport:write(data)
      end,
      connectionLost = function(self, reason)
        ends.Recorder.connectionLost(self, reason)
        error("in connectionLost")
      end,
    }
    local factory, calling = ends.factory(Fragile), ends.factory(ends.Recorder)
    local port = listen(factory)
    for index = 1, 20 do
      ends.kinds.TCP.connect(port, calling)
      local client = await(calling:protocolMade(index))
      client.transport:write(index % 2 == 0 and "break" or "echo")
    end
    local echoed = 0
    for index = 1, 20 do
      local client = calling.made[index]
      if index % 2 == 0 or index % 4 == 1 then
        client:awaitLost()
      else
        await(client:whenReceived(4))
        assert.equal("echo", client:data())
        echoed = echoed + 1
      end
    end
    assert.equal(5, echoed)
    await(port:stopListening())
    for index = 1, 20 do
      if not calling.made[index].reason then ends.finish(calling.made[index]) end
      factory.made[index]:awaitLost()
    end
    ends.turns(1)
    assert.equal(20 + 15, #flushLoggedErrors())
  end))
end)

describe("a crowded server", function()
  local function limit()
    local pipe = assert(io.popen("ulimit -Hn"))
    local hard = pipe:read("l")
    pipe:close()
    return tonumber(hard) or math.huge   -- "unlimited"
  end

  local function startServer(descriptors)
    local child = ends.script("echo_server", descriptors)
    return child, assert(tonumber(child:read("l")))
  end

  local function quit(child, port)
    outcome(ends.child(("printf quit | socat -t 5 - TCP:127.0.0.1:%d"):format(port), 10))
    local ok, output = outcome(child)
    assert.matches("stopped\n$", output)   -- behind what was said of refused connections
    assert.is_true(ok)
  end

  it("holds 8,000 idle connections and serves others meanwhile", function()
    local descriptors = math.min(limit(), 9000)
    local count = math.min(8000, descriptors - 200)
    assert.is_true(count >= 1000, "the limit of descriptors leaves no room for this")
    local server, port = startServer(descriptors)
    local ok, output = outcome(ends.script("crowd", descriptors, port, count))
    assert.is_true(ok)
    assert.equal(("%d idle, 20 busy\n"):format(count), output)
    quit(server, port)
  end)

  it("answers after a storm of 500 connections on 64 descriptors, and those that it took during it", function()
    local server, port = startServer(64)
    local ok, output = outcome(ends.python([[
import socket, sys

def connect():
    return socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)

def echoes(s, text):
    try:
        s.sendall(text)
        return s.recv(100) == text
    except ConnectionError:
        return False

first = connect()
print("before", echoes(first, b"before"))
storm = [connect() for _ in range(500)]
print("during", echoes(first, b"during"))
taken = sum(echoes(s, b"x") for s in storm)
print("taken", 0 < taken < 64)
for s in storm: s.close()
tries, answered = 0, 0
while answered < 20 and tries < 2000:   # the server may still be closing what the storm left
    with connect() as s: answered += echoes(s, b"after")
    tries += 1
print("after", answered == 20)
print("still", echoes(first, b"still"))]], port))
    assert.equal("before True\nduring True\ntaken True\nafter True\nstill True\n", output)
    assert.is_true(ok)
    quit(server, port)
  end)
end)
