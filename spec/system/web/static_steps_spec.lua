-- SPDX-License-Identifier: MIT
-- static_steps_spec.lua -- files and constant bytes that are sent in one step where nothing is special: who asks sees
-- no difference, and what is held for it is given up.
local async   = require("twistlua.test").async
local await   = require("twistlua.defer").await
local core    = require "twistlua.core"
local raw     = require "system.web.raw"
local reactor = require "twistlua.reactor"
local ssl     = require "twistlua.ssl"
local static  = require "twistlua.web.static"
local task    = require "twistlua.task"

local root, write = raw.directory()
local SIZES = { 0, 1, 10000, 16384, 16385, 40000, 65535, 65536, 100000, 1000000 }

local function content(size)
  return (("0123456789abcdef"):rep(size // 16 + 1):sub(1, size))
end

for _, size in ipairs(SIZES) do write(size .. ".txt", content(size)) end
os.execute("touch -d '2020-01-02 03:04:05 UTC' " .. root .. "/*")

-- A request, after which the server closes the connection where it is the last.
local function request(target, isLast)
  return ("GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n"):format(target, isLast and "Connection: close\r\n" or "")
end

-- The first of two requests on a connection, the second of which is for nothing.
local function keeping(port, target)
  local answer = raw.send(port, request(target) .. request("/none", true))
  local first = raw.parse(answer)
  local length = assert(tonumber(first.headers["content-length"]))
  assert.truthy(first.body:sub(length + 1):find("^HTTP/1.1 404"))
  first.body = first.body:sub(1, length)
  return first
end

local function plain(answer)
  answer.headers.connection, answer.headers.date = nil, nil
  return answer
end

local function serves(what, resource, body)
  it(what, async(function()
    raw.serving(resource(), body)
    assert.same({}, core.openfile.live())
  end))
end

describe("static.File", function()
  local function file() return static.File(root) end

  serves("answers alike to who closes and who goes on", file, function(port)
    for _, size in ipairs(SIZES) do
      local target = ("/%d.txt"):format(size)
      local going = plain(keeping(port, target))
      assert.is_true(going.body == content(size))
      assert.same(plain(raw.ask(port, target)), going)
    end
  end)

  serves("tells who asks by HTTP/1.0, or closes, what becomes of the connection", file, function(port)
    local function answer(size, version, fields)
      return raw.send(port, ("GET /%d.txt HTTP/%s\r\nHost: a\r\n%s\r\n"):format(size, version, fields))
    end
    for _, size in ipairs { 10000, 100000 } do
      for version, fields in pairs { ["1.0"] = "", ["1.1"] = "Connection: close\r\n" } do
        local one = raw.parse((answer(size, version, fields)))
        assert.same({ 200, "close" }, { one.status, one.headers.connection })
        assert.is_true(one.body == content(size))
      end
      local both = answer(size, "1.0", "Connection: keep-alive\r\n\r\nGET /1.txt HTTP/1.0\r\n")
      local one = raw.parse(both)
      assert.equal("keep-alive", one.headers.connection)
      assert.is_true(one.body:sub(1, size) == content(size))
      assert.same({ 200, "0" }, { raw.parse(one.body:sub(size + 1)).status, one.body:sub(-1) })
    end
  end)

  serves("answers many requests at once, in their order", file, function(port)
    local asked, expected = {}, {}
    for round = 1, 20 do
      for index, size in ipairs(SIZES) do
        local last = round == 20 and index == #SIZES
        asked[#asked + 1] = request(("/%d.txt"):format(size), last)
        expected[#expected + 1] = content(size)
      end
    end
    local answer, at = raw.send(port, table.concat(asked)), 1
    for index, body in ipairs(expected) do
      local _, stop = answer:find("\r\n\r\n", at, true)
      assert.equal(#body, tonumber(answer:sub(at, stop):match("Content%-Length: (%d+)")))
      assert.is_true(answer:sub(stop + 1, stop + #body) == body, index)
      at = stop + #body + 1
    end
  end)

  serves("looks at what a request says", file, function(port)
    for _, case in ipairs {
      { "Range: bytes=1-2\r\n", 206 }, { "If-None-Match: *\r\n", 304 }, { "If-Match: \"x\"\r\n", 412 },
      { "If-Modified-Since: Thu, 02 Jan 2020 03:04:05 GMT\r\n", 304 },
      { "If-Unmodified-Since: Thu, 02 Jan 2010 03:04:05 GMT\r\n", 412 },
    } do
      for _, size in ipairs { 10000, 100000 } do
        local asked = ("GET /%d.txt HTTP/1.1\r\nHost: a\r\n%s\r\n"):format(size, case[1])
        assert.equal(case[2], raw.parse((raw.send(port, asked .. request("/none", true)))).status)
      end
    end
  end)

  it("tells the log how much was sent", async(function()
    local lines = {}
    raw.serving(static.File(root), function(port, site)
      site.log = function(asked) lines[#lines + 1] = { asked.code, asked.sentLength } end
      for _, size in ipairs { 1, 100000 } do keeping(port, ("/%d.txt"):format(size)) end
    end)
    assert.same({ { 200, 1 }, { 200, 100000 } }, { lines[1], lines[3] })
  end))

  serves("sends what is there now", file, function(port)
    for _, size in ipairs { 100, 50000 } do
      write("changing.txt", ("a"):rep(size))
      os.execute("touch -d '2020-01-02 UTC' " .. root .. "/changing.txt")
      assert.equal(("a"):rep(size), keeping(port, "/changing.txt").body)
      write("changing.txt", ("b"):rep(size))
      assert.equal(("b"):rep(size), keeping(port, "/changing.txt").body)
      write("changing.txt", "short")
      assert.equal("short", keeping(port, "/changing.txt").body)
      os.remove(root .. "/changing.txt")
      assert.equal(404, keeping(port, "/changing.txt").status)
    end
  end)
end)

describe("static.Data", function()
  -- Descriptors of such files, also of those that nobody holds any more.
  local function inMemory()
    local stat <close> = assert(io.open("/proc/self/stat"))
    local listing <close> = io.popen(("ls -l /proc/%d/fd"):format(stat:read("n")))
    return select(2, listing:read("a"):gsub("memfd:twistlua", ""))
  end


  for _, size in ipairs { 10, 40000, 3000000, 5000000 } do
    it(("of %d bytes is the same each time"):format(size), async(function()
      local data = static.Data(content(size), "text/x-constant")
      data.isLeaf = true
      raw.serving(data, function(port)
        for _ = 1, 3 do
          local answer = raw.ask(port, "/")
          assert.same({ 200, "text/x-constant", tostring(size) },
            { answer.status, answer.headers["content-type"], answer.headers["content-length"] })
          assert.is_true(answer.body == content(size))
        end
        local answer = raw.send(port, request("/"):rep(3) .. request("/", true))
        local one = raw.parse(answer)
        assert.equal("text/x-constant", one.headers["content-type"])
        local count, at = 0, 1
        while at <= #answer do
          local _, stop = answer:find("\r\n\r\n", at, true)
          assert.is_true(answer:sub(stop + 1, stop + size) == content(size))
          count, at = count + 1, stop + size + 1
        end
        assert.equal(4, count)
        assert.equal("", raw.ask(port, "/", nil, "HEAD").body)
      end)
      assert.equal(size > 10 and size < 5000000 and 1 or 0, inMemory())
      data = nil   -- luacheck: ignore
      for _ = 1, 20 do   -- the last connection may just be going
        await(task.deferLater(reactor, 0))
        collectgarbage()
      end
      assert.equal(0, inMemory())
    end))
  end

  it("may be changed, at once", async(function()
    local data = static.Data(content(50000), "text/plain")
    local function check(port, bytes, kind)
      for _ = 1, 3 do
        local one = raw.parse((raw.send(port, request("/"):rep(2) .. request("/", true))))
        assert.same({ kind, tostring(#bytes) }, { one.headers["content-type"], one.headers["content-length"] })
        assert.is_true(one.body:sub(1, #bytes) == bytes)
      end
    end
    raw.serving(data, function(port)
      check(port, content(50000), "text/plain")
      data.data = content(60000)
      check(port, content(60000), "text/plain")
      data.type = "text/other"
      check(port, content(60000), "text/other")
      data.data = "short"
      check(port, "short", "text/other")
    end)
    assert.equal(0, inMemory())
  end))

  it("tells the log its length", async(function()
    local lengths = {}
    raw.serving(static.Data(content(100000), "text/plain"), function(port, site)
      site.log = function(asked) lengths[#lengths + 1] = asked.sentLength end
      for _ = 1, 3 do raw.send(port, request("/") .. request("/", true)) end
    end)
    assert.same({ 100000, 100000, 100000, 100000, 100000, 100000 }, lengths)
  end))
end)

describe("over TLS", function()
  teardown(function() os.execute("rm -r " .. root) end)

  local function secure(factory)
    local certificate = ssl.KeyPair.generate():selfSignedCert({ CN = "localhost" }, { names = { "localhost" } })
    return reactor:listenSSL(0, factory, certificate:options(), { interface = "127.0.0.1" })
  end

  it("files and constant bytes go encrypted", async(function()
    local site = static.File(root)
    site:putChild("data", static.Data(content(100000), "text/plain"))
    raw.serving(site, function(port)
      local names = {}
      for _, name in ipairs { "data", "data", "data", "1.txt", "10000.txt", "100000.txt" } do
        names[#names + 1] = ("https://127.0.0.1:%d/%s"):format(port, name)
      end
      local sizes = raw.shell("curl -sk " .. table.concat(names, " ") .. " | wc -c")
      assert.equal(4 * 100000 + 10000 + 1, tonumber(sizes))
    end, secure)
  end))
end)
