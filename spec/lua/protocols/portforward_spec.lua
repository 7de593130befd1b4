local errors      = require "twistlua.error"
local Failure     = require("twistlua.failure").Failure
local portforward = require "twistlua.protocols.portforward"
local test        = require "twistlua.test"

-- A user, a proxy and a server, of which the proxy's outgoing connection is made by `connectOut`.
describe("ProxyFactory", function()
  local reactor, user, server, incoming, outgoing, entry

  before_each(function()
    reactor = test.MemoryReactor()
    local factory = portforward.ProxyFactory("example.com", 80)
    factory.reactor = reactor
    user, server = test.AccumulatingProtocol(), test.AccumulatingProtocol()
    incoming = test.connect(factory:buildProtocol(), user)
    entry, outgoing = reactor.tcpClients[1], nil
  end)

  local function connectOut()
    entry.connector.state = "connected"
    outgoing = test.connect(server, entry.factory:buildProtocol())
  end

  local function flush()
    repeat until not (incoming:pump() or outgoing and outgoing:pump())
  end

  it("connects to its place for each connection", function()
    assert.equal(1, #reactor.tcpClients)
    assert.equal("example.com", entry.host)
    assert.equal(80, entry.port)
  end)

  it("forwards both ways", function()
    connectOut()
    user.transport:write("GET /")
    server.transport:write("200 OK")
    flush()
    assert.equal("GET /", server.data)
    assert.equal("200 OK", user.data)
  end)

  it("keeps what came before the other side was there", function()
    user.transport:write("early")
    flush()
    connectOut()
    flush()
    assert.equal("early", server.data)
  end)

  it("closes the server's side after the user's, with all bytes delivered", function()
    connectOut()
    user.transport:write("bye")
    user.transport:loseConnection()
    flush()
    assert.equal("bye", server.data)
    assert.equal(1, server.closed)
    assert.is_not_nil(server.closedReason:check(errors.ConnectionDone))
  end)

  it("closes the user's side after the server's, with all bytes delivered", function()
    connectOut()
    server.transport:write("bye")
    server.transport:loseConnection()
    flush()
    assert.equal("bye", user.data)
    assert.equal(1, user.closed)
  end)

  it("closes the user's side when there is no way to the server", function()
    entry.factory:clientConnectionFailed(entry.connector, Failure(errors.ConnectionRefusedError()))
    flush()
    assert.equal(1, user.closed)
  end)

  it("gives up connecting when the user has gone", function()
    user.transport:abortConnection()
    flush()
    assert.is_true(entry.connector.stoppedConnecting)
  end)

  local function backPressure(from, to)
    connectOut()
    from, to = from(), to()
    to.transport:pauseProducing()
    local chunk, sent = ("x"):rep(40000), 0
    for _ = 1, 10 do
      from.transport:write(chunk)
      sent = sent + #chunk
      flush()
    end
    assert.equal("", to.data)
    assert.is_true(#from.transport._buffer > 0, "nothing was held back")
    to.transport:resumeProducing()
    flush()
    assert.equal(sent, #to.data)
  end

  it("reads the user no faster than the server reads", function()
    backPressure(function() return user end, function() return server end)
  end)

  it("reads the server no faster than the user reads", function()
    backPressure(function() return server end, function() return user end)
  end)
end)
