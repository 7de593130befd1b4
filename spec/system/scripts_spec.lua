-- SPDX-License-Identifier: MIT
-- scripts_spec.lua -- the programs in scripts/, as they stand, served to peers that are not ours.
local child = require "system.child"

-- Runs a script on a free port of the loopback in place of the one that it wants, and prints both once it
-- serves.
local ON_A_FREE_PORT = [[
  local reactor = require "twistlua.reactor"
  local listenTCP = reactor.listenTCP
  function reactor:listenTCP(wanted, factory)
    local port = listenTCP(self, 0, factory, { interface = "127.0.0.1" })
    self:callWhenRunning(function()
      print(wanted)
      print(port:getHost().port)
      io.stdout:flush()
    end)
    return port
  end
  arg = { [0] = ..., select(2, ...) }
  dofile(arg[0])
]]

-- What the Python programs below begin with: S(port) connects, and read(n) and all() wait.
local PYTHON = [[
import socket, sys
class S:
    def __init__(self, port):
        self.s = socket.create_connection(("127.0.0.1", int(port)), timeout=10)
        self.port = self.s.getsockname()[1]
    def send(self, data): self.s.sendall(data)
    def end(self): self.s.shutdown(socket.SHUT_WR)
    def close(self): self.s.close()
    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.s.recv(n - len(data))
            if not more: break
            data += more
        return data
    def line(self):
        data = b""
        while not data.endswith(b"\r\n"): data += self.s.recv(1)
        return data[:-2].decode()
    def all(self): return self.read(1 << 30)
]]

local running

-- Start a script; returns the port that it asked for, and the one that it got.
local function serve(path, ...)
  local process = child.start { child.program, "-e", ON_A_FREE_PORT, path, ... }
  running[#running + 1] = process
  local wanted, port = process:line(), process:line()
  if not port then error("the script does not serve: " .. process:finish().stderr) end
  return wanted, port
end

local function python(code, ...)
  local outcome = child.python(PYTHON .. code, ...)
  assert.equal("", outcome.stderr)
  assert.equal(0, outcome.status)
  return outcome.stdout
end

-- Each server must end well, with nothing to complain about.
local function stopAll()
  for _, process in ipairs(running) do
    process:signal "TERM"
    local outcome = process:finish()
    assert.equal("", outcome.stderr)
    assert.equal(0, outcome.status)
  end
end

describe("echo.lua", function()
  before_each(function() running = {} end)
  after_each(stopAll)

  it("wants port 8000, or the one that it is given", function()
    assert.equal("8000", (serve "scripts/echo.lua"))
    assert.equal("8123", (serve("scripts/echo.lua", "8123")))
  end)

  it("sends back what socat sends", function()
    local _, port = serve "scripts/echo.lua"
    local outcome = child.run({ "socat", "-t10", "-", "TCP:127.0.0.1:" .. port }, { stdin = "one\ntwo" })
    assert.same({ status = 0, stdout = "one\ntwo", stderr = "" }, outcome)
  end)

  it("sends back what nc sends", function()
    local _, port = serve "scripts/echo.lua"
    local outcome = child.run({ "nc", "-N", "127.0.0.1", port }, { stdin = "one\ntwo" })
    assert.same({ status = 0, stdout = "one\ntwo", stderr = "" }, outcome)
  end)

  it("sends back every byte of what is long, while it is still being sent", function()
    local _, port = serve "scripts/echo.lua"
    assert.equal("True\n", python([[
import threading
text = bytes(range(256)) * 16384
s = S(sys.argv[1])
sender = threading.Thread(target=lambda: s.send(text))
sender.start()
print(s.read(len(text)) == text) # our end only after it: echo.lua drops what it could not send by then
]], port))
  end)

  it("serves many at once, and is not disturbed by those that leave", function()
    local _, port = serve "scripts/echo.lua"
    assert.equal("True\n", python([[
import struct
clients = [S(sys.argv[1]) for _ in range(50)]
for c in clients[::2]:
    c.send(b"lost")
    c.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()
for i, c in enumerate(clients[1::2]): c.send(b"client %03d" % i)
print(all(c.read(10) == b"client %03d" % i for i, c in enumerate(clients[1::2])))
]], port))
  end)

  it("serves as a user starts it", function()
    local port = python [[
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], end="")
]]
    local process = child.start { child.program, "scripts/echo.lua", port }
    local socat = ("TCP:127.0.0.1:%s,retry=500,interval=0.02"):format(port)
    local outcome = child.run({ "socat", "-t10", "-", socat }, { stdin = "hello" })
    assert.equal("hello", outcome.stdout)
    process:signal "INT"
    assert.same({ status = 0, stdout = "", stderr = "" }, process:finish())
  end)

  it("says where the port is taken", function()
    local _, port = serve "scripts/echo.lua"
    local outcome = child.run { child.program, "scripts/echo.lua", port }
    assert.equal(1, outcome.status)
    assert.matches("^twistlua: CannotListenError: Couldn't listen on any:" .. port, outcome.stderr)
    assert.matches("scripts/echo%.lua:%d+: in main chunk", outcome.stderr)
  end)

  it("says what is wrong with a port that is none", function()
    for _, bad in ipairs { "none", "70000", "-1", "1.5" } do
      local outcome = child.run { child.program, "scripts/echo.lua", bad }
      assert.equal(1, outcome.status)
      assert.matches("port", outcome.stderr)
    end
  end)
