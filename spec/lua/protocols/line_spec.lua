local basic           = require "twistlua.protocols.basic"
local StringTransport = require("twistlua.test").StringTransport

-- A protocol of a subclass of `base` that keeps what it gets, with its transport.
local function receiverOf(base, methods)
  local Kept = base:extend("Kept")
  function Kept:lineReceived(line) self.got[#self.got + 1] = line end
  function Kept:rawDataReceived(data) self.got[#self.got + 1] = "raw " .. data end
  for name, method in pairs(methods or {}) do Kept[name] = method end
  local receiver = Kept()
  receiver.got = {}
  receiver:makeConnection(StringTransport())
  return receiver, receiver.transport
end

local function deliver(receiver, text, size)
  for first = 1, #text, size do receiver:dataReceived(text:sub(first, first + size - 1)) end
end

for _, name in ipairs { "LineReceiver", "LineOnlyReceiver" } do
  local base = basic[name]

  describe(name, function()
    it("gives the same lines for any chunking", function()
      local text = "one\r\n\r\nthree\rand\n\r\r\n" .. ("x"):rep(300) .. "\r\nlast\r\nrest"
      local expected = { "one", "", "three\rand\n\r", ("x"):rep(300), "last" }
      for size = 1, #text do
        local receiver = receiverOf(base)
        deliver(receiver, text, size)
        assert.same(expected, receiver.got, "in chunks of " .. size)
      end
    end)

    it("knows delimiters of any length", function()
      for _, delimiter in ipairs { "\n", "abab", "\0\0\0" } do
        for size = 1, 12 do
          local receiver = receiverOf(base, { delimiter = delimiter })
          deliver(receiver, "one" .. delimiter .. "two" .. delimiter .. delimiter, size)
          assert.same({ "one", "two", "" }, receiver.got)
        end
      end
    end)

    it("finds a delimiter that was changed while a line was incomplete", function()
      local receiver = receiverOf(base)
      receiver:dataReceived("one;two")
      receiver.delimiter = ";"
      receiver:dataReceived("!")
      assert.same({ "one" }, receiver.got)
    end)

    it("sends lines", function()
      local receiver, transport = receiverOf(base)
      receiver:sendLine("hello")
      receiver:sendLine("")
      assert.equal("hello\r\n\r\n", transport:value())
    end)

    it("delivers nothing after loseConnection", function()
      local receiver = receiverOf(base, { lineReceived = function(self, line)
        self.got[#self.got + 1] = line
        if line == "b" then self.transport:loseConnection() end
      end })
      receiver:dataReceived("a\r\nb\r\nc\r\n")
      assert.same({ "a", "b" }, receiver.got)
    end)

    it("accepts a line of MAX_LENGTH, in whatever chunks", function()
      local line = ("x"):rep(10)
      for size = 1, 12 do
        local receiver, transport = receiverOf(base, { MAX_LENGTH = 10 })
        deliver(receiver, line .. "\r\n" .. line .. "\r\n", size)
        assert.same({ line, line }, receiver.got)
        assert.is_false(transport.disconnecting)
      end
    end)

    it("does not drop a line of MAX_LENGTH whose delimiter is half there", function()   -- point 38
      local receiver, transport = receiverOf(base, { MAX_LENGTH = 10 })
      receiver:dataReceived(("x"):rep(10) .. "\r")
      assert.is_false(transport.disconnecting)
      receiver:dataReceived("\n")
      assert.same({ ("x"):rep(10) }, receiver.got)
    end)

    it("drops the connection for a line over MAX_LENGTH", function()
      local long = ("x"):rep(11)
      for size = 1, 13 do
        local receiver, transport = receiverOf(base, { MAX_LENGTH = 10 })
        receiver:dataReceived("good\r\n")
        deliver(receiver, long .. "\r\n", size)
        assert.same({ "good" }, receiver.got)
        assert.is_true(transport.disconnecting)
      end
    end)

    it("hands over everything from the long line on", function()   -- point 38
      local exceeded
      local receiver = receiverOf(base,
        { MAX_LENGTH = 5, lineLengthExceeded = function(_, line) exceeded = line end })
      receiver:dataReceived("ok\r\ntoo long\r\nmore")
      assert.equal("too long\r\nmore", exceeded)
      receiver:dataReceived("\r\nok again\r\n")
      assert.equal("ok again\r\n", exceeded)
      assert.same({ "ok", "" }, receiver.got)
    end)

    it("hands over an endless line when it has become too long", function()
      local exceeded
      local receiver = receiverOf(base,
        { MAX_LENGTH = 5, lineLengthExceeded = function(_, line) exceeded = line end })
      deliver(receiver, "123456", 1)
      assert.is_nil(exceeded)
      receiver:dataReceived("7")
      assert.equal("1234567", exceeded)
    end)

    it("says so when it has no lineReceived", function()
      local Silent = base:extend("Silent")
      assert.error_matches(function() Silent():dataReceived("x\r\n") end, "Silent has no lineReceived")
    end)

    it("goes on after an error in lineReceived", function()
      local receiver = receiverOf(base, { lineReceived = function(self, line)
        if line == "bad" then error("oops") end
        self.got[#self.got + 1] = line
      end })
      assert.error_matches(function() receiver:dataReceived("bad\r\ngood\r\n") end, "oops")
      receiver:dataReceived("better\r\n")
      assert.same({ "good", "better" }, receiver.got)
    end)

    it("delivers nothing while paused, and the rest at once when resumed", function()
      local receiver, transport = receiverOf(base, { lineReceived = function(self, line)
        self.got[#self.got + 1] = line
        self:pauseProducing()
      end })
      receiver:dataReceived("a\r\nb\r\nc\r\nd")
      assert.same({ "a" }, receiver.got)
      assert.equal("paused", transport.producerState)
      receiver:dataReceived("d\r\n")
      receiver:resumeProducing()
      assert.same({ "a", "b" }, receiver.got)
      receiver:resumeProducing()
      receiver:resumeProducing()
      assert.same({ "a", "b", "c", "dd" }, receiver.got)
      receiver:resumeProducing()
      assert.equal("producing", transport.producerState)
    end)

    it("reads on when resumed inside lineReceived", function()
      local receiver = receiverOf(base, { lineReceived = function(self, line)
        self.got[#self.got + 1] = line
        self:pauseProducing()
        self:resumeProducing()
      end })
      receiver:dataReceived("a\r\nb\r\nc\r\n")
      assert.same({ "a", "b", "c" }, receiver.got)
    end)

    it("stops when paused is set", function()
      local receiver = receiverOf(base, { lineReceived = function(self, line)
        self.got[#self.got + 1] = line
        self.paused = true
      end })
      receiver:dataReceived("a\r\nb\r\nc")
      assert.same({ "a" }, receiver.got)
      receiver:resumeProducing()
      assert.same({ "a", "b" }, receiver.got)
    end)

    it("goes by what lineReceived set, for the next line already", function()
      local exceeded
      local receiver = receiverOf(base, {
        lineReceived = function(self, line)
          self.got[#self.got + 1] = line
          if line == "semicolons" then self.delimiter = ";" end
          if line == "again" then self.delimiter = nil end
          if line == "short" then self.MAX_LENGTH = 3 end
        end,
        lineLengthExceeded = function(_, line) exceeded = line end,
      })
      receiver:dataReceived("a\r\nsemicolons\r\nb\r\nc;again;d;e\r\nshort\r\nf\r\nlong\r\n")
      assert.same({ "a", "semicolons", "b\r\nc", "again", "d;e", "short", "f" }, receiver.got)
      assert.equal("long\r\n", exceeded)
    end)

    it("calls the lineReceived that a line has put in its place", function()
      local receiver = receiverOf(base, { lineReceived = function(self)
        self.lineReceived = function(_, line) self.got[#self.got + 1] = line end
      end })
      receiver:dataReceived("a\r\nb\r\n")
      assert.same({ "b" }, receiver.got)
    end)

    it("asks the transport that it has after a line", function()
      local receiver = receiverOf(base, { lineReceived = function(self, line)
        self.got[#self.got + 1] = line
        self.transport = StringTransport()
        if line == "b" then self.transport:loseConnection() end
      end })
      receiver:dataReceived("a\r\nb\r\nc\r\n")
      assert.same({ "a", "b" }, receiver.got)
    end)

    it("stops for ever", function()
      local receiver, transport = receiverOf(base)
      receiver:stopProducing()
      receiver:dataReceived("a\r\n")
      assert.same({}, receiver.got)
      assert.equal("stopped", transport.producerState)
    end)

    it("adds re-entrant data to the end, without recursion", function()   -- point 38
      local depth, depth_max = 0, 0
      local receiver = receiverOf(base, { lineReceived = function(self, line)
        depth = depth + 1
        depth_max = math.max(depth, depth_max)
        self.got[#self.got + 1] = line
        if line == "a" then self:dataReceived("d\r\n") end
        depth = depth - 1
      end })
      receiver:dataReceived("a\r\nb\r\nc")
      receiver:dataReceived("\r\n")
      assert.same({ "a", "b", "cd", "" }, receiver.got)
      assert.equal(1, depth_max)
    end)

    it("takes memory in proportion to an incomplete line", function()
      local receiver = receiverOf(base, { MAX_LENGTH = 1 << 20 })
      local bytes = 200000
      collectgarbage()
      collectgarbage()
      local before = collectgarbage("count")
      for _ = 1, bytes do receiver:dataReceived("x") end
      collectgarbage()
      collectgarbage()
      assert.is_true((collectgarbage("count") - before) * 1024 < 1.5 * bytes)
      receiver:dataReceived("\r\n")
      assert.equal(bytes, #receiver.got[1])
    end)
  end)
end

describe("LineReceiver", function()
  it("switches to raw mode and back in the middle of a chunk", function()
    local receiver = receiverOf(basic.LineReceiver, {
      lineReceived = function(self, line)
        self.got[#self.got + 1] = line
        if line == "body" then self:setRawMode() end
      end,
      rawDataReceived = function(self, data)
        self.got[#self.got + 1] = "raw " .. data:sub(1, 3)
        self:setLineMode(data:sub(4))
      end,
    })
    receiver:dataReceived("head\r\nbody\r\nRAWtail\r\nbody\r\nWARend\r\n")
    assert.same({ "head", "body", "raw RAW", "tail", "body", "raw WAR", "end" }, receiver.got)
  end)

  it("gives raw bytes as they come", function()
    local receiver = receiverOf(basic.LineReceiver)
    receiver:setRawMode()
    receiver:dataReceived("a\r\nb")
    receiver:dataReceived("c")
    assert.same({ "raw a\r\nb", "raw c" }, receiver.got)
  end)

  it("gives no raw bytes when the line that switched was the last", function()
    local receiver = receiverOf(basic.LineReceiver, { lineReceived = function(self) self:setRawMode() end })
    receiver:dataReceived("a\r\n")
    assert.same({}, receiver.got)
    receiver:dataReceived("b")
    assert.same({ "raw b" }, receiver.got)
  end)

  it("gives the beginning of a line to raw mode too", function()
    local receiver = receiverOf(basic.LineReceiver)
    receiver:dataReceived("begun")
    receiver:setRawMode()
    receiver:dataReceived(" here")
    assert.same({ "raw begun here" }, receiver.got)
  end)

  it("reads what setLineMode hands back at once", function()
    local receiver = receiverOf(basic.LineReceiver)
    receiver:setRawMode()
    receiver:setLineMode("a\r\nb")
    assert.same({ "a" }, receiver.got)
    receiver:dataReceived("\r\n")
    assert.same({ "a", "b" }, receiver.got)
  end)

  it("switches thousands of times in one chunk without recursion", function()   -- point 38
    local depth, depth_max = 0, 0
    local receiver = receiverOf(basic.LineReceiver, {
      lineReceived = function(self)
        depth = depth + 1
        depth_max = math.max(depth, depth_max)
        self:setRawMode()
        depth = depth - 1
      end,
      rawDataReceived = function(self, data)
        depth = depth + 1
        depth_max = math.max(depth, depth_max)
        self.got[#self.got + 1] = data:sub(1, 1)
        self:setLineMode(data:sub(2))
        depth = depth - 1
      end,
    })
    receiver:dataReceived(("x\r\ny"):rep(5000))
    assert.equal(5000, #receiver.got)
    assert.equal(1, depth_max)
  end)

  it("delivers no raw bytes while paused", function()
    local receiver = receiverOf(basic.LineReceiver)
    receiver:setRawMode()
    receiver:pauseProducing()
    receiver:dataReceived("a")
    assert.same({}, receiver.got)
    receiver:resumeProducing()
    assert.same({ "raw a" }, receiver.got)
  end)

  it("gives its buffer away", function()
    local left
    local receiver = receiverOf(basic.LineReceiver, { lineReceived = function(self, line)
      self.got[#self.got + 1] = line
      left = self:clearLineBuffer()
    end })
    receiver:dataReceived("a\r\nb\r\nc")
    assert.same({ "a" }, receiver.got)
    assert.equal("b\r\nc", left)
    receiver:dataReceived("begun")
    assert.equal("begun", receiver:clearLineBuffer())
    assert.equal("", receiver:clearLineBuffer())
    receiver:dataReceived("x\r\n")
    assert.same({ "a", "x" }, receiver.got)
  end)

  it("goes on with what came after its buffer was given away", function()
    local receiver = receiverOf(basic.LineReceiver, { lineReceived = function(self, line)
      self.got[#self.got + 1] = line
      if line == "a" then self:dataReceived(self:clearLineBuffer():upper()) end
    end })
    receiver:dataReceived("a\r\nb\r\nc\r\n")
    assert.same({ "a", "B", "C" }, receiver.got)
  end)
end)
