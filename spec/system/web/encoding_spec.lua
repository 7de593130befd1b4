-- SPDX-License-Identifier: MIT
-- encoding_spec.lua -- compressed responses, as curl decodes them.
local async    = require("twistlua.test").async
local encoding = require "twistlua.web.encoding"
local raw      = require "system.web.raw"
local reactor  = require "twistlua.reactor"
local resource = require "twistlua.web.resource"
local static   = require "twistlua.web.static"
local core     = require "twistlua.core"

local await = require("twistlua.defer").await
local TEXT = ("all work and no play "):rep(5000)

local function leaf(render)
  local Leaf = resource.Resource:extend("Leaf")
  Leaf.isLeaf = true
  function Leaf.render(_, request) return render(request) end
  return Leaf()
end

local function wrapped(original, given)
  return encoding.EncodingResourceWrapper(original,
    { encoding.BrotliEncoderFactory(), encoding.GzipEncoderFactory(6) }, given)
end

local function serves(what, original, body)
  it(what, async(function() raw.serving(wrapped(original), body) end))
end

local function typed(kind, fields)
  return leaf(function(request)
    request:setHeader("content-type", kind)
    for name, value in pairs(fields or {}) do request:setHeader(name, value) end
    return TEXT
  end)
end

local GZIP = { ["Accept-Encoding"] = "gzip" }

local function decode(coding, body)
  local decoder, pieces, from = core.coding.decoder(coding), {}, 1
  while from do
    local piece, following = decoder:decode(body, from)
    pieces[#pieces + 1], from = assert(piece, following), following
  end
  return table.concat(pieces), decoder:finished()
end

describe("EncodingResourceWrapper", function()
  it("compresses children, too", async(function()
    local root = resource.Resource()
    root:putChild("x", typed("text/plain"))
    raw.serving(wrapped(root), function(port)
      assert.equal("gzip", raw.ask(port, "/x", GZIP).headers["content-encoding"])
      assert.equal(404, raw.ask(port, "/y", GZIP).status)
    end)
  end))

  serves("compresses as the client likes", typed("text/plain", { etag = '"x"' }), function(port)
    for accepted, coding in pairs { gzip = "gzip", br = "br", ["gzip, br"] = "br", ["br;q=0.1, gzip"] = "gzip" } do
      local answer = raw.ask(port, "/", { ["Accept-Encoding"] = accepted })
      assert.equal(coding, answer.headers["content-encoding"])
      assert.equal("Accept-Encoding", answer.headers.vary)
      assert.equal('W/"x"', answer.headers.etag)
      assert.equal(#answer.body, tonumber(answer.headers["content-length"]))
      assert.is_true(#answer.body < 2000)
      local text, whole = decode(coding, answer.body)
      assert.is_true(whole and text == TEXT)
    end
    assert.is_true(raw.shell(("curl -sS --compressed http://127.0.0.1:%d/"):format(port)) == TEXT)
  end)

  serves("leaves the response alone for who does not", typed("text/plain", { etag = '"x"' }), function(port)
    for _, fields in ipairs { {}, { ["Accept-Encoding"] = "identity" }, { ["Accept-Encoding"] = "gzip;q=0" } } do
      local answer = raw.ask(port, "/", fields)
      assert.is_true(answer.body == TEXT)
      assert.same({ nil, "Accept-Encoding", '"x"' },
        { answer.headers["content-encoding"], answer.headers.vary, answer.headers.etag })
    end
  end)

  serves("leaves alone what is compressed already", typed("image/png"), function(port)
    local answer = raw.ask(port, "/", GZIP)
    assert.is_true(answer.body == TEXT)
    assert.is_nil(answer.headers.vary)
  end)

  local UNTOUCHED = { ["cache-control"] = "public, no-transform" }
  serves("leaves alone what is not to be transformed", typed("text/plain", UNTOUCHED), function(port)
    assert.is_true(raw.ask(port, "/", GZIP).body == TEXT)
  end)

  serves("leaves alone what has a coding", typed("text/plain", { ["content-encoding"] = "x" }), function(port)
    assert.is_true(raw.ask(port, "/", GZIP).body == TEXT)
  end)

  serves("leaves alone what is small", leaf(function() return "small" end), function(port)
    assert.equal("small", raw.ask(port, "/", GZIP).body)
  end)

  serves("sends what was written without waiting for more", leaf(function(request)
    request:write("first")
    local line = request:getHeader("x-wait")
    reactor:callLater(line and 0.05 or 0, function()
      request:write("second")
      request:finish()
    end)
    return require("twistlua.web.server").NOT_DONE_YET
  end), function(port)
    local answer = raw.ask(port, "/", GZIP)
    local chunks = {}
    for size, rest in answer.body:gmatch("(%x+)\r\n()") do
      local length = tonumber(size, 16)
      if length and length > 0 then chunks[#chunks + 1] = answer.body:sub(rest, rest + length - 1) end
      if #chunks == 1 then break end
    end
    assert.equal("first", (decode("gzip", chunks[1])))
    assert.equal("firstsecond", raw.shell(("curl -sS --compressed http://127.0.0.1:%d/"):format(port)))
  end)

  it("compresses big files, and not their parts", async(function()
    local root, write = raw.directory()
    write("big.txt", TEXT:rep(20))
    raw.serving(wrapped(static.File(root)), function(port)
      local text = raw.shell(("curl -sS --compressed http://127.0.0.1:%d/big.txt"):format(port))
      assert.is_true(text == TEXT:rep(20))
      local answer = raw.ask(port, "/big.txt", GZIP)
      assert.same({ "gzip", "chunked", nil, nil }, { answer.headers["content-encoding"],
        answer.headers["transfer-encoding"], answer.headers["content-length"], answer.headers["accept-ranges"] })
      answer = raw.ask(port, "/big.txt", { ["Accept-Encoding"] = "gzip", Range = "bytes=0-2" })
      assert.same({ 206, "all", nil }, { answer.status, answer.body, answer.headers["content-encoding"] })
      answer = raw.ask(port, "/big.txt", GZIP, "HEAD")
      assert.same({ 200, "" }, { answer.status, answer.body })
      local tag = raw.ask(port, "/big.txt", GZIP).headers.etag
      assert.equal(304, raw.ask(port, "/big.txt", { ["Accept-Encoding"] = "gzip", ["If-None-Match"] = tag }).status)
    end)
    await(require("twistlua.task").deferLater(reactor, 0))
    os.execute("rm -r " .. root)
  end))

  it("refuses a level that there is none of", function()
    assert.has_error(function() encoding.GzipEncoderFactory(99) end)
  end)
end)
