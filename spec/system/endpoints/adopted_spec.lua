local await     = require("twistlua.defer").await
local async     = require("twistlua.test.async").async
local child     = require "system.child"
local core      = require "twistlua.core"
local endpoints = require "twistlua.endpoints"
local reactor   = require "twistlua.reactor"
local socket    = require "twistlua.socket"
local ends      = require "system.streams.pairs"

-- Serves echo at each of the strings that it is given, and prints what came of each.
local SERVER = [[
  local reactor, endpoints = require "twistlua.reactor", require "twistlua.endpoints"
  local protocol = require "twistlua.protocol"
  local Echo = protocol.Protocol:extend("Echo")
  function Echo:dataReceived(data) self.transport:write(self.factory.text .. data) end
  local first, strings = 1, { ... }
  for index = first, #strings do
    local ok, endpoint = pcall(function() return endpoints.serverFromString(reactor, strings[index]) end)
    if not ok then
      print(endpoint)
    else
      local factory = protocol.Factory.forProtocol(Echo)
      factory.text = index .. ":"
      endpoint:listen(factory):addCallbacks(
        function(port) print("listening at " .. tostring(port:getHost().port or port:getHost().name)) end,
        function(failure) print(failure.value) end)
    end
  end
  io.stdout:flush()
]]

-- Starts a program as systemd does: with sockets from descriptor 3 on, and variables that tell of them.
local START = [==[
import json, os, socket, sys
kinds, environment, command = json.loads(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:]
sockets = []
for kind in kinds:
    if kind == "INET": s = socket.create_server(("127.0.0.1", 0))
    elif kind == "INET6": s = socket.create_server(("::1", 0), family=socket.AF_INET6)
    else: s = socket.socket(socket.AF_UNIX); s.bind(kind); s.listen()
    sockets.append(os.dup2(s.fileno(), 50 + len(sockets)))
for i, fd in enumerate(sockets): os.dup2(fd, 3 + i)
for fd in range(3 + len(sockets), 100):
    try: os.close(fd)
    except OSError: pass
os.environ.update({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(sockets))})
for name, value in environment.items():
    if value is None: del os.environ[name]
    else: os.environ[name] = value
os.execv(command[0], command)
]==]

local function start(kinds, environment, ...)
  return child.start { "python3", "-c", START, kinds, environment, child.program, "-e", SERVER, ... }
end

-- What a started server says about its strings, where nothing listens.
local function outcome(kinds, environment, ...)
  local process = start(kinds, environment, ...)
  local result = process:finish()
  assert.equal("", result.stderr)
  return result.stdout
end

local function ask(where, text)
  local socat = child.run({ "socat", "-t10", "-", where }, { stdin = text })
  assert.equal("", socat.stderr)
  return socat.stdout
end

local function stop(process)
  process:signal "TERM"
  local result = process:finish()
  assert.same({ status = 0, stdout = "", stderr = "" }, result)
end

