local StatefulProtocol = require("twistlua.protocols.stateful").StatefulProtocol
local test             = require "twistlua.test"

-- A byte that is a length, then so many bytes; "" as a word closes.
local Words = StatefulProtocol:extend("Words")

function Words:getInitialState()
  self.words = {}
  return self.length, 1
end

function Words:length(data)
  if data == "\0" then return self.transport:loseConnection() end
  return self.word, data:byte()
end

function Words:word(data)
  self.words[#self.words + 1] = data
  return self.length, 1
end

local function connected(class)
  local made = class()
  made:makeConnection(test.StringTransport())
  return made
end

describe("StatefulProtocol", function()
  local BYTES = "\5hello\1a\3bye"

  it("calls each state with as many bytes as it asked for, however they come", function()
    for size = 1, #BYTES do
      local words = connected(Words)
      for at = 1, #BYTES, size do words:dataReceived(BYTES:sub(at, at + size - 1)) end
      assert.same({ "hello", "a", "bye" }, words.words)
    end
  end)

  it("stays in a state that returns nothing", function()
    local Pairs = StatefulProtocol:extend("Pairs")
    function Pairs:pair(data) self.got = (self.got or "") .. "[" .. data .. "]" end
    function Pairs:getInitialState() return self.pair, 2 end
    local pairs = connected(Pairs)
    pairs:dataReceived("abcde")
    assert.equal("[ab][cd]", pairs.got)
  end)

  it("reads nothing after loseConnection", function()
    local words = connected(Words)
    words:dataReceived("\1a\0\1b")
    assert.same({ "a" }, words.words)
  end)

  it("refuses what is no state", function()
    local Bad = StatefulProtocol:extend("Bad")
    function Bad:getInitialState() return self.dataReceived, 0 end
    assert.error_matches(function() connected(Bad) end, "a state is a function and a number of bytes, 1 or more")
    function Bad:getInitialState() return function() return "x", 1 end, 1 end
    local bad = connected(Bad)
    assert.error_matches(function() bad:dataReceived("x") end, "got x and 1")
    assert.error_matches(function() connected(StatefulProtocol) end, "has no getInitialState")
  end)
end)
