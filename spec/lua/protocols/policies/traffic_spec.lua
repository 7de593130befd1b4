local errors   = require "twistlua.error"
local Failure  = require("twistlua.failure").Failure
local log      = require "twistlua.log"
local policies = require "twistlua.protocols.policies"
local protocol = require "twistlua.protocol"
local test     = require "twistlua.test"

local function connect(factory)
  local wrapper = factory:buildProtocol()
  wrapper:makeConnection(test.StringTransport())
  return wrapper
end

local function factoryOf() return protocol.Factory.forProtocol(test.AccumulatingProtocol) end

describe("SpewingFactory", function()
  it("logs what is read and written, with every byte to be seen", function()
    local texts = {}
    local function observer(event) texts[#texts + 1] = event.text end
    log.addObserver(observer)
    local wrapper = connect(policies.SpewingFactory(factoryOf()))
    wrapper:dataReceived("hello\r\n\0\200\"\\")
    wrapper.wrappedProtocol.transport:write("a")
    wrapper.wrappedProtocol.transport:writeSequence { "b", "c" }
    log.removeObserver(observer)
    assert.same({ [[Received: "hello\r\n\x00\xc8\"\\"]], 'Sending: "a"', 'Sending: "b"', 'Sending: "c"' }, texts)
    assert.equal("abc", wrapper.transport:value())
    assert.equal("hello\r\n\0\200\"\\", wrapper.wrappedProtocol.data)
  end)
end)

describe("TrafficLoggingFactory", function()
  local files
  local function logging(lengthLimit)
    files = {}
    local factory = policies.TrafficLoggingFactory(factoryOf(), "traffic", lengthLimit)
    function factory:open(name)
      local file = { name = name, text = "" }
      function file:write(text) self.text = self.text .. text end
      function file:flush() self.flushed = #self.text end
      function file:close() self.closed = true end
      files[#files + 1] = file
      return file
    end
    return factory
  end

  it("writes each connection's traffic to a file of its own", function()
    local factory = logging()
    local first, second = connect(factory), connect(factory)
    assert.equal("traffic-1", files[1].name)
    assert.equal("traffic-2", files[2].name)
    second:dataReceived("ping\n")
    second.wrappedProtocol.transport:write("pong")
    second.wrappedProtocol.transport:writeSequence { "x", "y" }
    second.wrappedProtocol.transport:loseConnection()
    second:connectionLost(Failure(errors.ConnectionDone()))
    assert.equal('*\nC 2: "ping\\n"\nS 2: "pong"\nSV 2: "x"\nSV 2: "y"\nS 2: *\n'
                 .. "C 2: ConnectionDone: Connection was closed cleanly.\n", files[2].text)
    assert.equal(#files[2].text, files[2].flushed)
    assert.is_true(files[2].closed)
    assert.equal("pongxy", second.transport:value())
    assert.equal("*\n", files[1].text)
    first:connectionLost(Failure(errors.ConnectionDone()))
    factory:resetCounter()
    connect(factory)
    assert.equal("traffic-1", files[3].name)
  end)

  it("leaves out the end of what is long", function()
    local wrapper = connect(logging(20))
    wrapper:dataReceived(("x"):rep(20))
    wrapper:dataReceived(("x"):rep(21))
    assert.equal(('*\nC 1: "%s"\nC 1: "%s<... elided>"\n'):format(("x"):rep(20), ("x"):rep(8)), files[1].text)
  end)

  it("writes real files", function()
    local base = os.tmpname()
    local factory = policies.TrafficLoggingFactory(factoryOf(), base)
    connect(factory):connectionLost(Failure(errors.ConnectionLost("cable")))
    local file = assert(io.open(base .. "-1"))
    assert.matches("^%*\nC 1: ConnectionLost: .*cable%.\n$", file:read("a"))
    file:close()
    os.remove(base)
    os.remove(base .. "-1")
  end)
end)
