-- SPDX-License-Identifier: MIT
-- static_spec.lua -- files over real connections: what is sent, what is refused, what happens when they change.
local async   = require("twistlua.test").async
local core    = require "twistlua.core"
local defer   = require "twistlua.defer"
local protocol = require "twistlua.protocol"
local raw     = require "system.web.raw"
local reactor = require "twistlua.reactor"
local static  = require "twistlua.web.static"

local await = defer.await
local BIG = ("0123456789abcdef"):rep(200000)   -- more than is read at once

local root, write = raw.directory()
os.execute(("mkdir -p %s/dir/sub %s/empty %s.outside"):format(root, root, root))
write("page.html", "<p>page</p>")
write("big.bin", BIG)
write("100k.txt", ("x"):rep(100000))
write("text.txt", "0123456789")
write(".hidden", "hidden")
write("odd <name>&\".txt", "odd")
write("a:b.txt", "colon")
write("nothing.txt", "")
write("dir/index.html", "index")
write("dir/sub/deep.txt", "deep")
write("noext.html", "noext")
os.execute(("echo secret > %s.outside/secret; ln -s %s.outside/secret %s/link; ln -s %s.outside %s/linked;" ..
            " ln -s text.txt %s/inside; mkfifo %s/fifo"):format(root, root, root, root, root, root, root))
os.execute(("touch -d '2020-01-02 03:04:05 UTC' %s/text.txt %s/big.bin"):format(root, root))
local MODIFIED = "Thu, 02 Jan 2020 03:04:05 GMT"

-- A test with files of `given` at a port.
local function serves(what, given, body)
  it(what, async(function()
    raw.serving(static.File(root, given), body)
    assert.same({}, core.openfile.live())
  end))
end

local function open()
  local count = 0
  for _ in io.popen("ls /proc/self/fd"):lines() do count = count + 1 end
  return count
end