end)

describe("counter.lua", function()
  before_each(function() running = {} end)
  after_each(stopAll)

  it("wants port 8080, and counts its requests", function()
    local wanted, port = serve "scripts/counter.lua"
    assert.equal("8080", wanted)
    local url = ("http://127.0.0.1:%s/"):format(port)
    local outcome = child.run({ "curl", "-sS", url, url .. "any/path" }, { stdin = "" })
    assert.same({ status = 0, stdout = "I am request #1\nI am request #2\n", stderr = "" }, outcome)
    assert.matches("\r\nContent%-Type: text/plain\r\n", child.run({ "curl", "-si", url }, { stdin = "" }).stdout)
  end)
end)

describe("chat.lua", function()
  before_each(function() running = {} end)
  after_each(stopAll)

  it("wants port 1025", function()
    assert.equal("1025", (serve "scripts/chat.lua"))
  end)

  it("tells everybody what one says, and who", function()
    local _, port = serve "scripts/chat.lua"
    assert.equal("True\n", python([[
a = S(sys.argv[1])
def says(who, text, hearers):
    who.send(text + b"\r\n")
    lines = [h.line() for h in hearers]
    return all(l.startswith("<") and l.endswith("> " + text.decode()) and str(who.port) in l for l in lines)
ok = says(a, b"anybody there?", [a])
b = S(sys.argv[1])
ok = says(b, b"me", [a, b]) and ok
ok = says(a, b"hello", [a, b]) and ok
ok = says(b, b"", [a, b]) and ok
ok = says(a, "größer".encode(), [a, b]) and ok
print(ok)
]], port))
  end)

  it("puts lines together and takes them apart", function()
    local _, port = serve "scripts/chat.lua"
    assert.equal("one|two|three\n", python([[
a = S(sys.argv[1])
for byte in b"one\r\nt": a.send(bytes([byte]))
a.send(b"wo\r\nthree\r\n")
print("|".join(a.line().split("> ", 1)[1] for _ in range(3)))
]], port))
  end)

  it("goes on when somebody leaves", function()
    local _, port = serve "scripts/chat.lua"
    assert.equal("still here\n", python([[
a, b = S(sys.argv[1]), S(sys.argv[1])
b.send(b"in\r\n")
b.line()
b.close()
a.send(b"still here\r\n")
line = a.line()
while not line.endswith("still here"): line = a.line()
print(line.split("> ")[1])
]], port))
  end)
end)

