local address = require "twistlua.address"
local async   = require("twistlua.test.async").async
local await   = require("twistlua.defer").await
local core    = require "twistlua.core"
local reactor = require "twistlua.reactor"
local ends    = require "system.streams.pairs"

local function listen(path, options) return reactor:listenUNIX(path, ends.factory(ends.Recorder), options) end

local function raised(f, ...)
  local ok, problem = pcall(f, ...)
  assert.is_false(ok)
  return problem
end

local function exists(path)
  return os.execute(("test -e '%s' -o -L '%s'"):format(path, path)) == true
end

local function modeOf(path)
  local pipe = assert(io.popen(("stat -c %%a '%s'"):format(path)))
  local mode = pipe:read("l")
  pipe:close()
  return mode
end

-- A socket file that nobody serves.
local function leaveStale(path)
  local script = 'import socket; s = socket.socket(socket.AF_UNIX); s.bind("%s"); s.listen(1)'
  local pipe = ends.python(script:format(path))
  pipe:read("a")
  assert.is_true(pipe:close())
  assert.is_true(exists(path))
end

describe("listenUNIX", function()
  it("makes a socket file and removes it when it stops", async(function()
    local path = ends.path()
    local port = listen(path)
    assert.is_true(os.execute(("test -S '%s'"):format(path)))
    assert.is_true(address.UNIXAddress(path) == port:getHost())
    await(port:stopListening())
    assert.is_false(exists(path))
  end))

  it("gives the file the mode 666 whatever the umask, or the one that it is told", async(function()
    local path = ends.path()
    local port = listen(path)
    assert.equal("666", modeOf(path))
    await(port:stopListening())
    port = listen(path, { mode = tonumber("600", 8) })
    assert.equal("600", modeOf(path))
    await(port:stopListening())
  end))

  it("leaves a file alone that has taken the place of its own", async(function()
    local path = ends.path()
    local port = listen(path)
    os.remove(path)
    local file = assert(io.open(path, "w"))
    file:close()
    await(port:stopListening())
    assert.is_true(exists(path))
    os.remove(path)
  end))

  it("raises CannotListenError for a path that is taken", async(function()
    local path = ends.path()
    local port = listen(path)
    local factory = ends.factory(ends.Recorder)
    local problem = raised(reactor.listenUNIX, reactor, path, factory)
    assert.equal("CannotListenError", problem.__name)
    assert.equal("EADDRINUSE", problem.code)
    assert.matches(path, problem.message, 1, true)
    assert.equal(0, factory.numPorts)
    assert.is_true(exists(path))
    await(port:stopListening())
  end))

  it("raises CannotListenError for a stale socket without wantPID", function()
    local path = ends.path()
    leaveStale(path)
    assert.equal("EADDRINUSE", raised(listen, path).code)
    os.remove(path)
  end)

  it("raises CannotListenError for a path that no socket can have", function()
    for _, path in ipairs { "", ("x"):rep(200), "/no/such/directory/socket" } do
      local problem = raised(listen, path)
      assert.equal("CannotListenError", problem.__name)
    end
  end)

  it("raises for what is no path", function()
    for _, path in ipairs { false, {}, print } do
      assert.matches("listenUNIX: path must be a string", raised(listen, path))
    end
  end)

  it("serves an abstract name, and leaves no file", async(function()
    local name = "\0twistlua-" .. ends.path()
    local port, calling = listen(name), ends.factory(ends.Recorder)
    assert.is_true(address.UNIXAddress(name) == port:getHost())
    reactor:connectUNIX(name, calling)
    local client, server = await(calling:protocolMade(1)), await(port.factory:protocolMade(1))
    assert.equal(name, client.transport:getPeer().name)
    client.transport:write("abstract")
    await(server:whenReceived(8))
    await(port:stopListening())
    ends.finish(client, server)
  end))

  describe("with wantPID", function()
    it("holds a lock file with its process id, and removes it when it stops", async(function()
      local path = ends.path()
      local port = listen(path, { wantPID = true })
      local link = assert(io.popen("readlink " .. path .. ".lock"))
      local pid = link:read("l")
      link:close()
      assert.is_true(os.execute("test -d /proc/" .. assert(math.tointeger(tonumber(pid)))))
      await(port:stopListening())
      assert.is_false(exists(path))
      assert.is_false(exists(path .. ".lock"))
    end))

    it("refuses a second listener and leaves the first one its socket", async(function()
      local path = ends.path()
      local port = listen(path, { wantPID = true })
      local problem = raised(listen, path, { wantPID = true })
      assert.equal("CannotListenError", problem.__name)
      local calling = ends.factory(ends.Recorder)
      reactor:connectUNIX(path, calling)
      local client, server = await(calling:protocolMade(1)), await(port.factory:protocolMade(1))
      ends.finish(client, server)
      await(port:stopListening())
    end))

    it("replaces a socket that was left over", async(function()
      local path = ends.path()
      leaveStale(path)
      local port = listen(path, { wantPID = true })
      local calling = ends.factory(ends.Recorder)
      reactor:connectUNIX(path, calling)
      local client, server = await(calling:protocolMade(1)), await(port.factory:protocolMade(1))
      ends.finish(client, server)
      await(port:stopListening())
    end))

    it("takes over the lock file of a process that has died", async(function()
      local path = ends.path()
      assert(os.execute("ln -s 99999999 " .. path .. ".lock"))
      local port = listen(path, { wantPID = true })
      await(port:stopListening())
      assert.is_false(exists(path .. ".lock"))
    end))

    it("leaves no lock when it cannot listen", function()
      local path = "/proc/no-such-directory/x"
      assert.equal("CannotListenError", raised(listen, path, { wantPID = true }).__name)
      local directory = ends.path()
      assert(os.execute(("mkdir '%s'"):format(directory)))
      assert.equal("CannotListenError", raised(listen, directory, { wantPID = true }).__name)
      assert.is_false(exists(directory .. ".lock"))
      os.remove(directory)
    end)

    it("may be started again after it has stopped", async(function()
      local path = ends.path()
      local port = listen(path, { wantPID = true })
      await(port:stopListening())
      port:startListening()
      assert.is_true(exists(path))
      await(port:stopListening())
      assert.is_false(exists(path))
    end))
  end)
end)

