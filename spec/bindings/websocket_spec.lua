-- SPDX-License-Identifier: MIT
-- websocket_spec.lua -- core.websocket: frames of both sides, from bytes cut in any way.
local received  = require "bindings.received"
local websocket = require("twistlua.core").websocket

local feed = received.all

local LIMIT = 2 ^ 24 // 1 | 0

local function pair(limit, frames)
  return websocket.codec(false, limit or LIMIT, frames or 1000), websocket.codec(true, limit or LIMIT, frames or 1000)
end

local function bytesOf(codec, opcode, payload)
  return table.concat({ codec:frame(opcode, payload) })
end

describe("a WebSocket codec", function()
  it("brings messages of any length across, cut anywhere", function()
    for _, length in ipairs { 0, 1, 125, 126, 1024, 1025, 8191, 8192, 8193, 65535, 65536, 300000 } do
      local client, server = pair()
      local payload = ("x€"):rep(length // 4 + 1):sub(1, length):gsub("[\xe2\x82]+$", "y")
      for _, sides in ipairs { { client, server }, { server, client } } do
        for _, opcode in ipairs { 1, 2 } do
          local bytes = bytesOf(sides[1], opcode, payload)
          for _, size in ipairs { #bytes, 1000, length < 3000 and 1 or 77 } do
            assert.same({ { opcode, payload } }, feed(sides[2], bytes, size))
          end
        end
      end
    end
  end)

  it("masks what a client sends, each frame with another key", function()
    local client, server = pair()
    local keys = {}
    for i = 1, 200 do
      local bytes = client:frame(2, "\0\0\0\0")
      assert.equal("\x82\x84", bytes:sub(1, 2))
      assert.equal(bytes:sub(3, 6), bytes:sub(7))
      keys[bytes:sub(3, 6)] = true
      keys[i] = nil
    end
    local count = 0
    for _ in pairs(keys) do count = count + 1 end
    assert.is_true(count > 190)
    assert.equal("\x81\x05Hello", server:frame(1, "Hello"))
  end)

  it("tells one event at a time, and keeps the bytes behind it", function()
    local client, server = pair()
    local bytes = bytesOf(client, 1, "a") .. bytesOf(client, 9, "b") .. bytesOf(client, 8, "\x03\xe8bye")
    assert.same({ { 1, "a" } }, { received.one(server, bytes) })
    assert.same({ { 9, "b", 0 } }, { received.one(server) })
    assert.same({ { 8, "bye", 1000 } }, { received.one(server) })
    assert.same({}, { received.one(server) })
  end)

  it("takes more bytes while there are others that it has not looked at", function()
    local client, server = pair()
    local last = bytesOf(client, 2, "c")
    local bytes = bytesOf(client, 1, "a") .. bytesOf(client, 1, "b") .. last:sub(1, 3)
    assert.same({ { 1, "a" } }, { received.one(server, bytes) })
    assert.same({ { 1, "b" } }, { received.one(server, last:sub(4)) })
    assert.same({ { 2, "c" } }, { received.one(server) })
    assert.same({}, { received.one(server) })
  end)

  it("joins the frames of a message around the control frames between them", function()
    local _, server = pair()
    local client = websocket.codec(false, LIMIT, 1000)
    local bytes = "\x01\x03Hel" .. "\x89\x01p" .. "\x00\x00" .. "\x8a\x00" .. "\x80\x02lo" .. "\x82\x01!"
    for size = 1, #bytes do
      assert.same({ { 9, "p", 0 }, { 10, "", 0 }, { 1, "Hello" }, { 2, "!" } }, feed(client, bytes, size))
    end
    assert.same({ { 8, "", 1005 } }, feed(server, "\x88\x80abcd"))
  end)

  it("refuses text at the first byte that cannot be", function()
    local client = pair()
    assert.same({}, feed(client, "\x01\x02\xe2\x82"))
    assert.same({}, feed(client, "\x00\x10"))
    assert.same({ { false, 1007, "Text is not UTF-8" } }, feed(client, "("))
  end)

  it("counts bytes and frames of a message", function()
    local client = pair(10, 3)
    assert.same({ { 2, ("x"):rep(10) } }, feed(client, "\x82\x0a" .. ("x"):rep(10)))
    assert.same({ { false, 1009, "Message is too long" } }, feed(client, "\x82\x0b"))
    client = pair(10, 3)
    assert.same({ { 2, "abc" } }, feed(client, "\x02\x01a\x00\x01b\x80\x01c"))
    assert.same({ { false, 1008, "Message has too many frames" } },
      feed(client, "\x02\x01a\x00\x01b\x00\x00\x80\x01c"))
  end)

  it("does not send what must not be sent", function()
    local client = pair()
    assert.error_matches(function() client:frame(1, "\xff") end, "must be UTF%-8")
    assert.error_matches(function() client:frame(1, "\xe2\x82") end, "must be UTF%-8")
    assert.error_matches(function() client:frame(9, ("x"):rep(126)) end, "at most 125 bytes, not 126")
    assert.error_matches(function() client:frame(2, 5) end, "must be a string, not number")
    assert.error_matches(function() websocket.codec(true, -1, 1) end, "negative")
    assert.error_matches(function() websocket.codec(true, 1, 0) end, "from 1 to")
  end)

  it("may be closed in the middle, twice", function()
    local client = pair()
    feed(client, "\x01\x7e\x10\x00abc")
    client:close()
    client:close()
  end)
end)

describe("a WebSocket codec that compresses", function()
  local function compressing(out, into, limit)
    local client, server = pair(limit)
    client:compress(15, out, 15, into, 6, 0)
    server:compress(15, into, 15, out, 6, 0)
    return client, server
  end

  it("brings messages across, with contexts kept or not", function()
    local text = ("all work and no play "):rep(500)
    for _, out in ipairs { true, false } do
      for _, into in ipairs { true, false } do
        local client, server = compressing(out, into)
        local lengths = {}
        for _, message in ipairs { text, "", "x", text } do
          for _, sides in ipairs { { client, server }, { server, client } } do
            local bytes = bytesOf(sides[1], 1, message)
            lengths[#lengths + 1] = #bytes
            for _, size in ipairs { #bytes } do
              assert.same({ { 1, message } }, feed(sides[2], bytes, size))
            end
          end
        end
        assert.is_true(lengths[1] < #text / 20)
        assert.equal(out, lengths[7] < lengths[1])    -- it refers to the first
        assert.equal(into, lengths[8] < lengths[2])
      end
    end
  end)

  it("takes them in pieces, and in frames around control frames", function()
    local client = compressing(true, true)
    -- RFC 7692 7.2.3.1 and 7.2.3.2
    for size = 1, 9 do
      assert.same({ { 1, "Hello" } }, feed(client, "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00", size))
      assert.same({ { 1, "Hello" } }, feed(client, "\xc1\x05\xf2\x00\x11\x00\x00", size))   -- 7.2.3.2, shared window
    end
    client = compressing(true, true)
    assert.same({ { 9, "", 0 }, { 1, "Hello" } },
      feed(client, "\x41\x03\xf2\x48\xcd\x89\x00\x80\x04\xc9\xc9\x07\x00", 1))
    -- 7.2.3.3, a block without compression; 7.2.3.4, a block marked as the last one; 7.2.3.5, two blocks
    assert.same({ { 1, "Hello" } }, feed(client, "\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 2))
    assert.same({ { 1, "Hello" } }, feed(client, "\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 2))
    assert.same({ { 1, "Hello" } },
      feed(client, "\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 2))
    assert.same({ { 1, "plain" } }, feed(client, "\x81\x05plain", 2))
  end)

  it("bounds what a message inflates to", function()
    local client, server = compressing(true, true, 100000)
    local sender = websocket.codec(false, LIMIT, 1)
    sender:compress(15, true, 15, true, 6, 0)
    assert.same({ { 2, ("\0"):rep(100000) } }, feed(server, bytesOf(sender, 2, ("\0"):rep(100000)), 7))
    assert.same({ { false, 1009, "Message is too long" } },
      feed(server, bytesOf(sender, 2, ("\0"):rep(100001)), 7))
    client:close()
  end)

  it("refuses what is not DEFLATE, and text that is not UTF-8 inside", function()
    local client = compressing(true, true)
    assert.same({ { false, 1007, "Compressed message cannot be inflated" } }, feed(client, "\xc1\x03\xff\xff\xff", 1))
    client = compressing(true, true)
    local sender = select(2, compressing(true, true))
    for _, bad in ipairs { "abc\xff", "abc\xe2\x82" } do
      local bytes = bytesOf(sender, 2, bad)
      bytes = "\xc1" .. bytes:sub(2)
      assert.same({ { false, 1007, "Text is not UTF-8" } }, feed(client, bytes, 1))
      client, sender = compressing(true, true), select(2, compressing(true, true))
    end
  end)

  it("refuses its bit where the frame does not begin a message", function()
    for _, bytes in ipairs { "\xc9\x00", "\x01\x01a\xc0\x01b", "\xa1\x00", "\x91\x00" } do
      local client = compressing(true, true)
      assert.same({ { false, 1002, "Reserved bit in a frame" } }, feed(client, bytes, 1), bytes)
    end
  end)

  it("leaves short messages as they are", function()
    local _, server = pair()
    server:compress(15, true, 15, true, 6, 10)
    assert.equal("\x81\x09" .. ("a"):rep(9), server:frame(1, ("a"):rep(9)))
    assert.equal("\xc1", server:frame(1, ("a"):rep(10)):sub(1, 1))
    assert.error_matches(function() server:compress(15, true, 15, true, 6, 0) end, "already")
  end)
end)

describe("the handshake's proofs", function()
  it("are those of RFC 6455", function()
    assert.equal("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", websocket.accept("dGhlIHNhbXBsZSBub25jZQ=="))
    assert.is_nil(websocket.accept("dGhlIHNhbXBsZSBub25jZQ"))
    assert.is_string(websocket.accept(websocket.key()))
    assert.not_equal(websocket.key(), websocket.key())
  end)

  it("know which codes a close frame may carry", function()
    for _, good in ipairs { 1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999 } do
      assert.is_true(websocket.isCloseCode(good), good)
    end
    for _, bad in ipairs { 0, 999, 1004, 1005, 1006, 1015, 2999, 5000, -1, 1 << 40, "x", 1000.5 } do
      assert.is_false(websocket.isCloseCode(bad), bad)
    end
  end)
end)
