local async   = require("twistlua.test.async").async
local await   = require("twistlua.defer").await
local reactor = require "twistlua.reactor"
local socket  = require "twistlua.socket"
local ends    = require "system.streams.pairs"

local function raised(f, ...)
  local ok, problem = pcall(f, ...)
  assert.is_false(ok)
  return problem
end

-- A raw connection and the raw socket that was accepted for it.
local function rawPair()
  local listening = assert(socket.listen("127.0.0.1", 0))
  local near, pending = assert(socket.connect("127.0.0.1", listening:getsockname().port))
  if pending then await(ends.writable(near)) end
  await(ends.readable(listening))
  local far = assert(listening:accept())
  listening:close()
  return near, far
end

describe("adoptStreamPort", function()
  it("serves a duplicate of the socket, which the caller may close", async(function()
    local listening = assert(socket.listen("127.0.0.1", 0))
    local number = listening:getsockname().port
    local port = reactor:adoptStreamPort(listening:fileno(), "AF_INET", ends.factory(ends.Recorder))
    assert.is_true(port:fileno() ~= listening:fileno())
    listening:close()
    assert.equal(number, port:getHost().port)
    local calling = ends.factory(ends.Recorder)
    ends.kinds.TCP.connect(port, calling)
    local client, server = await(calling:protocolMade(1)), await(port.factory:protocolMade(1))
    client.transport:write("adopted")
    await(server:whenReceived(7))
    ends.finish(client, server)
    await(port:stopListening())
  end))

  it("leaves the caller's socket open when it stops", async(function()
    local listening = assert(socket.listen("127.0.0.1", 0))
    local port = reactor:adoptStreamPort(listening:fileno(), "AF_INET", ends.factory(ends.Recorder))
    await(port:stopListening())
    local raw, pending = assert(socket.connect("127.0.0.1", listening:getsockname().port))
    if pending then await(ends.writable(raw)) end
    assert.is_true(raw:outcome())
    raw:close()
    listening:close()
  end))

  it("starts and stops the factory as other ports do", async(function()
    local listening = assert(socket.listen("127.0.0.1", 0))
    local factory = ends.factory(ends.Recorder)
    local port = reactor:adoptStreamPort(listening:fileno(), "AF_INET", factory)
    assert.equal(1, factory.numPorts)
    await(port:stopListening())
    assert.equal(0, factory.numPorts)
    listening:close()
  end))

  it("leaves the file of a UNIX socket to who made it", async(function()
    local first = reactor:listenUNIX(ends.path(), ends.factory(ends.Recorder))
    local path = first:getHost().name
    local second = reactor:adoptStreamPort(first:fileno(), "AF_UNIX", ends.factory(ends.Recorder))
    await(second:stopListening())
    assert.is_true(os.execute(("test -S '%s'"):format(path)))
    await(first:stopListening())
  end))

  it("raises CannotListenError for a descriptor that is closed or does not listen", async(function()
    local near, far = rawPair()
    local closed = assert(socket.listen("127.0.0.1", 0))
    local gone = closed:fileno()
    closed:close()
    for _, fd in ipairs { gone, near:fileno() } do
      local factory = ends.factory(ends.Recorder)
      local problem = raised(reactor.adoptStreamPort, reactor, fd, "AF_INET", factory)
      assert.equal("CannotListenError", problem.__name)
      assert.equal(0, factory.numPorts)
    end
    near:close()
    far:close()
  end))

  it("raises for a family that it does not know, and for what is no descriptor", function()
    assert.matches("family must be", raised(reactor.adoptStreamPort, reactor, 0, "AF_APPLETALK",
      ends.factory(ends.Recorder)))
    assert.matches("family must be", raised(reactor.adoptStreamPort, reactor, 0, nil,
      ends.factory(ends.Recorder)))
    for _, fd in ipairs { -1, "x", 1.5 } do
      raised(reactor.adoptStreamPort, reactor, fd, "AF_INET", ends.factory(ends.Recorder))
    end
    assert.is_false(reactor:isBusy())
  end)
end)

describe("adoptStreamConnection", function()
  it("gives a duplicate of the socket to a protocol, and the caller may close its own", async(function()
    local near, far = rawPair()
    local factory = ends.factory(ends.Recorder)
    local transport = reactor:adoptStreamConnection(far:fileno(), "AF_INET", factory)
    local name = far:getsockname()
    far:close()
    local server = await(factory:protocolMade(1))
    assert.equal(server.transport, transport)
    assert.is_true(name == transport:getHost())
    assert.is_true(near:getsockname() == transport:getPeer())
    near:send("to the protocol")
    await(server:whenReceived(15))
    server.transport:write("to the socket")
    assert.equal("to the socket", (ends.receive(near, 13)))
    near:close()
    ends.isExactly(server:awaitLost(), "ConnectionDone")
  end))

  it("refuses it quietly when the factory builds no protocol", async(function()
    local near, far = rawPair()
    local factory = ends.factory(ends.Recorder)
    function factory.buildProtocol() return nil end
    reactor:adoptStreamConnection(far:fileno(), "AF_INET", factory)
    far:close()
    local _, ending = ends.receive(near)
    assert.equal("EOF", ending)
    near:close()
  end))

  it("raises for a descriptor that is closed or listens", async(function()
    local listening = assert(socket.listen("127.0.0.1", 0))
    local closed = assert(socket.listen("127.0.0.1", 0))
    local gone = closed:fileno()
    closed:close()
    for _, fd in ipairs { gone, listening:fileno() } do
      local factory = ends.factory(ends.Recorder)
      local problem = raised(reactor.adoptStreamConnection, reactor, fd, "AF_INET", factory)
      assert.equal("ConnectError", problem.__name)
    end
    listening:close()
  end))

  it("raises for a family that it does not know", function()
    assert.matches("family must be",
      raised(reactor.adoptStreamConnection, reactor, 0, "AF_PACKET", ends.factory(ends.Recorder)))
  end)
end)
