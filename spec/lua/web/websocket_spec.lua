-- SPDX-License-Identifier: MIT
-- websocket_spec.lua -- WebSocketProtocol, both sides over memory transports, time by a Clock.
local core      = require "twistlua.core"
local errors    = require "twistlua.error"
local protocols = require "twistlua.web.websocket.protocol"
local settings  = require "twistlua.web.websocket.settings"
local task      = require "twistlua.task"
local test      = require "twistlua.test"
local websocket = require "twistlua.web.websocket"

local Recorder = websocket.WebSocketProtocol:extend("Recorder")

function Recorder:init() self.events = {} end
local function note(self, ...) self.events[#self.events + 1] = { ... } end
function Recorder:messageReceived(data, isBinary) note(self, "message", data, isBinary) end
function Recorder:pongReceived(data) note(self, "pong", data) end
function Recorder:closeReceived(code, reason) note(self, "close", code, reason) end

function Recorder:connectionLost(reason)
  local value = reason.value
  self.reason = reason
  note(self, "lost", value.wasClean, value.code, value.reason)
end

-- Both sides, connected.
local function pair(given)
  given = given or {}
  local clock = given.clock or task.Clock()
  local server, client = (given.server or Recorder)(), (given.client or Recorder)()
  protocols.begin(server, settings.make("spec", given.options or {}, true, clock), given.deflate)
  protocols.begin(client, settings.make("spec", given.options or {}, false, clock), given.deflate)
  return test.connect(server, client, { byteAtATime = given.byteAtATime }), clock
end

-- A server on a transport that only keeps what is written.
local function alone(options, class)
  local clock, transport = task.Clock(), test.StringTransport()
  local server = (class or Recorder)()
  protocols.begin(server, settings.make("spec", options or {}, true, clock))
  server:makeConnection(transport)
  return server, transport, clock
end

local function frameOf(opcode, payload)
  return core.websocket.codec(false, 1 << 20, 10):frame(opcode, payload)
end

describe("WebSocketProtocol", function()
  for _, byteAtATime in ipairs { false, true } do
    it("carries messages both ways" .. (byteAtATime and ", byte by byte" or ""), function()
      local pump = pair { byteAtATime = byteAtATime }
      pump.client:sendMessage("héllo")
      pump.client:sendMessage("\xff\x00", true)
      pump.server:sendMessage(("x"):rep(20000))
      pump:flush()
      assert.same({ { "message", "héllo", false }, { "message", "\xff\x00", true } }, pump.server.events)
      assert.same({ { "message", ("x"):rep(20000), false } }, pump.client.events)
    end)
  end

  it("answers pings, and tells of pongs", function()
    local pump = pair()
    pump.client:sendPing("are you there")
    pump.client:sendPing()
    pump:flush()
    assert.same({ { "pong", "are you there" }, { "pong", "" } }, pump.client.events)
    assert.same({}, pump.server.events)
    assert.error_matches(function() pump.client:sendPing(("x"):rep(126)) end, "125 bytes")
  end)

  it("closes by a handshake that either side begins", function()
    for _, who in ipairs { "server", "client" } do
      local pump = pair()
      pump[who]:sendClose(4001, "enough")
      pump[who]:sendMessage("dropped")
      pump[who]:sendPing("dropped")
      pump[who]:sendClose(4002, "again")
      pump:flush()
      local other = pump[who == "server" and "client" or "server"]
      assert.same({ { "close", 4001, "enough" }, { "lost", true, 4001, "enough" } }, other.events)
      assert.same({ { "close", 4001, "" }, { "lost", true, 4001, "" } }, pump[who].events)
      assert.is_truthy(other.reason:check(errors.ConnectionDone))
      assert.is_truthy(other.reason:check(websocket.WebSocketDone))
    end
  end)

  it("leaves nothing running when the connection has gone", function()
    local pump, clock = pair()
    pump.client:sendClose()
    pump:flush()
    assert.same({}, clock:getDelayedCalls())
    pump.client:sendMessage("nobody hears")
    pump.client:sendClose()
    pump.client:sendPing()
  end)

  it("delivers what was under way when it began to close", function()
    local pump = pair()
    pump.server:sendMessage("before")
    pump.client:sendClose()
    pump.server:sendMessage("not yet known")
    pump:flush()
    assert.same({ "message", "before", false }, pump.client.events[1])
    assert.same({ "message", "not yet known", false }, pump.client.events[2])
    assert.same({ "close", 1000, "" }, pump.client.events[3])
  end)

  it("may say a code of its own to a close frame", function()
    local Own = Recorder:extend("Own")
    function Own:closeReceived() self:sendClose(3000, "mine") end
    local pump = pair { server = Own }
    pump.client:sendClose(1000)
    pump:flush()
    assert.same({ { "close", 3000, "mine" }, { "lost", true, 3000, "mine" } }, pump.client.events)
    assert.same({ { "lost", true, 1000, "" } }, pump.server.events)
  end)

  it("answers a close frame without a code by one without", function()
    local server, transport = alone()
    server:dataReceived(frameOf(8, ""))
    assert.equal("\x88\x00", transport:value())
    assert.is_true(transport.disconnecting)
    assert.same({ { "close", 1005, "" } }, server.events)
  end)

  it("reads nothing behind a close frame", function()
    local server, transport = alone()
    server:dataReceived(frameOf(8, "") .. frameOf(1, "late"))
    server:dataReceived(frameOf(1, "later"))
    assert.same({ { "close", 1005, "" } }, server.events)
    assert.equal("\x88\x00", transport:value())
  end)

  it("checks what is given to sendClose", function()
    local server = alone()
    for _, bad in ipairs { 1005, 1006, 999, 5000, 1000.5, "1000" } do
      assert.error_matches(function() server:sendClose(bad) end, "cannot be sent as a code")
    end
    assert.error_matches(function() server:sendClose(1000, ("x"):rep(124)) end, "at most 123 bytes")
    assert.error_matches(function() server:sendClose(1000, "\xff") end, "must be UTF%-8")
    assert.error_matches(function() server:sendMessage("\xff") end, "must be UTF%-8")
    assert.error_matches(function() server:sendMessage(nil) end, "must be a string")
  end)

  it("cuts the connection when the other side does not close in time", function()
    local server, transport, clock = alone { closeTimeout = 3 }
    server:sendClose(1001, "restart")
    clock:advance(2.9)
    assert.is_false(transport.aborting)
    clock:advance(0.2)
    assert.is_true(transport.aborting)
  end)

  it("tells 1006 when the other side goes away without a word", function()
    local pump = pair()
    pump.client.transport:abortConnection()
    pump:flush()
    assert.same({ "lost", false, 1006 }, { table.unpack(pump.server.events[1], 1, 3) })
    assert.is_truthy(pump.server.reason:check(websocket.WebSocketLost))
    assert.is_truthy(pump.server.reason:check(errors.ConnectionLost))
    assert.is_truthy(pump.server.reason.value.cause:check(errors.ConnectionLost))
    pump = pair()
    pump.server.transport:loseConnection()
    pump:flush()
    assert.same({ "lost", false, 1006 }, { table.unpack(pump.client.events[1], 1, 3) })
  end)

  it("ends a connection whose event raises with 1011, and no other", test.async(function()
    local Broken = Recorder:extend("Broken")
    function Broken:messageReceived(data) error("cannot take " .. data, 0) end
    local pump = pair { server = Broken }
    local other = pair { server = Broken }
    pump.client:sendMessage("this")
    pump:flush()
    assert.same({ { "close", 1011, "Internal error" }, { "lost", true, 1011, "Internal error" } }, pump.client.events)
    assert.equal("cannot take this", pump.server.reason.value)
    assert.equal(1, #test.flushLoggedErrors())
    assert.same({}, other.server.events)
  end))

  it("does the same when connectionMade raises", test.async(function()
    local Broken = Recorder:extend("Broken")
    function Broken.connectionMade() error("no", 0) end
    local pump = pair { server = Broken }
    pump:flush()
    assert.equal(1011, pump.client.reason.value.code)
    assert.equal(1, #test.flushLoggedErrors())
  end))

  it("delivers what came before the message whose event raises, and nothing behind it", test.async(function()
    local Picky = Recorder:extend("Picky")
    function Picky:messageReceived(data)
      note(self, data)
      if data == "bad" then error("picky", 0) end
    end
    local server, transport = alone(nil, Picky)
    server:dataReceived(frameOf(1, "good") .. frameOf(1, "bad") .. frameOf(1, "late"))
    server:dataReceived(frameOf(1, "later"))
    assert.same({ { "good" }, { "bad" } }, server.events)
    assert.equal("\x88\x10\x03\xf3Internal error", transport:value())
    assert.is_true(transport.writeDisconnected)
    assert.equal(1, #test.flushLoggedErrors())
  end))

  it("reads what comes while it delivers a message behind what is there", function()
    local Eager = Recorder:extend("Eager")
    function Eager:messageReceived(data)
      if data == "one" then self:dataReceived(frameOf(1, "three") .. frameOf(1, "four")) end
      note(self, data)
    end
    local server = alone(nil, Eager)
    server:dataReceived(frameOf(1, "one") .. frameOf(1, "two"))
    server:dataReceived(frameOf(1, "five"))
    assert.same({ { "one" }, { "two" }, { "three" }, { "four" }, { "five" } }, server.events)
    server = alone(nil, Eager)
    server:dataReceived(frameOf(1, "one"))
    assert.same({ { "one" }, { "three" }, { "four" } }, server.events)
  end)

  it("hears of nothing behind the message that made it abort", function()
    local Brief = Recorder:extend("Brief")
    function Brief:messageReceived(data)
      note(self, data)
      self:connectionLost(require("twistlua.failure").Failure(errors.ConnectionAborted()))
    end
    local server = alone(nil, Brief)
    server:dataReceived(frameOf(1, "one") .. frameOf(1, "two"))
    assert.same({ { "one" }, { "lost", false, 1006, server.reason.value.reason } }, server.events)
  end)

  it("wants bytes, and a connection", function()
    local server = alone()
    assert.error_matches(function() server:dataReceived() end, "string expected, got nil")
    assert.error_matches(function() server:dataReceived({}) end, "string expected, got table")
    assert.error_matches(function() Recorder():dataReceived("x") end, "not open yet")
    assert.error_matches(function() Recorder():sendMessage("x") end, "not open yet")
    assert.error_matches(function() server.sendMessage(nil, "x") end, "table expected")
    server._codec = io.stdout
    assert.error_matches(function() server:dataReceived("x") end, "not open yet")
  end)

  it("may talk from connectionMade on", function()
    local Polite = Recorder:extend("Polite")
    function Polite:connectionMade() self:sendMessage("welcome") end
    local pump = pair { server = Polite }
    pump:flush()
    assert.same({ { "message", "welcome", false } }, pump.client.events)
  end)
end)

describe("WebSocketProtocol's signs of life", function()
  it("are pings, at an interval from the last pong", function()
    local pump, clock = pair { options = { pingInterval = 10, pongTimeout = 5 } }
    clock:advance(9.9)
    pump:flush()
    assert.same({}, pump.server.events)
    for _ = 1, 3 do
      clock:advance(10)
      pump:flush()
    end
    assert.same({ { "pong", "" }, { "pong", "" }, { "pong", "" } }, pump.server.events)
    pump.client:sendClose()
    pump:flush()
    assert.same({}, clock:getDelayedCalls())
  end)

  it("abort a connection without pongs", function()
    local server, transport, clock = alone { pingInterval = 10, pongTimeout = 5 }
    clock:advance(10)
    assert.equal("\x89\x00", transport:value())
    clock:advance(4.9)
    assert.is_false(transport.aborting)
    server:dataReceived(frameOf(10, ""))
    clock:advance(10)
    clock:advance(5)
    assert.is_true(transport.aborting)
    server:connectionLost(require("twistlua.failure").Failure(errors.ConnectionAborted()))
    assert.same({ "lost", false, 1006, "No pong came in time" }, server.events[2])
  end)

  it("wait while the connection is paused", function()
    local server, transport, clock = alone { pingInterval = 10, pongTimeout = 5 }
    server:pauseProducing()
    clock:advance(10)
    clock:advance(5)
    assert.is_false(transport.aborting)
    server:resumeProducing()
    clock:advance(10)
    clock:advance(5)
    assert.is_true(transport.aborting)
  end)

  it("can be left out", function()
    local _, _, clock = alone { pingInterval = math.huge }
    assert.same({}, clock:getDelayedCalls())
  end)
end)

describe("WebSocketProtocol's back-pressure", function()
  it("delivers nothing while paused, and goes on with what is there", function()
    local Slow = Recorder:extend("Slow")
    function Slow:messageReceived(data)
      note(self, data)
      self:pauseProducing()
    end
    local server, transport = alone(nil, Slow)
    server:dataReceived(frameOf(1, "one") .. frameOf(1, "two") .. frameOf(1, "three"))
    assert.same({ { "one" } }, server.events)
    assert.equal("paused", transport.producerState)
    server:dataReceived(frameOf(1, "four"))
    server:resumeProducing()
    assert.same({ { "one" }, { "two" } }, server.events)
    server:resumeProducing()
    server:resumeProducing()
    assert.same({ { "one" }, { "two" }, { "three" }, { "four" } }, server.events)
    server:resumeProducing()
    assert.equal("producing", transport.producerState)
    server:resumeProducing()
    assert.equal(4, #server.events)
  end)

  it("may be lifted inside messageReceived", function()
    local Short = Recorder:extend("Short")
    function Short:messageReceived(data)
      self:pauseProducing()
      note(self, data)
      self:resumeProducing()
    end
    local server = alone(nil, Short)
    server:dataReceived(frameOf(1, "one") .. frameOf(1, "two"))
    assert.same({ { "one" }, { "two" } }, server.events)
  end)

  it("reaches a producer, which is stopped when the connection closes", function()
    local pump = pair()
    local asked = {}
    local producer = {
      pauseProducing  = function() asked[#asked + 1] = "pause" end,
      resumeProducing = function() asked[#asked + 1] = "resume" end,
      stopProducing   = function() asked[#asked + 1] = "stop" end,
    }
    pump.server:registerProducer(producer, true)
    pump.server:sendMessage(("x"):rep(70000))
    pump:flush()
    pump.client:sendClose()
    pump:flush()
    assert.same({ "pause", "resume", "stop" }, asked)
    assert.is_true(pump.server.reason.value.wasClean)
  end)

  it("ends a connection whose other side does not read", function()
    local pump = pair()
    pump.server.transport:setOutputLimit(100000)
    pump.client:pauseProducing()
    for _ = 1, 5 do pump.server:sendMessage(("x"):rep(50000)) end
    pump:flush()
    assert.is_truthy(pump.server.reason.value.cause:check(errors.OutputLimitExceeded))
  end)
end)
