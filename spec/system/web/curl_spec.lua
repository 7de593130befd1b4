-- SPDX-License-Identifier: MIT
-- curl_spec.lua -- files as curl gets them: resumed, in parts, on condition, over TLS.
local async   = require("twistlua.test").async
local raw     = require "system.web.raw"
local reactor = require "twistlua.reactor"
local ssl     = require "twistlua.ssl"
local static  = require "twistlua.web.static"

local root, write = raw.directory()
local BIG = ("0123456789abcdef"):rep(100000)
write("big.txt", BIG)
os.execute(("touch -d '2020-01-02 03:04:05 UTC' %s/big.txt; mkdir %s.got"):format(root, root))

local function got(name)
  local file = assert(io.open(root .. ".got/" .. name))
  local content = file:read("a")
  file:close()
  return content
end

local function curl(port, arguments, name)
  return raw.shell(("cd %s.got && curl -sS --max-time 20 -w '%%{http_code}' %s -o %s http://127.0.0.1:%d/big.txt")
    :format(root, arguments, name, port))
end

describe("curl", function()
  teardown(function() os.execute(("rm -r %s %s.got"):format(root, root)) end)

  local function serves(what, body)
    it(what, async(function() raw.serving(static.File(root), body) end))
  end

  serves("gets a file", function(port)
    assert.equal("200", curl(port, "", "whole"))
    assert.is_true(got "whole" == BIG)
  end)

  serves("goes on with a download that was broken off", function(port)
    local file = assert(io.open(root .. ".got/resumed", "w"))
    file:write(BIG:sub(1, 700001))
    file:close()
    assert.equal("206", curl(port, "-C -", "resumed"))
    assert.is_true(got "resumed" == BIG)
    assert.equal("416", curl(port, "-r 1600000-", "beyond"))
  end)

  serves("gets several parts", function(port)
    assert.equal("206", curl(port, "-r 0-1,100-101", "parts"))
    assert.truthy(got("parts"):find("Content-Range: bytes 100-101/1600000\r\n\r\n45\r\n--", 1, true))
  end)

  serves("gets a file only if it is newer, or another", function(port)
    assert.equal("304", curl(port, "-z 'Thu, 02 Jan 2020 03:04:05 GMT'", "newer"))
    assert.equal("200", curl(port, "-z 'Thu, 02 Jan 2020 03:04:04 GMT'", "older"))
    assert.equal("200", curl(port, "--etag-save tag", "first"))
    assert.equal("304", curl(port, "--etag-compare tag", "again"))
  end)

  it("gets a file over TLS, which the kernel cannot send", async(function()
    local certificate = ssl.KeyPair.generate():selfSignedCert({ CN = "localhost" }, { names = { "localhost" } })
    raw.serving(static.File(root), function(port)
      assert.equal("200", (raw.shell(("cd %s.got && curl -sSk --max-time 20 -w '%%{http_code}' -o tls " ..
        "https://127.0.0.1:%d/big.txt"):format(root, port))))
      assert.is_true(got "tls" == BIG)
    end, function(factory)
      return reactor:listenSSL(0, factory, certificate:options(), { interface = "127.0.0.1" })
    end)
  end))
end)
