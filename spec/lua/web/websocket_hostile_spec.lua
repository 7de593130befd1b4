-- SPDX-License-Identifier: MIT
-- websocket_hostile_spec.lua -- what breaks the rules of RFC 6455, and the code that answers it.
local core      = require "twistlua.core"
local protocols = require "twistlua.web.websocket.protocol"
local received  = require "bindings.received"
local settings  = require "twistlua.web.websocket.settings"
local task      = require "twistlua.task"
local test      = require "twistlua.test"
local websocket = require "twistlua.web.websocket"

local Recorder = websocket.WebSocketProtocol:extend("Recorder")
function Recorder:init() self.messages = {} end
function Recorder:messageReceived(data) self.messages[#self.messages + 1] = data end
function Recorder:connectionLost(reason) self.reason = reason end

local LIMITS = { maxMessageSize = 1000, maxFrames = 10, closeTimeout = 2, pingInterval = math.huge }
local DEFLATE = { serverTakeover = true, clientTakeover = true, serverBits = 15, clientBits = 15 }

local function server(compressed)
  local clock, transport = task.Clock(), test.StringTransportWithDisconnection()
  local protocol = Recorder()
  local given = { compression = true }
  for name, value in pairs(LIMITS) do given[name] = value end
  protocols.begin(protocol, settings.make("spec", given, true, clock), compressed and DEFLATE or nil)
  transport.protocol = protocol
  protocol:makeConnection(transport)
  return protocol, transport, clock
end

-- A frame whose key is zeros.
local function frame(first, payload, length)
  length = length or #payload
  local head = length < 126 and (">BB"):pack(first, 0x80 | length)
    or length < 65536 and (">BBI2"):pack(first, 0xfe, length) or (">BBI8"):pack(first, 0xff, length)
  return head .. "\0\0\0\0" .. payload
end

-- Of a close frame, which is all that the other side sent.
local function statusOf(bytes, byClient)
  local events = received.all(core.websocket.codec(byClient or false, 1 << 20, 10), bytes)
  assert.equal(1, #events, bytes)
  local opcode, reason, status = table.unpack(events[1])
  assert.equal(8, opcode, "no close frame but " .. bytes)
  assert.is_true(reason ~= "")
  return status
end

-- what it is, the code, the bytes
local TABLE = {
  { "a frame without a mask", 1002, "\x81\x05Hello" },
  { "an empty frame without a mask", 1002, "\x81\x00" },
  { "reserved bit 1 without compression", 1002, frame(0xc1, "a") },
  { "reserved bit 2", 1002, frame(0xa1, "a") },
  { "reserved bit 3", 1002, frame(0x91, "a") },
  { "reserved bit in a ping", 1002, frame(0xc9, "") },
  { "opcode 3", 1002, frame(0x83, "a") },
  { "opcode 7", 1002, frame(0x87, "a") },
  { "opcode 11", 1002, frame(0x8b, "") },
  { "opcode 15", 1002, frame(0x8f, "") },
  { "a ping in parts", 1002, frame(0x09, "a") },
  { "a close frame in parts", 1002, frame(0x08, "\x03\xe8") },
  { "a ping of 126 bytes", 1002, frame(0x89, ("x"):rep(126)) },
  { "a close frame of 126 bytes", 1002, frame(0x88, "\x03\xe8" .. ("x"):rep(124)) },
  { "a length of 2 bytes that needs 1", 1002, "\x82\xfe\x00\x7d\0\0\0\0" .. ("x"):rep(125) },
  { "a length of 8 bytes that needs 2", 1002, "\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0" },
  { "a length with its highest bit set", 1002, "\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0" },
  { "a continuation of nothing", 1002, frame(0x80, "a") },
  { "a message inside another", 1002, frame(0x01, "a") .. frame(0x81, "b") },
  { "a continuation after the last one", 1002, frame(0x01, "a") .. frame(0x80, "b") .. frame(0x80, "c"),
    messages = { "ab" } },
  { "a close frame of one byte", 1002, frame(0x88, "\x03") },
  { "a close frame with code 1005", 1002, frame(0x88, "\x03\xed") },
  { "a close frame with code 1006", 1002, frame(0x88, "\x03\xee") },
  { "a close frame with code 999", 1002, frame(0x88, "\x03\xe7") },
  { "a close frame with code 5000", 1002, frame(0x88, "\x13\x88") },
  { "a close frame whose reason is not UTF-8", 1007, frame(0x88, "\x03\xe8\xff") },
  { "text with a byte that is none", 1007, frame(0x81, "ab\xff") },
  { "text with half a character", 1007, frame(0x81, "ab\xe2\x82") },
  { "text with a surrogate", 1007, frame(0x81, "\xed\xa0\x80") },
  { "text in a form that is too long", 1007, frame(0x81, "\xc0\xaf") },
  { "text above U+10FFFF", 1007, frame(0x81, "\xf4\x90\x80\x80") },
  { "bad text before the frame ends", 1007, frame(0x81, "ab\xff", 500) },
  { "bad text across frames", 1007, frame(0x01, "\xe2") .. frame(0x8a, "") .. frame(0x80, "a") },
  { "half a character at the end of the last frame", 1007, frame(0x01, "\xe2") .. frame(0x80, "\x82") },
  { "a message that is too long", 1009, frame(0x82, "", 1001) },
  { "one of 2^62 bytes", 1009, frame(0x82, "", 1 << 62) },
  { "frames that are too long together", 1009, frame(0x02, ("x"):rep(999)) .. frame(0x80, "xx") },
  { "too many frames", 1008, frame(0x02, "a") .. frame(0x00, ""):rep(10) },
  { "compressed bytes that are not", 1007, frame(0xc1, "\xff\xff\xff"), true },
  { "the compression bit on a later frame", 1002, frame(0x41, "\xf2\x48\xcd") .. frame(0xc0, "\xc9\xc9\x07"), true },
}

describe("A WebSocket server refuses", function()
  for _, row in ipairs(TABLE) do
    local name, code, bytes, compressed = table.unpack(row)
    it(("%s, by %d"):format(name, code), function()
      for _, size in ipairs { #bytes, 1, 3 } do
        local protocol, transport, clock = server(compressed)
        for first = 1, #bytes, size do protocol:dataReceived(bytes:sub(first, first + size - 1)) end
        assert.equal(code, statusOf(transport:value()))
        assert.same(row.messages or {}, protocol.messages)
        assert.is_true(transport.writeDisconnected)
        assert.is_false(transport.disconnecting)      -- the close frame is let through first
        protocol:dataReceived(frame(0x81, "more"))
        assert.same(row.messages or {}, protocol.messages)
        clock:advance(2)
        assert.is_true(transport.aborting)
        assert.same({ code, false }, { protocol.reason.value.code, protocol.reason.value.wasClean })
        assert.is_truthy(protocol.reason:check(websocket.WebSocketLost))
      end
    end)
  end

  it("a bomb, by 1009", function()
    local protocol, transport = server(true)
    local sender = core.websocket.codec(false, 1 << 30, 10)
    sender:compress(15, true, 15, true, 9, 0)
    protocol:dataReceived((sender:frame(2, ("\0"):rep(100000))))
    assert.equal(1009, statusOf(transport:value()))
    assert.same({}, protocol.messages)
  end)

  it("text that is bad at any place it may be cut", function()
    local text = "grüße €uro 𝄞!"
    for at = 1, #text do
      for cut = 1, #text do
        local bad = text:sub(1, at - 1) .. "\xff" .. text:sub(at)
        local protocol, transport = server()
        protocol:dataReceived(frame(0x01, bad:sub(1, cut)))
        protocol:dataReceived(frame(0x80, bad:sub(cut + 1)))
        assert.equal(1007, statusOf(transport:value()))
        protocol, transport = server()
        protocol:dataReceived(frame(0x01, text:sub(1, cut)))
        protocol:dataReceived(frame(0x80, text:sub(cut + 1)))
        assert.same({ text }, protocol.messages)
        assert.equal("", transport:value())
      end
    end
  end)

  it("nothing of what came before the mistake", function()
    local protocol, transport = server()
    protocol:dataReceived(frame(0x81, "fine") .. frame(0x89, "p") .. "\x81\x00")
    assert.same({ "fine" }, protocol.messages)
    assert.equal("\x8a\x01p", transport:value():sub(1, 3))
    assert.equal(1002, statusOf(transport:value():sub(4)))
  end)
end)

describe("A WebSocket client", function()
  it("refuses frames with a mask", function()
    local protocol, transport = Recorder(), test.StringTransportWithDisconnection()
    protocols.begin(protocol, settings.make("spec", LIMITS, false, task.Clock()))
    protocol:makeConnection(transport)
    protocol:dataReceived(frame(0x81, "a"))
    assert.equal(1002, statusOf(transport:value(), true))
  end)

  it("that has sent its close frame sends no second one", function()
    local protocol, transport = server()
    protocol:sendClose(1000)
    transport:clear()
    protocol:dataReceived("\x81\x00")
    assert.equal("", transport:value())
    assert.is_true(transport.writeDisconnected)
  end)
end)
