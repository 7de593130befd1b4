-- netcat.lua between itself, nc, socat and openssl.
local child = require "system.child"

local function netcat(...)
  return { child.program, "scripts/netcat.lua", ... }
end

-- A shell command of these words.
local function line(words)
  local quoted = {}
  for index, word in ipairs(words) do quoted[index] = child.quote(word) end
  return table.concat(quoted, " ")
end

-- Run it, with `input`, again and again until somebody listens.
local function untilServed(words, input)
  local file = child.file(input)
  local outcome = child.run { "sh", "-c", ("until %s <%s 2>/dev/null; do sleep 0.05; done"):format(line(words), file) }
  os.remove(file)
  return outcome.stdout
end

-- Start it with `input`, and have it read nothing else.
local function start(words, input)
  local file = child.file(input or "")
  local process = child.start { "sh", "-c", ("exec %s <%s"):format(line(words), file) }
  return process, function()
    local outcome = process:finish()
    os.remove(file)
    return outcome
  end
end

local function good(stdout)
  return { status = 0, stdout = stdout, stderr = "" }
end

local function freePort(kind)
  return child.python(([[
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_%s)
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1], end="")
]]):format(kind or "STREAM")).stdout
end

local function newPath()
  local path = os.tmpname()
  os.remove(path)
  return path
end

local LONG = ("0123456789abcdef"):rep(65536)   -- a megabyte

local folder

setup(function()
  folder = newPath()
  assert(os.execute(([[mkdir %s && cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout key.pem -out cert.pem 2>/dev/null]])
    :format(folder, folder)))
end)

teardown(function() os.execute("rm -r " .. folder) end)

describe("netcat.lua", function()
  it("serves what nc sends, and answers", function()
    local port = freePort()
    local _, finish = start(netcat("-l", "127.0.0.1", port), "answer")
    assert.equal("answer", untilServed({ "nc", "-N", "127.0.0.1", port }, "question"))
    assert.same(good "question", finish())
  end)

  it("connects to what socat serves, long both ways, each direction with its own end", function()
    local path = newPath()
    local file = child.file(LONG)
    local server = child.start { "socat", "-t10", "UNIX-LISTEN:" .. path,
                                 ("SYSTEM:cat >%s.got; cat %s"):format(file, file) }
    assert.equal(LONG, untilServed(netcat("-U", path), LONG:reverse()))
    server:finish()
    os.remove(file)
    assert.is_true(child.take(file .. ".got") == LONG:reverse())
  end)

  it("talks to itself, by any kind of endpoint", function()
    local port, path = freePort(), newPath()
    for _, pair in ipairs {
      { netcat("-l", port), netcat("localhost", port) },
      { netcat("-l", "-U", path), netcat("-U", path, "-w", "5") },
      { netcat("-l", "tcp:" .. port .. ":interface=127.0.0.1"), netcat("tcp:127.0.0.1:" .. port) },
    } do
      local _, finish = start(pair[1], LONG)
      assert.is_true(untilServed(pair[2], "short") == LONG)
      assert.same(good "short", finish())
    end
  end)

  it("encrypts, and verifies", function()
    local port = freePort()
    local cert, key = folder .. "/cert.pem", folder .. "/key.pem"
    local serve = netcat("-l", "--tls", "--certificate", cert, "--key", key, "127.0.0.1", port)
    for _, client in ipairs {
      netcat("--tls", "--trust", cert, "localhost", port),
      netcat("--tls", "--insecure", "127.0.0.1", port),
      netcat(("tls:localhost:%s:trustRoots=%s"):format(port, cert)),
      { "openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile", cert, "-connect", "localhost:" .. port },
    } do
      local _, finish = start(serve, "secret answer")
      local got = untilServed(client, "secret question")
      local outcome = finish()
      assert.equal("secret answer", got)
      -- openssl ends with our end, whether it has sent its own input by then or not.
      if client[1] ~= "openssl" then assert.equal("secret question", outcome.stdout) end
    end
    local _, finish = start(serve)
    local outcome
    repeat
      outcome = child.run(netcat("--tls", "127.0.0.1", port))
      assert.equal(1, outcome.status)
    until not outcome.stderr:find("refused")
    assert.matches("netcat.lua: .*certificate", outcome.stderr)
    finish()
  end)

  it("sends and receives datagrams", function()
    local port = freePort "DGRAM"
    local _, finish = start(netcat("-l", "-u", "-w", "1", "127.0.0.1", port), "answer")
    local ask = line(netcat("-u", "-w", "0.3", "127.0.0.1", port))
    local outcome = child.run { "sh", "-c",
      ('until got=$(printf datagram | %s) && test "$got" = answer; do sleep 0.05; done'):format(ask) }
    assert.same(good "", outcome)
    assert.same(good "datagram", finish())
  end)

  it("joins connections to commands", function()
    local path = newPath()
    local server = child.start(netcat("-l", "-k", "-U", path, "--exec", "tr a-z A-Z"))
    for _, word in ipairs { "one", "two", LONG } do
      assert.equal(word:upper(), untilServed({ "socat", "-t10", "-", "UNIX-CONNECT:" .. path }, word))
    end
    server:signal "TERM"
    assert.same(good "", server:finish())
    local shouting = child.run(netcat("-w", "5", "--exec", "cat >&2; exit", "-U", newPath()))
    assert.equal(1, shouting.status)
  end)

  it("says why it cannot", function()
    local port = freePort()
    for words, message in pairs {
      [{ "127.0.0.1", port }]                   = "Connection was refused by other side",
      [{ "no.such.host.invalid", "80" }]        = "no.such.host.invalid",
      [{ "-l", "192.0.2.1", port }]             = "Couldn't listen on 192.0.2.1:" .. port,
      [{ "xyz:1" }]                             = "clientFromString: 'xyz:1': unknown type 'xyz'",
      [{ "-l", "tcp:http" }]                    = "serverFromString: 'tcp:http': argument 'port' must be",
      [{ "-l", "--tls", "1" }]                  = "argument 'certificate' is missing",
      [{ "-U", "/no/such/socket" }]             = "No such file or directory",
    } do
      local outcome = child.run(netcat(table.unpack(words)))
      assert.equal(1, outcome.status)
      assert.matches("^netcat%.lua: ", outcome.stderr)
      assert.matches(message, outcome.stderr, 1, true)
      assert.equal("", outcome.stdout)
    end
  end)

  it("tells its usage", function()
    for _, words in ipairs {
      {}, { "host" }, { "a", "b", "c" }, { "-x", "a", "1" }, { "-w" }, { "-k", "1" }, { "-l", "-k", "1" },
      { "-w", "x", "a", "1" }, { "-u", "-U", "x" }, { "-u", "host", "port" },
    } do
      local outcome = child.run(netcat(table.unpack(words)))
      assert.equal(2, outcome.status)
      assert.matches("\nusage: netcat.lua [OPTIONS] HOST PORT", outcome.stderr, 1, true)
    end
    assert.matches("^usage: netcat.lua", child.run(netcat "--help").stdout)
  end)
end)