describe("static.File", function()
  teardown(function() os.execute(("rm -r %s %s.outside"):format(root, root)) end)

  serves("sends a file with its type, length and validators", nil, function(port)
    local answer = raw.ask(port, "/text.txt")
    assert.equal(200, answer.status)
    assert.equal("0123456789", answer.body)
    assert.equal("text/plain; charset=utf-8", answer.headers["content-type"])
    assert.equal("10", answer.headers["content-length"])
    assert.equal(MODIFIED, answer.headers["last-modified"])
    assert.equal("bytes", answer.headers["accept-ranges"])
    assert.truthy(answer.headers.etag:match('^"%x+%-a"$'))
    assert.equal("application/octet-stream", raw.ask(port, "/big.bin").headers["content-type"])
  end)

  serves("has a weak tag for what was written just now", nil, function(port)
    write("fresh.txt", "fresh")
    assert.truthy(raw.ask(port, "/fresh.txt").headers.etag:match('^W/"'))
  end)

  serves("sends big files, empty ones, and no body to HEAD", nil, function(port)
    assert.is_true(raw.ask(port, "/big.bin").body == BIG)
    local empty = raw.ask(port, "/nothing.txt")
    assert.same({ 200, "", "0" }, { empty.status, empty.body, empty.headers["content-length"] })
    local head = raw.ask(port, "/big.bin", nil, "HEAD")
    assert.same({ 200, "", tostring(#BIG) }, { head.status, head.body, head.headers["content-length"] })
  end)

  serves("serves one request after the other on a connection", nil, function(port)
    local request = "GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n"
    local answer = raw.send(port, request .. request .. request:gsub("\r\n\r\n", "\r\nConnection: close\r\n\r\n"))
    local count = 0
    for _ in answer:gmatch("HTTP/1%.1 200 OK") do count = count + 1 end
    assert.equal(3, count)
    assert.is_true(#answer > 3 * #BIG)
  end)

  serves("answers 405 to other methods", nil, function(port)
    local answer = raw.ask(port, "/text.txt", { ["content-length"] = "0" }, "POST")
    assert.same({ 405, "GET, HEAD" }, { answer.status, answer.headers.allow })
  end)

  describe("conditions", function()
    serves("are kept", nil, function(port)
      local etag = raw.ask(port, "/text.txt").headers.etag
      for _, case in ipairs {
        { 304, { ["If-None-Match"] = etag } }, { 304, { ["If-Modified-Since"] = MODIFIED } },
        { 200, { ["If-None-Match"] = '"other"', ["If-Modified-Since"] = MODIFIED } },
        { 412, { ["If-Match"] = '"other"' } }, { 200, { ["If-Match"] = etag } },
        { 412, { ["If-Unmodified-Since"] = "Wed, 01 Jan 2020 00:00:00 GMT" } },
      } do
        local answer = raw.ask(port, "/text.txt", case[2])
        assert.equal(case[1], answer.status)
        assert.equal(etag, answer.headers.etag)
        if case[1] == 304 then
          assert.equal("", answer.body)
          assert.is_nil(answer.headers["content-type"])
        end
      end
    end)
  end)

  describe("ranges", function()
    serves("are sent", nil, function(port)
      for range, wanted in pairs { ["bytes=2-4"] = "234", ["bytes=-3"] = "789", ["bytes=8-"] = "89" } do
        local answer = raw.ask(port, "/text.txt", { Range = range })
        assert.same({ 206, wanted, tostring(#wanted) },
          { answer.status, answer.body, answer.headers["content-length"] })
        assert.truthy(answer.headers["content-range"]:match("^bytes %d%-%d/10$"))
      end
      local answer = raw.ask(port, "/big.bin", { Range = "bytes=16-3199983" })
      assert.is_true(answer.body == BIG:sub(17, -17))
    end)

    serves("that are not there are 416", nil, function(port)
      local answer = raw.ask(port, "/text.txt", { Range = "bytes=10-" })
      assert.same({ 416, "bytes */10" }, { answer.status, answer.headers["content-range"] })
    end)

    serves("that make no sense, or come with HEAD, are ignored", nil, function(port)
      assert.equal(200, raw.ask(port, "/text.txt", { Range = "bytes=x" }).status)
      assert.equal(200, raw.ask(port, "/text.txt", { Range = "bytes=1-2" }, "HEAD").status)
      assert.equal(200, raw.ask(port, "/text.txt", { Range = "bytes=" .. ("1-1,"):rep(40) }).status)
    end)

    serves("are sent only of what the client knows", nil, function(port)
      local etag = raw.ask(port, "/text.txt").headers.etag
      local function status(condition)
        return raw.ask(port, "/text.txt", { Range = "bytes=1-2", ["If-Range"] = condition }).status
      end
      assert.equal(206, status(etag))
      assert.equal(206, status(MODIFIED))
      assert.equal(200, status('"other"'))
      assert.equal(200, status("Thu, 02 Jan 2020 03:04:06 GMT"))
      assert.equal(200, status("W/" .. etag))
    end)

    serves("of which there are several are sent in parts", nil, function(port)
      local function check(name, content, ranges, header)
        local answer = raw.ask(port, name, { Range = header })
        assert.equal(206, answer.status, answer.body)
        assert.equal(#answer.body, tonumber(answer.headers["content-length"]))
        local boundary = answer.headers["content-type"]:match("^multipart/byteranges; boundary=(%x+)$")
        local expected = {}
        for _, range in ipairs(ranges) do
          expected[#expected + 1] = ("\r\n--%s\r\nContent-Type: %s\r\nContent-Range: bytes %d-%d/%d\r\n\r\n%s"):format(
            boundary, name == "/big.bin" and "application/octet-stream" or "text/plain; charset=utf-8",
            range[1], range[2], #content, content:sub(range[1] + 1, range[2] + 1))
        end
        assert.is_true(table.concat(expected) .. "\r\n--" .. boundary .. "--\r\n" == answer.body)
      end
      check("/text.txt", "0123456789", { { 0, 1 }, { 8, 9 } }, "bytes=0-1,-2")
      check("/big.bin", BIG, { { 0, 999999 }, { 3, 3 }, { 1000003, 2000000 } }, "bytes=0-999999,3-3,1000003-2000000")
    end)
  end)

  describe("paths", function()
    serves("lead nowhere outside, however they are written", nil, function(port)
      for _, path in ipairs {
        "/../secret", "/..", "/../", "/dir/../../x", "/%2e%2e/secret", "/%2E%2e%2fsecret", "/..%2fsecret",
        "/dir%2f..%2f..%2fetc%2fpasswd", "/..\\secret", "/..%5csecret", "/%2e%2e%5c%2e%2e%5cx", "/dir/..%00/x",
        "/text.txt%00.html", "/%00", "//etc/passwd", "/%2fetc%2fpasswd", "/./text.txt", "/dir/./index.html",
        "/%2e/text.txt", "/.%2e/x", "/%252e%252e/secret", "/..;/secret", "/link", "/linked/secret", "/linked/",
        "/linked", "/inside", "/.hidden", "/dir/.hidden", "/%2ehidden", "/fifo", "/text.txt/", "/text.txt/x",
        "/dir//index.html", "/none", "/dir/none", "/\xff\xfe", "/%c0%ae%c0%ae/secret", "/" .. ("x"):rep(300),
      } do
        local answer = raw.ask(port, path)
        assert.is_true(answer.status == 404 or answer.status == 403 or answer.status == 400,
          path .. " gave " .. answer.status)
        assert.is_nil(answer.body:find("secret", 1, true))
      end
    end)

    serves("follow links where that is allowed", { followLinks = true }, function(port)
      assert.equal("secret\n", raw.ask(port, "/link").body)
      assert.equal("secret\n", raw.ask(port, "/linked/secret").body)
      assert.equal("0123456789", raw.ask(port, "/inside").body)
      assert.equal(404, raw.ask(port, "/linked/../secret").status)
      assert.equal(404, raw.ask(port, "/linked/%2e%2e/secret").status)
    end)

    serves("find hidden names where they are not hidden", { hidden = true }, function(port)
      assert.equal("hidden", raw.ask(port, "/.hidden").body)
      assert.equal(404, raw.ask(port, "/..").status)
      assert.equal(404, raw.ask(port, "/.").status)
    end)

    it("begin at the directory that is there now, and may be a link", async(function()
      local way = root .. ".way"
      os.execute(("ln -s %s %s"):format(root, way))
      raw.serving(static.File(way), function(port)
        assert.equal("0123456789", raw.ask(port, "/text.txt").body)
        assert.equal(404, raw.ask(port, "/link").status)
        assert.equal(404, raw.ask(port, "/linked/secret").status)
        os.execute(("ln -sfn %s/dir %s"):format(root, way))
        assert.equal(404, raw.ask(port, "/text.txt").status)
        assert.equal("deep", raw.ask(port, "/sub/deep.txt").body)
        os.execute(("rm %s; mkdir %s; echo mine > %s/text.txt"):format(way, way, way))
        assert.equal("mine\n", raw.ask(port, "/text.txt").body)
        os.execute(("rm -r %s"):format(way))
        assert.equal(404, raw.ask(port, "/text.txt").status)
      end)
      assert.same({}, core.openfile.live())
    end))

    serves("may leave an extension away", { ignoredExts = { ".htm", ".html" } }, function(port)
      local answer = raw.ask(port, "/noext")
      assert.same({ "noext", "text/html; charset=utf-8" }, { answer.body, answer.headers["content-type"] })
      assert.equal(404, raw.ask(port, "/noex").status)
    end)

    serves("of odd names are found", nil, function(port)
      assert.equal("odd", raw.ask(port, "/odd%20%3Cname%3E&%22.txt").body)
    end)
  end)

  describe("directories", function()
    serves("are shown by their index", nil, function(port)
      local answer = raw.ask(port, "/dir/")
      assert.same({ 200, "index", "text/html; charset=utf-8" },
        { answer.status, answer.body, answer.headers["content-type"] })
    end)

    serves("are redirected to their slash, at this host", nil, function(port)
      local answer = raw.ask(port, "/dir?a=b")
      assert.same({ 301, "/dir/?a=b" }, { answer.status, answer.headers.location })
      answer = raw.ask(port, "http://localhost/dir")
      assert.same({ 301, "/dir/" }, { answer.status, answer.headers.location })
    end)

    serves("are listed, escaped", nil, function(port)
      local answer = raw.ask(port, "/")
      assert.equal(200, answer.status)
      local body = answer.body
      assert.truthy(body:find('<a href="./odd%20%3Cname%3E%26%22.txt">odd &lt;name&gt;&amp;&quot;.txt</a>', 1, true))
      assert.truthy(body:find('<a href="./a%3Ab.txt">a:b.txt</a>', 1, true))
      assert.truthy(body:find('<a href="./dir/">dir/</a>', 1, true))
      assert.truthy(body:find('./text.txt">text.txt</a></td><td class="size">10B</td><td>[text/plain]', 1, true))
      for _, name in ipairs { "hidden", "fifo", "link", "inside" } do assert.is_nil(body:find(name, 1, true)) end
      assert.is_true(body:find("dir/", 1, true) < body:find("a:b", 1, true))
    end)

    serves("are not listed where that is off", { listing = false }, function(port)
      assert.equal(403, raw.ask(port, "/empty/").status)
      assert.equal(200, raw.ask(port, "/dir/").status)
    end)
  end)

  describe("a redirect", function()
    it("never leaves the host for a path with two slashes", async(function()
      local site = static.File(root)
      raw.serving(static.File(root .. "/dir"), function(port)
        local answer = raw.ask(port, "//sub")
        assert.is_true(answer.status == 404 or answer.headers.location:find("^/[^/]") ~= nil)
      end)
      site:putChild("", static.File(root .. "/dir"))
      raw.serving(site, function(port)
        assert.same({ 301, "/sub/" }, { raw.ask(port, "//sub").status, raw.ask(port, "//sub").headers.location })
      end)
    end))
  end)

  describe("a file alone", function()
    it("is a resource", async(function()
      raw.serving(static.File(root .. "/text.txt"), function(port)
        assert.equal("0123456789", raw.ask(port, "/").body)
        assert.equal(404, raw.ask(port, "/x").status)
      end)
    end))
  end)

  describe("coded neighbours", function()
    os.execute(("cd %s; printf 'plain css' > a.css; printf 'BR' > a.css.br; printf 'GZ' > a.css.gz;" ..
                " printf old > b.css.gz; touch -d '2 hours ago' b.css.gz; printf new > b.css;" ..
                " printf png > c.png; printf GZ > c.png.gz;" ..
                " touch -d '1 hour ago' a.css a.css.br a.css.gz"):format(root))

    serves("are sent to who accepts them", nil, function(port)
      local function ask(accepted, name)
        local answer = raw.ask(port, name or "/a.css", { ["Accept-Encoding"] = accepted })
        return { answer.body, answer.headers["content-encoding"], answer.headers.vary, answer.headers["content-type"] },
          answer.headers.etag
      end
      local CSS = "text/css; charset=utf-8"
      local br, brTag = ask "gzip, br"
      assert.same({ "BR", "br", "Accept-Encoding", CSS }, br)
      local gz, gzTag = ask "gzip"
      assert.same({ "GZ", "gzip", "Accept-Encoding", CSS }, gz)
      local plain, tag = ask "br;q=0"
      assert.same({ "plain css", nil, "Accept-Encoding", CSS }, plain)
      assert.is_true(tag ~= gzTag and gzTag ~= brTag and tag ~= brTag)
      assert.same({ "new", nil, "Accept-Encoding", CSS }, (ask("gzip", "/b.css")))
      assert.same({ "png", nil, nil, "image/png" }, (ask("gzip", "/c.png")))
      assert.equal("application/gzip", ask("gzip", "/a.css.gz")[4])
    end)

    serves("are not looked for where that is off", { precompressed = false }, function(port)
      local answer = raw.ask(port, "/a.css", { ["Accept-Encoding"] = "gzip" })
      assert.same({ "plain css", nil }, { answer.body, answer.headers.vary })
    end)
  end)

  describe("changes", function()
    -- A client that reads nothing until it is told to, and keeps what it got.
    local Slow = protocol.Protocol:extend("Slow")
    function Slow:connectionMade()
      self.size, self.last = 0, ""
      self.lost = defer.Deferred()
      self.transport:pauseProducing()
      self.transport:write("GET /changing.bin HTTP/1.1\r\nHost: a\r\n\r\n")
      self.factory.connected:callback(self)
    end
    function Slow:dataReceived(data) self.size, self.last = self.size + #data, data:sub(-1) end
    function Slow:connectionLost() self.lost:callback(nil) end

    local function slow(port)
      local factory = protocol.ClientFactory()
      factory.noisy = false
      factory.protocol, factory.connected = Slow, defer.Deferred()
      reactor:connectTCP("127.0.0.1", port, factory)
      local client = await(factory.connected)
      -- Until the server has begun, and the socket is full.
      while #core.openfile.live() == 0 do await(require("twistlua.task").deferLater(reactor, 0)) end
      for _ = 1, 20 do await(require("twistlua.task").deferLater(reactor, 0)) end
      return client
    end
    local SIZE = 32 * 1024 * 1024

    serves("by truncation close the connection", nil, function(port)
      write("changing.bin", ("x"):rep(SIZE))
      local client = slow(port)
      write("changing.bin", "short")
      client.transport:resumeProducing()
      await(client.lost)
      assert.is_true(client.size < SIZE)
    end)

    serves("by replacement are not seen by who has begun", nil, function(port)
      write("changing.bin", ("x"):rep(SIZE))
      local client = slow(port)
      write("other.bin", ("y"):rep(SIZE))
      os.rename(root .. "/other.bin", root .. "/changing.bin")
      client.transport:resumeProducing()
      while client.size < SIZE do await(require("twistlua.task").deferLater(reactor, 0.001)) end
      assert.equal("x", client.last)
      client.transport:loseConnection()
      await(client.lost)
    end)

    serves("of the client's mind leave no descriptor open", nil, function(port)
      write("changing.bin", ("x"):rep(SIZE))
      local before = open()
      for _ = 1, 5 do
        local client = slow(port)
        client.transport:abortConnection()
        await(client.lost)
      end
      while #core.openfile.live() > 0 do await(require("twistlua.task").deferLater(reactor, 0.001)) end
      for _ = 1, 20 do await(require("twistlua.task").deferLater(reactor, 0.001)) end
      assert.equal(before, open())
    end)
  end)

  -- What the first packets of a file are answered by ends the call that sends it, with some sent and a SIGPIPE.
  serves("is not ended by clients that leave at once", nil, function(port)
    local Hasty, factory = protocol.Protocol:extend("Hasty"), protocol.ClientFactory()
    factory.noisy, factory.protocol, factory.lost = false, Hasty, {}
    function Hasty:connectionMade()
      self.transport:write("GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n")
      self.transport:loseConnection()
    end
    function Hasty.connectionLost() table.remove(factory.lost):callback(nil) end
    local lost = {}
    for index = 1, 20 do
      lost[index] = defer.Deferred()
      factory.lost[index] = lost[index]
      reactor:connectTCP("127.0.0.1", port, factory)
    end
    await(defer.gatherResults(lost))
    assert.equal(100000, #raw.ask(port, "/100k.txt").body)
  end)

  describe("what is known of a file", function()
    local function replace(content, date)
      write("known.txt", content)
      os.execute(("touch -d '%s UTC' %s/known.txt"):format(date, root))
    end

    serves("holds until it changes", nil, function(port)
      replace("first", "2020-01-01")
      local first, again = raw.ask(port, "/known.txt"), raw.ask(port, "/known.txt")
      assert.same({ first.body, first.headers }, { again.body, again.headers })
      assert.equal("Accept-Encoding", again.headers.vary)
      replace("other", "2020-01-02")
      local other = raw.ask(port, "/known.txt")
      assert.same({ "other", "Thu, 02 Jan 2020 00:00:00 GMT" }, { other.body, other.headers["last-modified"] })
      assert.not_equal(first.headers.etag, other.headers.etag)
      replace("longer", "2020-01-02")
      assert.equal("longer", raw.ask(port, "/known.txt").body)
    end)

    serves("is not said where it was asked for something else", nil, function(port)
      replace("0123456789", "2020-01-01")
      local tag = raw.ask(port, "/known.txt").headers.etag
      assert.equal(304, raw.ask(port, "/known.txt", { ["If-None-Match"] = tag }).status)
      assert.equal(304, raw.ask(port, "/known.txt", { ["If-Modified-Since"] = MODIFIED }).status)
      assert.equal(412, raw.ask(port, "/known.txt", { ["If-Match"] = '"other"' }).status)
      local old = "Tue, 01 Jan 2019 00:00:00 GMT"
      assert.equal(412, raw.ask(port, "/known.txt", { ["If-Unmodified-Since"] = old }).status)
      assert.equal("123", raw.ask(port, "/known.txt", { Range = "bytes=1-3" }).body)
      assert.equal("", raw.ask(port, "/known.txt", nil, "HEAD").body)
      write("known.txt.gz", "packed")
      assert.equal("packed", raw.ask(port, "/known.txt", { ["Accept-Encoding"] = "gzip" }).body)
    end)

    it("is forgotten when it becomes much", async(function()
      local file = static.File(root)
      raw.serving(file, function(port)
        replace("0123456789", "2020-01-01")
        file._knownCount = 1000
        raw.ask(port, "/known.txt")
        assert.equal(1, file._knownCount)
        raw.ask(port, "/known.txt")
        raw.ask(port, "/text.txt")
        assert.equal(2, file._knownCount)
      end)
    end))
  end)

  serves("keeps few files open for a connection, however many it asks for at once", nil, function(port)
    local before, factory = open(), protocol.ClientFactory()
    local Greedy = protocol.Protocol:extend("Greedy")
    factory.noisy, factory.protocol, factory.connected, factory.lost = false, Greedy, defer.Deferred(), defer.Deferred()
    function Greedy:connectionMade()
      self.transport:pauseProducing()
      self.transport:write(("GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n"):rep(100))
      factory.connected:callback(self)
    end
    function Greedy.connectionLost() factory.lost:callback(nil) end
    reactor:connectTCP("127.0.0.1", port, factory)
    local client = await(factory.connected)
    while #core.openfile.live() == 0 do await(require("twistlua.task").deferLater(reactor, 0)) end
    for _ = 1, 20 do await(require("twistlua.task").deferLater(reactor, 0)) end
    assert.is_true(#core.openfile.live() <= 2)
    assert.is_true(open() <= before + 4)
    client.transport:abortConnection()
    await(factory.lost)
    while #core.openfile.live() > 0 do await(require("twistlua.task").deferLater(reactor, 0.001)) end
  end)

  describe("processors", function()
    it("make resources of files", async(function()
      local file = static.File(root)
      file.processors = {
        txt = function(path) return static.Data("made of " .. path:match("[^/]+$"), "text/x-made") end,
      }
      raw.serving(file, function(port)
        local answer = raw.ask(port, "/text.txt")
        assert.same({ "made of text.txt", "text/x-made" }, { answer.body, answer.headers["content-type"] })
      end)
    end))
  end)

  it("has a page of the program's own for what is not there", async(function()
    local file = static.File(root)
    file.childNotFound = require("twistlua.web.pages").errorPage(404, "Nope", "mine")
    raw.serving(file, function(port)
      local answer = raw.ask(port, "/none")
      assert.equal(404, answer.status)
      assert.truthy(answer.body:find("mine", 1, true))
    end)
  end))

  it("finds children that were put before files", async(function()
    local file = static.File(root)
    file:putChild("text.txt", static.Data("put", "text/plain"))
    raw.serving(file, function(port) assert.equal("put", raw.ask(port, "/text.txt").body) end)
  end))

  it("refuses what it cannot be made of", function()
    assert.has_error(function() static.File("") end)
    assert.has_error(function() static.File("x", { follow = true }) end)
    assert.has_error(function() static.Data(1, "x") end)
  end)
end)

describe("isDangerous", function()
  it("tells what may lead out of a directory", function()
    for _, segment in ipairs { "..", ".", "a/b", "a\\b", "a\0b" } do assert.is_true(static.isDangerous(segment)) end
    for _, segment in ipairs { "a", "...", ".a", "a..b", "" } do assert.is_false(static.isDangerous(segment)) end
  end)
end)
