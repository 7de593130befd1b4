-- SPDX-License-Identifier: MIT
-- coding_spec.lua -- gzip, deflate and brotli through core.coding, with the tools of others as judges.
local coding = require("twistlua.core").coding

local function encoded(name, text, ...)
  return coding.encoder(name, ...):encode(text, "end")
end

local function decoded(name, bytes, ...)
  return coding.decoder(name, ...):decode(bytes)
end

-- What a program makes of some bytes.
local function piped(command, bytes)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "wb"))
  file:write(bytes):close()
  local pipe <close> = assert(io.popen(("%s <%s"):format(command, path)))
  local output = pipe:read("a")
  os.remove(path)
  return output
end

local PYTHON = [[python3 -c 'import sys, zlib; sys.stdout.buffer.write(zlib.%s(sys.stdin.buffer.read()%s))']]
local TEXT = ("She sells sea shells by the sea shore. "):rep(500)

describe("core.coding", function()
  it("writes gzip and deflate that others read", function()
    assert.equal(TEXT, piped("gzip -d", encoded("gzip", TEXT)))
    assert.equal(TEXT, piped(PYTHON:format("decompress", ""), encoded("deflate", TEXT)))
    assert.equal(TEXT, piped(PYTHON:format("decompress", ", -15"), encoded("raw", TEXT)))
  end)

  it("reads gzip and deflate that others write", function()
    assert.equal(TEXT, decoded("gzip", piped("gzip -9", TEXT)))
    assert.equal(TEXT, decoded("deflate", piped(PYTHON:format("compress", ""), TEXT)))
  end)

  it("gives back what it encoded, byte by byte", function()
    for _, name in ipairs { "gzip", "deflate", "raw", "br" } do
      local bytes = encoded(name, TEXT)
      assert.is_true(#bytes < 1000)
      local decoder, pieces = coding.decoder(name), {}
      for i = 1, #bytes do
        local piece, more = decoder:decode(bytes:sub(i, i))
        assert.is_false(more)
        assert.equal(i == #bytes, decoder:finished())
        pieces[i] = piece
      end
      assert.equal(TEXT, table.concat(pieces))
    end
  end)

  it("decodes no more than there is room for, and goes on from there", function()
    for _, name in ipairs { "gzip", "deflate", "raw", "br" } do
      local bomb = encoded(name, ("\0"):rep(10000000), 9)
      assert.is_true(#bomb < 20000)
      local decoder, from, total, calls = coding.decoder(name), 1, 0, 0
      repeat
        local piece
        piece, from = decoder:decode(bomb, from, 100000)
        assert.is_true(#piece <= 100000)
        total, calls = total + #piece, calls + 1
      until not from
      assert.equal(10000000, total)
      assert.is_true(calls >= 100)
      assert.is_true(decoder:finished())
    end
  end)

  it("keeps the window from one flushed message to the next, until it is reset", function()
    local encoder, decoder = coding.encoder("raw", 9, 10), coding.decoder("raw", 10)
    local message = "the quick brown fox jumps over the lazy dog"
    local first, second = encoder:encode(message, "sync"), encoder:encode(message, "sync")
    assert.equal("\0\0\255\255", first:sub(-4))
    assert.is_true(#second < #first / 2)
    assert.equal(message, (decoder:decode(first)))
    assert.equal(message, (decoder:decode(second)))
    assert.is_true(encoder:reset())
    assert.is_true(decoder:reset())
    local third = encoder:encode(message, "sync")
    assert.equal(first, third)
    assert.equal(message, (decoder:decode(third)))
  end)

  it("tells bytes that are no coding, and bytes behind the end", function()
    for _, name in ipairs { "gzip", "deflate", "raw", "br" } do
      local piece, message, code = decoded(name, ("\255"):rep(20))
      assert.is_nil(piece)
      assert.equal("The bytes are not of the content coding", message)
      assert.equal("ECODING", code)
    end
    assert.equal("ECODING_END", select(3, decoded("br", encoded("br", "x") .. "more")))
    assert.equal("ECODING_END", select(3, decoded("deflate", encoded("deflate", "x") .. "more")))
    assert.equal("xy", (decoded("gzip", encoded("gzip", "x") .. encoded("gzip", "y"))))
  end)

  it("does nothing more once it is closed", function()
    local encoder = coding.encoder("gzip")
    encoder:close()
    encoder:close()
    assert.equal("EINVAL", select(3, encoder:encode("x")))
  end)

  it("refuses settings and arguments that make no sense", function()
    assert.equal("EINVAL", select(3, coding.encoder("gzip", 10)))
    assert.equal("EINVAL", select(3, coding.encoder("raw", 6, 8)))
    assert.equal("EINVAL", select(3, coding.decoder("raw", 16)))
    assert.has_error(function() coding.encoder("zip") end)
    assert.has_error(function() coding.decoder("gzip"):decode("x", 3) end)
    assert.has_error(function() coding.decoder("gzip"):decode("x", 1, 0) end)
    assert.has_error(function() coding.encoder("gzip"):encode("x", "flush") end)
  end)
end)
