local async     = require("twistlua.test").async
local child     = require "system.child"
local defer     = require "twistlua.defer"
local ends      = require "system.streams.pairs"
local log       = require "twistlua.log"
local reactor   = require "twistlua.reactor"
local ProcessEndpoint = require("twistlua.endpoints").ProcessEndpoint
local flushLoggedErrors = require("twistlua.test.async").flushLoggedErrors

local await = defer.await

local function connect(command, given, class)
  local endpoint = ProcessEndpoint(reactor, "/bin/sh", { "sh", "-c", command }, given)
  return await(endpoint:connect(ends.factory(class or ends.Recorder)))
end

local function failureOf(d)
  local ok, err = pcall(await, d)
  assert.is_false(ok)
  return err
end

describe("ProcessEndpoint", function()
  it("makes a connection of a program's input and output", async(function()
    local protocol = connect("exec /bin/cat")
    assert.same({ "made" }, protocol.events)
    protocol.transport:write("echo")
    await(protocol:whenReceived(4))
    protocol.transport:loseConnection()
    ends.isExactly(protocol:awaitLost(), "ConnectionDone")
    assert.equal("ProcessAddress()", tostring(protocol.transport:getPeer()))
  end))

  it("tells a bad end", async(function()
    assert.equal(3, connect("exit 3"):awaitLost().value.exitCode)
  end))

  it("logs what comes as an error, or drops it", async(function()
    local lines = {}
    local function observe(event) lines[#lines + 1] = event.text end
    log.addObserver(observe)
    connect("echo loud >&2"):awaitLost()
    connect("echo quiet >&2", { errFlag = "drop" }):awaitLost()
    log.removeObserver(observe)
    assert.matches("/bin/sh wrote to its standard error.*loud", table.concat(lines))
    assert.is_nil(table.concat(lines):find("quiet", 1, true))
    assert.error_matches(function() ProcessEndpoint(reactor, "/bin/sh", nil, { errFlag = "x" }) end, "errFlag")
  end))

  it("fails for a program that cannot be run, and for a factory that builds nothing", async(function()
    assert.equal("ENOENT", failureOf(ProcessEndpoint(reactor, "/no"):connect(ends.factory(ends.Recorder))).code)
    local factory = ends.factory()
    factory.buildProtocol = function() end
    assert.equal("NoProtocol", failureOf(ProcessEndpoint(reactor, "/bin/true"):connect(factory)).__name)
  end))

  it("ends the child of a protocol that raises", async(function()
    local protocol = connect("echo x; exec sleep 1000", nil,
      ends.recorder { dataReceived = function() error("trouble") end })
    assert.matches("trouble", tostring(protocol:awaitLost().value))
    assert.equal(1, #flushLoggedErrors())
  end))
end)

describe("StandardIOEndpoint", function()
  it("serves one connection on standard input and output", function()
    local got = child.run({ child.program, "-e", [[
      local reactor = require "twistlua.reactor"
      local protocol = require "twistlua.protocol"
      local P = protocol.Protocol:extend("P")
      function P:dataReceived(data) self.transport:write(data:upper()) end
      function P:connectionLost() reactor:stop() end
      require("twistlua.endpoints").StandardIOEndpoint(reactor):listen(protocol.Factory.forProtocol(P))
    ]] }, { stdin = "words" })
    assert.equal("WORDS", got.stdout)
  end)
end)
