-- SPDX-License-Identifier: MIT
-- server_spec.lua -- a site, served to curl, to Python's http.client and to ab.
local child = require "system.child"

describe("a site", function()
  local process, url, port, complaints

  before_each(function()
    complaints = ""
    process = child.start { child.program, "spec/system/web/site.lua" }
    port = process:line()
    url = "http://127.0.0.1:" .. port
  end)

  after_each(function()
    process:signal "TERM"
    local outcome = process:finish()
    assert.equal(0, outcome.status)
    if complaints == "" then
      assert.equal("", outcome.stderr)
    else
      assert.matches(complaints, outcome.stderr)
    end
  end)

  local function curl(...)
    local outcome = child.run({ "curl", "-sS", "--max-time", "30", ... }, { stdin = "" })
    assert.equal("", outcome.stderr)
    assert.equal(0, outcome.status)
    return outcome.stdout
  end

  local function python(code)
    local outcome = child.python("import http.client, socket, sys\n" .. code, port)
    assert.equal("", outcome.stderr)
    return outcome.stdout
  end

  it("answers curl by every method", function()
    for _, method in ipairs { "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND" } do
      assert.equal(method .. " /echo?x=%20 4 data\n", curl("-X", method, "-d", "data", url .. "/echo?x=%20"))
    end
    local head = curl("-I", url .. "/")
    assert.matches("^HTTP/1.1 200 OK\r\n", head)
    assert.matches("Content%-Length: 6\r\n", head)
    assert.matches("^HTTP/1.1 501 ", curl("-i", "-X", "DELETE", url .. "/slow"))
    assert.matches("^HTTP/1.1 405 .*Allow: GET, HEAD\r\n", curl("-i", "-d", "x", url .. "/slow"))
    assert.matches("^HTTP/1.1 404 ", curl("-i", url .. "/nothing"))
  end)

  it("answers HTTP/1.0, and closes", function()
    assert.equal("index\n", curl("-0", url .. "/"))
    assert.equal("chunk 1\nchunk 2\nchunk 3\n", curl("-0", url .. "/chunks"))
    assert.matches("Connection: close\r\n", curl("-0", "-i", url .. "/"))
  end)

  it("keeps the connection of a client, and awaits on it", function()
    local outcome = curl("-w", "%{num_connects}\n", url .. "/", url .. "/chunks", url .. "/slow", url .. "/echo")
    assert.equal("index\n1\nchunk 1\nchunk 2\nchunk 3\n0\nslow\n0\nGET /echo 0 \n0\n", outcome)
  end)

  it("takes long bodies, counted and in chunks, with 100-continue", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(("0123456789"):rep(300000))
    file:close()
    local expected = "3000000\n"
    assert.equal(expected, curl("--data-binary", "@" .. path, url .. "/count"))
    assert.equal(expected, curl("-H", "Transfer-Encoding: chunked", "--data-binary", "@" .. path, url .. "/count"))
    assert.equal(expected, curl("-H", "Expect: 100-continue", "-T", path, "-X", "POST", url .. "/count"))
    assert.equal("POST /echo 3000000 01234567890123456789\n", curl("--data-binary", "@" .. path, url .. "/echo"))
    os.remove(path)
  end)

  it("sends what is long, whole", function()
    assert.equal("10000000", curl("-o", "/dev/null", "-w", "%{size_download}", url .. "/large"))
  end)

  it("refuses a long body before it is sent, so that curl sees why", function()
    assert.equal("413", curl("-o", "/dev/null", "-w", "%{http_code}", "-H", "Expect: 100-continue",
      "-H", "Content-Length: 99999999999", "-X", "POST", url .. "/count"))
  end)

  it("answers 500 where a handler raises, and serves on", function()
    complaints = "Unhandled error in GET /broken\n.*broken"
    assert.equal("500\n", curl("-o", "/dev/null", "-w", "%{http_code}\n", url .. "/broken"))
    assert.equal("index\n", curl(url .. "/"))
  end)

  it("answers Python's http.client on one connection", function()
    assert.equal("b'index\\n'\nb'POST /echo 3 abc\\n'\nb'chunk 1\\nchunk 2\\nchunk 3\\n'\nTrue\n", python [[
c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
c.request("GET", "/"); print(c.getresponse().read()); s = c.sock
c.request("POST", "/echo", body=b"abc"); print(c.getresponse().read())
c.request("GET", "/chunks"); print(c.getresponse().read())
print(c.sock is s)
]])
  end)

  it("answers a pipeline in order, and what it refuses before it closes", function()
    assert.equal("True True 400\n", python [[
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
get = b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n"
s.sendall(get % b"/slow" + get % b"/" + get % b"/chunks" + get % b"/echo" + b"BAD\r\n\r\n" + b"x" * 100000)
data = b""
while True:
    more = s.recv(65536)
    if not more: break
    data += more
order = [data.index(w) for w in (b"slow", b"index", b"chunk 3", b"GET /echo", b"400 Bad")]
print(order == sorted(order), data.count(b"HTTP/1.1 200") == 4, data[data.rindex(b"HTTP/1.1 ") + 9:][:3].decode())
]])
  end)

  it("answers a client that has ended its side behind its requests", function()
    for _ = 1, 8 do
      local outcome = child.run({ "nc", "-N", "127.0.0.1", port }, {
        stdin = ("GET / HTTP/1.1\r\nHost: a\r\n\r\n"):rep(2) .. "GET /large HTTP/1.1\r\nHost: a\r\n\r\nBAD\r\n\r\n",
      })
      assert.equal(2, select(2, outcome.stdout:gsub("\r\n\r\nindex\n", "")))
      assert.equal(3, select(2, outcome.stdout:gsub("HTTP/1.1 200 OK", "")))
      assert.is_true(#outcome.stdout > 10000000)
      assert.matches("HTTP/1.1 400 Bad Request", outcome.stdout, 1, true)
    end
  end)

  it("survives clients that leave at any moment", function()
    assert.equal("b'index\\n'\n", python [[
import struct
post = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234"
slow = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
for text in (post, slow, slow * 3):
    for length in range(0, len(text) + 1, 5):
        s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
        s.sendall(text[:length])
        if length % 2: s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
c.request("GET", "/"); print(c.getresponse().read())
]])
  end)

  it("does not grow by 10,000 requests of ab", function()
    local function load(count)
      local outcome = child.run { "ab", "-q", "-k", "-c", "20", "-n", tostring(count), url .. "/echo?x=y" }
      assert.matches("Failed requests:%s+0\n", outcome.stdout)
      assert.matches("Complete requests:%s+" .. count, outcome.stdout)
    end
    load(2000)
    local before = tonumber(curl(url .. "/memory"))
    load(10000)
    local after = tonumber(curl(url .. "/memory"))
    assert.is_true(after - before < 100, ("%d kB before, %d kB after"):format(before, after))
  end)
end)

describe("the access log of a site", function()
  it("has a line in the combined format for each request", function()
    local path = os.tmpname()
    local process = child.start { child.program, "spec/system/web/site.lua", path }
    local url = "http://127.0.0.1:" .. process:line()
    child.run({ "curl", "-s", "-A", "agent", "-e", "http://a/", url .. "/?x", url .. "/nothing" }, { stdin = "" })
    process:signal "TERM"
    assert.equal(0, process:finish().status)
    local lines = {}
    for line in io.lines(path) do lines[#lines + 1] = line end
    os.remove(path)
    assert.equal(2, #lines)
    assert.matches('^127.0.0.1 %- %- %[[^%]]+%] "GET /%?x HTTP/1.1" 200 6 "http://a/" "agent"$', lines[1])
    assert.matches('" 404 %d+ "', lines[2])
  end)
end)

describe("a site by TLS", function()
  it("answers curl, which verifies it, on one connection; and knows that it is secure", function()
    local certificates = require "system.tls.certificates"
    local log, certificate, key = os.tmpname(), certificates.of "server"
    local process = child.start { child.program, "spec/system/web/site.lua", log, certificate, key }
    local url = "https://localhost:" .. process:line()
    local outcome = child.run({
      "curl", "-sS", "--cacert", (certificates.of "authority"), "-D", "-", "-w", "%{num_connects}\n",
      url .. "/secure", url .. "/large", "-o", "-", "-o", "/dev/null",
    }, { stdin = "" })
    assert.equal("", outcome.stderr)
    assert.matches("true " .. url .. "/secure\n", outcome.stdout, 1, true)
    assert.matches("Set%-Cookie: TWISTED_SECURE_SESSION=%x+; Path=/; Secure; HttpOnly; SameSite=Lax\r\n",
      outcome.stdout)
    assert.matches("Content%-Length: 10000000\r\n", outcome.stdout)
    assert.matches("\n0\n$", outcome.stdout)
    local refused = child.run({
      "openssl", "s_client", "-quiet", "-connect", "127.0.0.1:" .. url:match("%d+$"),
    }, { stdin = "BAD\r\n\r\n" })
    assert.matches("HTTP/1.1 400 Bad Request", refused.stdout, 1, true)
    process:signal "TERM"
    assert.same({ status = 0, stdout = "", stderr = "" }, process:finish())
    os.remove(log)
  end)
end)
