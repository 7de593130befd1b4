local basic           = require "twistlua.protocols.basic"
local StringTransport = require("twistlua.test").StringTransport

local function receiverOf(base, methods)
  local Kept = base:extend("Kept")
  function Kept:stringReceived(string) self.got[#self.got + 1] = string end
  for name, method in pairs(methods or {}) do Kept[name] = method end
  local receiver = Kept()
  receiver.got = {}
  receiver:makeConnection(StringTransport())
  return receiver, receiver.transport
end

local function deliver(receiver, text, size)
  for first = 1, #text, size do receiver:dataReceived(text:sub(first, first + size - 1)) end
end

local encode = {
  NetstringReceiver   = function(string) return #string .. ":" .. string .. "," end,
  Int8StringReceiver  = function(string) return string.pack(">s1", string) end,
  Int16StringReceiver = function(string) return string.pack(">s2", string) end,
  Int32StringReceiver = function(string) return string.pack(">s4", string) end,
}

for name, encoded in pairs(encode) do
  local base = basic[name]

  describe(name, function()
    it("gives the same strings for any chunking", function()
      local strings = { "hello", "", "12:,\0\r\n", ("x"):rep(200), "last" }
      local text = ""
      for _, string in ipairs(strings) do text = text .. encoded(string) end
      for size = 1, #text do
        local receiver, transport = receiverOf(base)
        deliver(receiver, text, size)
        assert.same(strings, receiver.got, "in chunks of " .. size)
        assert.is_false(transport.disconnecting)
      end
    end)

    it("sends what it receives", function()
      local receiver, transport = receiverOf(base)
      receiver:sendString("hello")
      receiver:sendString("")
      assert.equal(encoded("hello") .. encoded(""), transport:value())
      receiver:dataReceived(transport:value())
      assert.same({ "hello", "" }, receiver.got)
    end)

    it("accepts MAX_LENGTH and no more", function()
      for size = 1, 20 do
        local receiver, transport = receiverOf(base, { MAX_LENGTH = 9 })
        deliver(receiver, encoded("123456789"), size)
        assert.same({ "123456789" }, receiver.got)
        assert.is_false(transport.disconnecting)
        deliver(receiver, encoded("1234567890"), size)
        assert.is_true(transport.disconnecting)
        assert.equal(1, #receiver.got)
      end
    end)

    it("refuses a string by its announced length, before any of it came", function()
      local receiver, transport = receiverOf(base, { MAX_LENGTH = 9 })
      receiver:dataReceived(encoded("1234567890"):match("^(.-)1234567890"))
      assert.is_true(transport.disconnecting)
    end)

    it("delivers nothing after loseConnection", function()
      local receiver = receiverOf(base, { stringReceived = function(self, string)
        self.got[#self.got + 1] = string
        self.transport:loseConnection()
      end })
      receiver:dataReceived(encoded("a") .. encoded("b"))
      assert.same({ "a" }, receiver.got)
    end)

    it("delivers nothing while paused", function()
      local receiver, transport = receiverOf(base, { stringReceived = function(self, string)
        self.got[#self.got + 1] = string
        self:pauseProducing()
      end })
      receiver:dataReceived(encoded("a") .. encoded("b") .. encoded("c"):sub(1, -2))
      assert.equal("paused", transport.producerState)
      receiver:resumeProducing()
      assert.same({ "a", "b" }, receiver.got)
      receiver:resumeProducing()
      receiver:dataReceived(encoded("c"):sub(-1))
      assert.same({ "a", "b", "c" }, receiver.got)
    end)

    it("keeps a string while paused, whatever comes after it", function()
      local text = encoded("hello") .. encoded("a") .. encoded("b")
      for size = 1, #text do
        local receiver = receiverOf(base)
        receiver:dataReceived(text:sub(1, 3))
        receiver:pauseProducing()
        deliver(receiver, text:sub(4), size)
        assert.same({}, receiver.got)
        receiver:resumeProducing()
        assert.same({ "hello", "a", "b" }, receiver.got)
      end
    end)

    it("delivers no string whose end comes after loseConnection", function()
      local receiver, transport = receiverOf(base)
      receiver:dataReceived(encoded("hello"):sub(1, -3))
      transport:loseConnection()
      receiver:dataReceived(encoded("hello"):sub(-2) .. encoded("a"))
      assert.same({}, receiver.got)
    end)

    it("goes by the MAX_LENGTH of the time when a string is complete", function()
      local receiver, transport = receiverOf(base)
      receiver:dataReceived(encoded("hello"):sub(1, -3))
      receiver.MAX_LENGTH = 4
      receiver:dataReceived(encoded("hello"):sub(-2))
      assert.same({}, receiver.got)
      assert.is_true(transport.disconnecting)
    end)

    it("goes on after an error in stringReceived", function()
      local receiver = receiverOf(base, { stringReceived = function(self, string)
        if string == "bad" then error("oops") end
        self.got[#self.got + 1] = string
      end })
      receiver:dataReceived(encoded("bad"):sub(1, -2))
      assert.error_matches(function() receiver:dataReceived(encoded("bad"):sub(-1) .. encoded("a")) end, "oops")
      receiver:dataReceived(encoded("b"))
      assert.same({ "a", "b" }, receiver.got)
    end)

    it("joins a long string from parts of any size", function()
      local text = encoded(("0123456789"):rep(name == "Int8StringReceiver" and 25 or 1000))
      for _, size in ipairs { 1, 2, 255, 256, 257, 1000, 2500, 3500, 9999, 10000 } do
        local receiver = receiverOf(base)
        deliver(receiver, text .. text .. text, size)
        assert.equal(3, #receiver.got)
        for _, string in ipairs(receiver.got) do assert.is_true(encoded(string) == text) end
      end
    end)

    it("joins a long string that comes byte by byte", function()
      local long = ("0123456789"):rep(20)
      local receiver = receiverOf(base)
      deliver(receiver, encoded(long), 1)
      assert.same({ long }, receiver.got)
    end)
  end)
end

describe("NetstringReceiver", function()
  it("keeps good strings and drops the connection at a bad one", function()
    for _, bad in ipairs {
      "05:hello,", "00:,", "5:hello;", "x", "-1:a,", " 1:a,", "1 :a,", ":a,", "5x", "100000:",
      "99999999999999999999:", ("9"):rep(400),
    } do
      for size = 1, 3 do
        local receiver, transport = receiverOf(basic.NetstringReceiver)
        deliver(receiver, "2:ok," .. bad, size)
        assert.same({ "ok" }, receiver.got, bad)
        assert.is_true(receiver.brokenPeer, bad)
        assert.is_true(transport.disconnecting, bad)
      end
    end
  end)

  it("holds against a peer that is not broken", function()
    local receiver, transport = receiverOf(basic.NetstringReceiver)
    receiver:dataReceived("99999:")
    assert.is_false(receiver.brokenPeer)
    assert.is_false(transport.disconnecting)
  end)

  it("takes memory in proportion to an incomplete string #big", function()
    local receiver = receiverOf(basic.NetstringReceiver)
    collectgarbage()
    collectgarbage()
    local before = collectgarbage("count")
    receiver:dataReceived("90000:")
    for _ = 1, 80000 do receiver:dataReceived("x") end
    collectgarbage()
    collectgarbage()
    assert.is_true((collectgarbage("count") - before) * 1024 < 1.5 * 80000)
  end)
end)

describe("sendString", function()
  it("sends long strings too", function()
    local long = ("x"):rep(5000)
    for _, name in ipairs { "NetstringReceiver", "Int16StringReceiver", "Int32StringReceiver" } do
      local receiver, transport = receiverOf(basic[name])
      receiver:sendString(long)
      assert.equal(encode[name](long), transport:value())
    end
  end)
end)

describe("IntNStringReceiver", function()
  it("tells the length that went over the limit", function()
    local exceeded
    local receiver = receiverOf(basic.Int32StringReceiver,
      { lengthLimitExceeded = function(_, length) exceeded = length end })
    receiver:dataReceived(string.pack(">I4", 4000000000))
    assert.equal(4000000000, exceeded)
  end)

  it("refuses to send what its prefix cannot hold", function()
    local receiver, transport = receiverOf(basic.Int8StringReceiver)
    receiver:sendString(("x"):rep(255))
    local ok, raised = pcall(receiver.sendString, receiver, ("x"):rep(256))
    assert.is_false(ok)
    assert.is_true(raised:is(basic.StringTooLongError))
    assert.equal("StringTooLongError: 256 bytes, and the prefix holds at most 255", tostring(raised))
    assert.equal(256, #transport:value())
  end)

  it("lets a protocol take over what is left", function()
    local left
    local receiver = receiverOf(basic.Int8StringReceiver,
      { stringReceived = function(self) left = self:recvd("") end })
    receiver:dataReceived("\1aGET /\r\n")
    assert.equal("GET /\r\n", left)
    assert.equal("", receiver:recvd())
  end)

  it("reads on in what replaced the bytes that were left", function()
    local receiver = receiverOf(basic.Int8StringReceiver, { stringReceived = function(self, string)
      self.got[#self.got + 1] = string
      if string == "a" then self:recvd("\1x" .. self:recvd()) end
    end })
    receiver:dataReceived("\1a\1b\1")
    receiver:dataReceived("c")
    assert.same({ "a", "x", "b", "c" }, receiver.got)
  end)

  it("shows an incomplete string", function()
    local receiver = receiverOf(basic.Int16StringReceiver)
    receiver:dataReceived("\0\5he")
    assert.equal("\0\5he", receiver:recvd())
    receiver:dataReceived("llo")
    assert.same({ "hello" }, receiver.got)
  end)

  it("shows a complete string that is held back, and what follows it", function()
    local receiver = receiverOf(basic.Int16StringReceiver)
    receiver:dataReceived("\0\5he")
    receiver:pauseProducing()
    receiver:dataReceived("llo\0")
    assert.equal("\0\5hello\0", receiver:recvd())
  end)
end)

describe("StatefulStringProtocol", function()
  local Login = basic.StatefulStringProtocol(basic.Int8StringReceiver):extend("Login")
  function Login:proto_init(name)
    self.name = name
    return "secret"
  end
  function Login:proto_secret(secret)
    self.secret = secret
    return secret == "x" and "done" or "nowhere"
  end

  local function login()
    local receiver = Login()
    receiver:makeConnection(StringTransport())
    return receiver
  end

  it("goes from state to state and closes when done", function()
    local receiver = login()
    receiver:dataReceived("\3bob")
    assert.equal("secret", receiver.state)
    assert.is_false(receiver.transport.disconnecting)
    receiver:dataReceived("\1x")
    assert.equal("bob", receiver.name)
    assert.is_true(receiver.transport.disconnecting)
  end)

  it("ignores a string in a state that it does not know", function()
    local receiver = login()
    receiver:dataReceived("\3bob\1y\1x")
    assert.equal("nowhere", receiver.state)
    assert.equal("y", receiver.secret)
  end)
end)