describe("portforward.lua", function()
  before_each(function() running = {} end)
  after_each(stopAll)

  it("passes a connection on, both ways, however long", function()
    local _, echo = serve "scripts/echo.lua"
    local wanted, port = serve("scripts/portforward.lua", "8001", echo)
    assert.equal("8001", wanted)
    assert.equal("True\n", python([[
import threading
text = bytes(range(256)) * 8192
s = S(sys.argv[1])
threading.Thread(target=s.send, args=(text,)).start()
print(s.read(len(text)) == text)
]], port))
  end)

  it("passes on to a host that it is told", function()
    local _, echo = serve "scripts/echo.lua"
    local _, port = serve("scripts/portforward.lua", "8001", "localhost:" .. echo)
    assert.equal("hello\n", python([[
s = S(sys.argv[1])
s.send(b"hello")
print(s.read(5).decode())
]], port))
  end)

  it("keeps connections apart", function()
    local _, echo = serve "scripts/echo.lua"
    local _, port = serve("scripts/portforward.lua", "8001", echo)
    assert.equal("True\n", python([[
clients = [S(sys.argv[1]) for _ in range(20)]
for i, c in enumerate(clients): c.send(b"client %03d" % i)
print(all(c.read(10) == b"client %03d" % i for i, c in enumerate(clients)))
]], port))
  end)

  it("closes the other side when one side closes", function()
    -- The server says its word and closes; then it hears that the client has closed.
    assert.equal("welcome True\n", python([[
import subprocess
server = socket.create_server(("127.0.0.1", 0))
forward = subprocess.Popen([sys.argv[1], "-e", sys.argv[2], "scripts/portforward.lua", "8001",
                            str(server.getsockname()[1])], stdout=subprocess.PIPE)
forward.stdout.readline()
port = forward.stdout.readline()
one = S(port)
there, _ = server.accept()
there.sendall(b"welcome")
there.close()
word = one.all().decode()
two = S(port)
there, _ = server.accept()
two.close()
print(word, there.recv(1) == b"")
forward.terminate()
forward.wait()
]], child.program, ON_A_FREE_PORT))
  end)

  it("closes the connection when nobody is there to pass it on to", function()
    local closed = python [[
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], end="")
]]
    local _, port = serve("scripts/portforward.lua", "8001", closed)
    assert.equal("True\n", python([[
s = S(sys.argv[1])
try: print(s.all() == b"")
except ConnectionResetError: print(True)
]], port))
  end)

  it("tells its usage", function()
    for _, arguments in ipairs { {}, { "8001" }, { "x", "8000" }, { "8001", "host" } } do
      local outcome = child.run { child.program, "scripts/portforward.lua", table.unpack(arguments) }
      assert.equal(2, outcome.status)
      assert.matches("usage: portforward.lua LISTEN [HOST:]PORT", outcome.stderr, 1, true)
    end
  end)
end)

describe("http_by_hand.lua", function()
  local port
  before_each(function()
    running = { child.start { child.program, "scripts/http_by_hand.lua", "0" } }
    port = running[1]:line():match("^http://127%.0%.0%.1:(%d+)$")
    assert.is_string(port)
  end)
  after_each(stopAll)

  it("answers Python's HTTP client", function()
    assert.equal("200 OK text/plain True\n", python([[
import http.client
c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
c.request("GET", "/")
r = c.getresponse()
body = r.read()
print(r.status, r.reason, r.getheader("Content-Type"),
      body == b"Hello from a raw socket\n" and int(r.getheader("Content-Length")) == len(body))
]], port))
  end)

  it("answers a request that comes byte by byte, and then closes", function()
    local answer = python([[
s = S(sys.argv[1])
for byte in b"GET / HTTP/1.0\r\nHost: x\r\n\r\n": s.send(bytes([byte]))
print(s.all().decode(), end="")
]], port)
    assert.matches("^HTTP/1%.0 200 OK\r\n.*\r\n\r\nHello from a raw socket\n$", answer)
  end)

  it("answers many at once, past those that say nothing", function()
    assert.equal("20\n", python([[
silent = [S(sys.argv[1]) for _ in range(5)]
gone = S(sys.argv[1])
gone.close()
asking = [S(sys.argv[1]) for _ in range(20)]
for s in asking: s.send(b"GET / HTTP/1.0\r\n\r\n")
print(sum(s.all().endswith(b"socket\n") for s in asking))
]], port))
  end)

  it("closes on a head without an end", function()
    assert.equal("closed\n", python([[
s = S(sys.argv[1])
try:
    for _ in range(100000): s.send(b"x" * 1000)
    print("open")
except OSError: print("closed")
]], port))
  end)

  it("ends on SIGTERM with clients connected", function()
    assert.equal("True\n", python([[
import os, signal
s = S(sys.argv[1])
t = S(sys.argv[1])
t.send(b"GET / HTTP/1.0\r\n\r\n")
t.all()                                  # so s has been accepted too
os.kill(int(sys.argv[2]), signal.SIGTERM)
print(s.all() == b"")
]], port, tostring(running[1].pid)))
    local outcome = running[1]:finish()
    running = {}
    assert.same({ status = 0, stdout = "", stderr = "" }, outcome)
  end)
end)
