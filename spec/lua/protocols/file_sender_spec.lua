local basic           = require "twistlua.protocols.basic"
local errors          = require "twistlua.error"
local StringTransport = require("twistlua.test").StringTransport

local function fileOf(text)
  local file = { at = 1 }
  function file:read(bytes)
    if self.at > #text then return nil end
    local chunk = text:sub(self.at, self.at + bytes - 1)
    self.at = self.at + #chunk
    return chunk
  end
  return file
end

describe("FileSender", function()
  local sender, consumer, last, failed
  before_each(function()
    sender, consumer, last, failed = basic.FileSender(), StringTransport(), nil, nil
  end)

  local function begin(file, transform)
    sender:beginFileTransfer(file, consumer, transform)
      :addCallbacks(function(value) last = value end, function(failure) failed = failure end)
  end

  it("sends a chunk whenever the consumer asks", function()
    begin(fileOf(("a"):rep(16384) .. "bc"))
    assert.equal(sender, consumer.producer)
    assert.is_false(consumer.streaming)
    sender:resumeProducing()
    assert.equal(16384, #consumer:value())
    sender:resumeProducing()
    assert.equal("bc", consumer:value():sub(16385))
    assert.is_nil(last)
    sender:resumeProducing()
    assert.equal("c", last)
    assert.is_nil(consumer.producer)
  end)

  it("gives an empty string for an empty file", function()
    begin(fileOf(""))
    sender:resumeProducing()
    assert.equal("", last)
  end)

  it("transforms each chunk", function()
    begin(fileOf("abc"), string.upper)
    sender:resumeProducing()
    sender:resumeProducing()
    assert.equal("ABC", consumer:value())
    assert.equal("C", last)
  end)

  it("fails when the consumer stops it, and does nothing later", function()
    begin(fileOf("abc"))
    sender:stopProducing()
    assert.equal("the consumer asked to stop before the file was sent", failed.value.message)
    sender:resumeProducing()
    sender:stopProducing()
    assert.equal("", consumer:value())
  end)

  it("fails when the file cannot be read", function()
    begin({ read = function() return nil, "Is a directory" end })
    sender:resumeProducing()
    assert.is_not_nil(failed:check(errors.IOError))
    assert.equal("Is a directory", failed.value.message)
    assert.is_nil(consumer.producer)
  end)
end)