describe("systemd:", function()
  it("serves the sockets that were passed, by index and by name", function()
    local path = ends.path()
    local process = start(('["INET", "INET6", "%s"]'):format(path), '{"LISTEN_FDNAMES": "web:web6:local"}',
      "systemd:domain=INET:index=0", "systemd:domain=INET6:name=web6", "systemd:UNIX:index=2")
    local ports = {}
    for index = 1, 3 do ports[index] = process:line():match("^listening at (.*)$") end
    assert.equal("1:hello", ask("TCP:127.0.0.1:" .. ports[1], "hello"))
    assert.equal("2:hello", ask(("TCP6:[::1]:%s"):format(ports[2]), "hello"))
    assert.equal(path, ports[3])
    assert.equal("3:hello", ask("UNIX-CONNECT:" .. path, "hello"))
    stop(process)
    os.remove(path)
  end)

  it("serves what systemd-socket-activate passes", function()
    local path = ends.path()
    local process = child.start { "systemd-socket-activate", "--listen=" .. path, "--fdname=echo",
                                  child.program, "-e", SERVER, "systemd:domain=UNIX:name=echo" }
    assert.equal("1:hello", ask(("UNIX-CONNECT:%s,retry=500,interval=0.02"):format(path), "hello"))
    assert.equal("listening at " .. path, process:line())
    process:signal "TERM"
    process:finish()
    os.remove(path)
  end)

  it("closes the descriptor that was passed when its duplicate listens, and listens once", function()
    local code = SERVER:gsub("io.stdout:flush%(%)", [[
      print(os.execute("test ! -e /proc/$PPID/fd/3"))
      reactor:callLater(0, reactor.stop, reactor)
    ]])
    local process = child.start { "python3", "-c", START, '["INET"]', "{}", child.program, "-e", code,
                                  "systemd:domain=INET:index=0" }
    local lines = process:finish().stdout
    assert.matches("^listening at %d+\ntrue", lines)
  end)

  it("says what is wrong with what was passed", function()
    local one = "systemd:domain=INET:index=0"
    for _, case in ipairs {
      { '{"LISTEN_PID": "1"}', one,
        "the sockets are not for this process: LISTEN_PID is '1', and it is %d+, at position 1" },
      { '{"LISTEN_PID": "x"}', one, "the sockets are not for this process: LISTEN_PID is 'x'" },
      { '{"LISTEN_PID": null}', one, "systemd passed no socket: LISTEN_PID or LISTEN_FDS is not set" },
      { '{"LISTEN_FDS": null}', one, "systemd passed no socket" },
      { '{"LISTEN_FDS": "many"}', one, "LISTEN_FDS is 'many', which is no number" },
      { '{"LISTEN_FDS": "-1"}', one, "LISTEN_FDS is '%-1', which is no number" },
      { '{"LISTEN_FDS": "99999999999999999999"}', one, "LISTEN_FDS is '9+', which is no number" },
      { '{"LISTEN_FDS": "0"}', one, "there is no socket 0, counted from 0: systemd passed 0, at position 21" },
      { "{}", "systemd:domain=INET:index=1", "there is no socket 1, counted from 0: systemd passed 1, at position 21" },
      { "{}", "systemd:domain=INET:name=web", "no socket has the name 'web' %(LISTEN_FDNAMES: %), at position 21" },
      { '{"LISTEN_FDNAMES": "a:b"}', "systemd:domain=INET:name=b", "no socket has the name 'b'" },
      { '{"LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:a"}', "systemd:domain=INET:name=a",
        "several sockets have the name 'a': use index=" },
      { '{"LISTEN_FDS": "2"}', "systemd:domain=INET:index=1", "CannotListenError" },
      { "{}", "systemd:domain=INET:index=x", "argument 'index' must be a whole number, not 'x'" },
    } do
      assert.matches(case[3], outcome('["INET"]', case[1], case[2]))
    end
  end)

  it("wants a domain, and exactly one of index and name", function()
    for text, message in pairs {
      ["systemd:index=0"]                    = "argument 'domain' is missing",
      ["systemd:domain=IPX:index=0"]         = "argument 'domain' must be INET, INET6 or UNIX, not 'IPX'",
      ["systemd:domain=INET"]                = "exactly one of 'index' and 'name' must be given, at position 20",
      ["systemd:domain=INET:index=0:name=x"] = "exactly one of 'index' and 'name' must be given",
      ["systemd:domain=INET:index=0"]        = "systemd passed no socket",
    } do
      assert.error_matches(function() endpoints.serverFromString(reactor, text) end, message)
    end
  end)
end)

describe("fd:", function()
  it("serves a listening socket, once", async(function()
    local listening = assert(socket.listen("127.0.0.1", 0))
    local number = listening:getsockname().port
    local fd = core.pipe.duplicate(listening:fileno())
    listening:close()
    local endpoint = endpoints.serverFromString(reactor, "fd:" .. fd)
    local serving, calling = ends.factory(ends.Recorder), ends.factory(ends.Recorder)
    local port = await(endpoint:listen(serving))
    assert.equal(number, port:getHost().port)
    ends.kinds.TCP.connect(port, calling)
    ends.finish(await(serving:protocolMade(1)), await(calling:protocolMade(1)))
    local ok, failure = pcall(await, endpoint:listen(serving))
    assert.is_false(ok)
    assert.equal("AlreadyListened", failure.__name)
    assert.is_false(pcall(core.pipe.open, fd, "r", print, print) and core.pipe.duplicate(fd) ~= nil)
    await(port:stopListening())
  end))

  it("fails for what is no listening socket", async(function()
    for _, text in ipairs { "fd:0", "fd:9999", "fd:1:family=UNIX" } do
      local ok, failure = pcall(await, endpoints.serverFromString(reactor, text):listen(ends.factory(ends.Recorder)))
      assert.is_false(ok)
      assert.equal("CannotListenError", failure.__name)
    end
  end))

  it("wants a number and a known family", function()
    for text, message in pairs {
      ["fd:x"] = "argument 'fd' must be a whole number", ["fd:"] = "argument 'fd' must be a whole number",
      ["fd:3:X25"] = "INET, INET6 or UNIX, not 'X25'",
    } do
      assert.error_matches(function() endpoints.serverFromString(reactor, text) end, message)
    end
  end)
end)
