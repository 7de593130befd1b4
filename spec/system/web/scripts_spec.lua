-- json_api.lua, upload.lua and reverse_proxy.lua, asked by curl.
local child = require "system.child"
local json  = require "twistlua.web.json"

local LOCAL = "tcp:0:interface=127.0.0.1"

local process, base, folder

local function start(...)
  -- A sanitizer keeps what is freed for a while: not so much that it would hide what the program keeps.
  local options = (os.getenv "ASAN_OPTIONS" or "") .. ":quarantine_size_mb=4"
  process = child.start { "env", "ASAN_OPTIONS=" .. options, child.program, ... }
  local line
  repeat line = process:line() until not line or line:find "listening on"
  if not line then error("it does not serve: " .. process:finish().stderr) end
  base = "http://127.0.0.1:" .. line:match("%d+$")
end

-- It must end well, with nothing to complain about; what it has printed.
local function stop()
  process:signal "TERM"
  local outcome = process:finish()
  assert.equal("", outcome.stderr)
  assert.equal(0, outcome.status)
  return outcome.stdout
end

-- Status and body of what curl is answered.
local function curl(path, ...)
  local outcome = child.run { "curl", "-sS", "--max-time", "15", "-w", "\n%{http_code}", base .. path, ... }
  assert.equal("", outcome.stderr)
  local body, status = outcome.stdout:match("^(.*)\n(%d+)$")
  return math.tointeger(tonumber(status)), body
end

describe("json_api.lua", function()
  local JSON = "Content-Type: application/json"

  local function post(data, ...)
    return curl("/todos", "-H", JSON, "-d", data, ...)
  end

  before_each(function() start("scripts/json_api.lua", LOCAL) end)
  after_each(function() stop() end)

  it("keeps things to do", function()
    local status, body = post '{"title": "Read a poem"}'
    assert.equal(201, status)
    assert.same({ id = 1, title = "Read a poem", done = false }, json.decode(body))
    post '{"title": "Write one", "done": true}'
    status, body = curl("/todos/1", "-X", "PATCH", "-H", JSON, "-d", '{"done": true}')
    assert.same({ 200, { id = 1, title = "Read a poem", done = true } }, { status, json.decode(body) })
    assert.equal(2, json.decode((select(2, curl "/todos?done=true"))).count)
    assert.same({ 204, "" }, { curl("/todos/2", "-X", "DELETE") })
    status, body = curl "/todos"
    assert.same({ 200, { count = 1, todos = { { id = 1, title = "Read a poem", done = true } } } },
      { status, json.decode(body) })
    assert.same({ 200, '{"count":0}' }, { curl "/todos?done=false" })
  end)

  it("tells what is wrong", function()
    assert.same({ 404, "there is no to-do 7\n" }, { curl "/todos/7" })
    assert.same({ 404, "404 Not Found\n" }, { curl "/todos/x" })
    assert.same({ 422, "'title' is missing\n" }, { post "{}" })
    assert.same({ 422, "unknown field 'x'\n" }, { post '{"x": 1}' })
    assert.same({ 422, "'title' must be a string\n" }, { post '{"title": 1}' })
    assert.same({ 422, "an object expected\n" }, { post "7" })
    local status, message = post '{"title": }'
    assert.equal(400, status)
    assert.matches("^not JSON: .* at line 1, column 11\n$", message)
    assert.equal(405, (curl("/todos", "-X", "PUT")))
    local path = child.file('{"title": "' .. ("x"):rep(1 << 20) .. '"}')
    assert.equal(413, (post("@" .. path)))
    os.remove(path)
  end)

  it("lets other sites' pages in", function()
    local _, head = curl("/todos", "-i", "-H", "Origin: https://a.example")
    assert.matches("access%-control%-allow%-origin: %*", head:lower())
  end)
end)