describe("connectUNIX", function()
  it("fails for a path where nothing is, later, with the system's error", async(function()
    local factory = ends.factory(ends.Recorder)
    reactor:connectUNIX(ends.path(), factory)
    assert.is_nil(factory.failed)
    await(factory:whenNoted("failed"))
    ends.is(factory.failed, "ConnectError")
    assert.equal("ENOENT", factory.failed.value.code)
    ends.turns(1)
    assert.equal(0, factory.numPorts)
  end))

  it("fails with ConnectionRefusedError at a stale socket", async(function()
    local path = ends.path()
    leaveStale(path)
    local factory = ends.factory(ends.Recorder)
    reactor:connectUNIX(path, factory)
    await(factory:whenNoted("failed"))
    ends.isExactly(factory.failed, "ConnectionRefusedError")
    os.remove(path)
  end))

  it("fails when the listener keeps as many waiting as it wants", async(function()
    local port = listen(ends.path(), { backlog = 1 })
    port:pauseProducing()
    local factory = ends.factory(ends.Recorder)
    for _ = 1, 6 do ends.kinds.UNIX.connect(port, factory) end
    await(factory:when(function() return #factory.made + #factory.events == 6 end))
    assert.is_true(#factory.made < 6)
    ends.is(factory.failed, "ConnectError")
    assert.equal("EAGAIN", factory.failed.value.code)
    await(port:stopListening())
    for _, client in ipairs(factory.made) do ends.finish(client) end
  end))

  it("raises for what is no path, and nothing has begun", function()
    for _, path in ipairs { "", ("x"):rep(200), 12, false } do
      local factory = ends.factory(ends.Recorder)
      local ok, problem = pcall(function() reactor:connectUNIX(path, factory) end)
      assert.is_false(ok)
      assert.matches("unix_spec.lua:%d+: connectUNIX: path must be", problem)
      assert.equal(0, factory.numPorts)
      assert.is_false(reactor:isBusy())
    end
  end)

  it("with checkPID fails where nobody holds the lock, and connects where somebody does", async(function()
    local port = listen(ends.path())
    local factory = ends.factory(ends.Recorder)
    local path = port:getHost().name
    reactor:connectUNIX(path, factory, { checkPID = true })
    await(factory:whenNoted("failed"))
    ends.is(factory.failed, "ConnectError")
    await(port:stopListening())
    port = listen(path, { wantPID = true })
    reactor:connectUNIX(path, factory, { checkPID = true })
    local client, server = await(factory:protocolMade(1)), await(port.factory:protocolMade(1))
    await(port:stopListening())
    ends.finish(client, server)
  end))

  it("meets a Python peer", async(function()
    local path = ends.path()
    local port = listen(path)
    local pipe = ends.python(([[
import socket
s = socket.socket(socket.AF_UNIX); s.connect("%s")
s.sendall(b"hello"); print(s.recv(100).decode())]]):format(path))
    local server = await(port.factory:protocolMade(1))
    await(server:whenReceived(5))
    assert.equal("hello", server:data())
    server.transport:write("goodbye")
    ends.isExactly(server:awaitLost(), "ConnectionDone")
    assert.equal("goodbye\n", pipe:read("a"))
    pipe:close()
    await(port:stopListening())
    assert.equal(0, #core.transport.live())
  end))
end)