describe("upload.lua", function()
  local function read(name)
    local file <close> = assert(io.open(folder .. "/" .. name, "rb"))
    return file:read("a")
  end

  local function names()
    local pipe <close> = io.popen("ls -A " .. folder)
    return pipe:read("a")
  end

  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder))
    start("scripts/upload.lua", folder, LOCAL, "4")
  end)

  after_each(function() os.execute("rm -r " .. folder) end)

  it("shows a page", function()
    local status, body = curl "/"
    assert.equal(200, status)
    assert.matches('<input type="file" name="file" multiple>', body, 1, true)
    stop()
  end)

  it("writes what curl sends into files, and tells how far it is", function()
    local content = ("0123456789abcdef"):rep(200000)
    local path = child.file(content)
    assert.same({ 201, "3200000 bytes\n" }, { curl("/files/long%20name", "-T", path) })
    os.remove(path)
    assert.is_true(read "long name" == content)
    assert.same({ 201, "3 bytes\n" }, { curl("/files/short", "-X", "PUT", "-d", "abc") })
    assert.same({ 201, "2 bytes\n" }, { curl("/files/short", "-X", "PUT", "-d", "de") })
    assert.same({ 201, "0 bytes\n" }, { curl("/files/empty", "-X", "PUT", "-d", "") })
    assert.equal("de", read "short")
    assert.equal("", read "empty")
    assert.equal("empty\nlong name\nshort\n", names())
    local log = stop()
    for _, line in ipairs { "long name: %d+ of 3200000 bytes", "long name: all 3200000 bytes", "short: all 3 bytes" } do
      assert.matches(line, log)
    end
  end)

  it("takes files in a form, each as it comes", function()
    local content = ("fedcba9876543210"):rep(100000)
    local path = child.file(content)
    local status, body = curl("/files", "-F", "note=x", "-F", "file=@" .. path .. ";filename=one", "-F",
      "file=@" .. path .. ";filename=\"two.txt\"", "-F", "file=;filename=\"\"")
    os.remove(path)
    assert.same({ 201, "one: 1600000 bytes\ntwo.txt: 1600000 bytes\n" }, { status, body })
    assert.is_true(read "one" == content)
    assert.is_true(read "two.txt" == content)
    assert.equal("one\ntwo.txt\n", names())
    status, body = curl("/files", "-F", "file=x;filename=../b")
    assert.equal(400, status)
    assert.matches("not a name for a file", body)
    assert.same({ 415, "a form with files expected\n" }, { curl("/files", "-d", "a=b") })
    assert.equal(413, (curl("/files", "-F", "file=@/dev/zero;filename=zero")))
    stop()
    assert.equal("one\ntwo.txt\n", names())
  end)

  it("refuses what is longer than it may be, said or not", function()
    local path = child.file(("x"):rep(5 * 1024 * 1024))
    assert.equal(413, (curl("/files/a", "-T", path, "-H", "Expect: 100-continue")))
    assert.equal(413, (curl("/files/b", "-T", path, "-H", "Transfer-Encoding: chunked")))
    os.remove(path)
    stop()
    assert.equal("", names())
  end)

  it("refuses names that would lead elsewhere", function()
    for _, name in ipairs { ".hidden", "..%2Fup", "a%0Ab", "%2e%2e" } do
      assert.same({ 400, "not a name for a file\n" },
        { curl("/files/" .. name, "-X", "PUT", "-d", "x", "--path-as-is") })
    end
    stop()
    assert.equal("", names())
  end)

  it("keeps nothing of what is broken off", function()
    child.python([[
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"PUT /files/half HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + b"x" * 500)
s.close()
]], (base:match("%d+$")))
    local line
    repeat line = process:line() until not line or line:find "half: broken off"
    assert.is_string(line)
    curl "/"
    stop()
    assert.equal("", names())
  end)
end)

describe("reverse_proxy.lua", function()
  local front

  -- The proxy for a port, which becomes what is asked.
  local function through(port)
    front = child.start { child.program, "scripts/reverse_proxy.lua", "0", "127.0.0.1", port }
    local line = front:line()
    local ours, its = line:match("^http://127%.0%.0%.1:(%d+)/ is http://127%.0%.0%.1:(%d+)/$")
    assert.equal(port, its)
    base = "http://127.0.0.1:" .. ours
  end

  local function stopFront()
    front:signal "TERM"
    local outcome = front:finish()
    assert.equal("", outcome.stderr)
    assert.equal(0, outcome.status)
  end

  it("answers with what the server behind it says", function()
    start("scripts/json_api.lua", LOCAL)
    through(base:match("%d+$"))
    local status, body = curl("/todos", "-H", "Content-Type: application/json", "-d", '{"title": "Read"}')
    assert.same({ 201, { id = 1, title = "Read", done = false } }, { status, json.decode(body) })
    assert.equal(1, json.decode((select(2, curl "/todos?done=false"))).count)
    assert.same({ 404, "404 Not Found\n" }, { curl "/todos/x" })
    stopFront()
    stop()
  end)

  it("tells when there is none", function()
    start("scripts/json_api.lua", LOCAL)
    local port = base:match("%d+$")
    curl "/todos"
    stop()
    through(port)
    assert.equal(502, (curl "/todos"))
    stopFront()
  end)
end)

-- 200 MB in a form, of which nothing but what is on its way is in memory.
describe("upload.lua", function()
  it("holds no long file in memory", function()
    folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder .. " && truncate -s 200M " .. folder .. "/.long"))
    start("scripts/upload.lua", folder, LOCAL, "300")
    curl "/"
    local function peak()
      local file <close> = assert(io.open(("/proc/%d/status"):format(process.pid)))
      return tonumber(file:read("a"):match("VmHWM:%s*(%d+)"))
    end
    local before = peak()
    assert.same({ 201, "long: 209715200 bytes\n" },
      { curl("/files", "--max-time", "60", "-F", "file=@" .. folder .. "/.long;filename=long") })
    local grown = peak() - before
    assert.is_true(grown < 20 * 1024, grown .. " kB")
    stop()
    assert(os.execute("rm -r " .. folder))
  end)
end)

describe("upload.lua without a directory", function()
  it("tells its usage", function()
    local outcome = child.run { child.program, "scripts/upload.lua" }
    assert.equal(2, outcome.status)
    assert.matches("^usage: upload.lua", outcome.stderr)
  end)
end)
