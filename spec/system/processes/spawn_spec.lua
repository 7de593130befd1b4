local core     = require "twistlua.core"
local defer    = require "twistlua.defer"
local errors   = require "twistlua.error"
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"
local async    = require("twistlua.test").async
local child    = require "system.child"
local children = require "system.processes.children"

local await = defer.await

-- What spawnProcess raises for these arguments; a failure has left nothing behind.
local function refusal(...)
  local before = children.descriptors()
  local ok, err = pcall(function(...)
    local transport = reactor:spawnProcess(...)
    return transport
  end, ...)
  assert.is_false(ok)
  assert.equal(before, children.descriptors())
  return err
end

describe("spawnProcess", function()
  it("runs a program with its arguments, from its own name on", async(function()
    local echo = children.Child()
    local transport = reactor:spawnProcess(echo, "/bin/sh", { "my name", "-c", 'echo "$0" "$1"', "$0", "two  words" })
    assert.equal(transport, echo.transport)
    assert.is_true(transport.pid > 0)
    assert.equal(0, echo:awaitEnd().exitCode)
    assert.equal("$0 two  words\n", echo:text())
    assert.is_nil(transport.pid)
  end))

  it("calls a program by its path where there are no arguments", async(function()
    local shell = children.Child()
    local transport = reactor:spawnProcess(shell, "/bin/sh")
    transport:write('echo "$0"\n')
    transport:closeStdin()
    shell:awaitEnd()
    assert.equal("/bin/sh\n", shell:text())
  end))

  it("gives an empty environment by default", async(function()
    local env = children.Child()
    reactor:spawnProcess(env, "/usr/bin/env")
    env:awaitEnd()
    assert.equal("", env:text())
  end))

  it("gives the environment that is asked for", async(function()
    local env = children.Child()
    reactor:spawnProcess(env, "/usr/bin/env", nil, { env = { NAME = "a=b", EMPTY = "" } })
    env:awaitEnd()
    local lines = {}
    for line in env:text():gmatch("[^\n]+") do lines[line] = true end
    assert.same({ ["NAME=a=b"] = true, ["EMPTY="] = true }, lines)
  end))

  it("gives our environment for true", async(function()
    assert.equal(os.getenv("HOME") .. "\n", children.output('echo "$HOME"', { env = true }))
  end))

  it("looks for a name in the PATH of the child's environment", async(function()
    local directory = os.tmpname()
    os.remove(directory)
    os.execute(("mkdir %s && printf '#!/bin/sh\\necho found' > %s/tool && chmod +x %s/tool")
      :format(directory, directory, directory))
    local tool = children.Child()
    reactor:spawnProcess(tool, "tool", nil, { env = { PATH = "/no/such:" .. directory .. ":/bin" } })
    tool:awaitEnd()
    assert.equal("found\n", tool:text())
    assert.equal("ENOENT", refusal(children.Child(), "tool", nil, { env = { PATH = "/bin" } }).code)
    assert.equal("ENOENT", refusal(children.Child(), "tool").code)
    os.execute("rm -r " .. directory)
  end))

  it("starts it in the directory that is asked for", async(function()
    assert.equal("/usr\n", children.output("pwd", { path = "/usr" }))
  end))

  it("gives it pipes for 0, 1 and 2, and nothing else", async(function()
    local stray = assert(io.open("/dev/null"))   -- without close-on-exec
    assert.equal("0\n1\n2\n3\n", children.output("exec ls /proc/self/fd"))
    stray:close()
  end))

  it("takes more pipes and descriptors of ours", async(function()
    local ours, theirs = core.pipe.pair("r")
    local got, closed = "", defer.Deferred()
    core.pipe.open(ours, "r", function(data) got = got .. data end, function() closed:callback() end):resume()
    local shell = children.sh('read word <&3; echo "got $word" >&5; echo direct >&7', {
      childFDs = { [0] = "w", [1] = "r", [2] = 2, [3] = "w", [5] = "r", [7] = theirs },
    })
    core.pipe.discard(theirs)
    shell.transport:writeToChild(3, "hello\n")
    assert.equal(0, shell:awaitEnd().exitCode)
    assert.equal("got hello\n", shell:text(5))
    await(closed)
    assert.equal("direct\n", got)
  end))

  it("gives no descriptors where none are asked for", async(function()
    local closed = children.sh("exec 9>&1", { childFDs = {} })
    assert.is_true(closed:awaitEnd().exitCode > 0)   -- 1 is not there
  end))

  it("runs as another user with that user's groups", async(function()
    local asked = { uid = 65534, gid = 65534, env = { PATH = os.getenv("PATH") } }
    if children.output("id -u") ~= "0\n" then   -- nobody but root may
      local err = refusal(children.Child(), "/bin/true", nil, asked)
      return assert.same({ "user", "EPERM" }, { err.step, err.code })
    end
    assert.equal("65534 65534 65534\n", children.output("echo $(id -u) $(id -g) $(id -G)", asked))
    assert.equal("0 12345\n", children.output("echo $(id -u) $(id -g)", { gid = 12345 }))
  end))

  it("needs no rights to stay who we are", async(function()
    local program = ([[
      local reactor = require "twistlua.reactor"
      local P = require("twistlua.protocol").ProcessProtocol:extend("P")
      function P:outReceived(data) io.write(data) end
      function P:processEnded() reactor:stop() end
      reactor:spawnProcess(P(), "/usr/bin/id", { "id", "-u" }, { uid = 65534, gid = 65534 })
      print(select(2, pcall(reactor.spawnProcess, reactor, P(), "/usr/bin/id", nil, { uid = 0 })))
      reactor:run()
    ]])
    local copy = os.tmpname()   -- where anybody may run it
    os.execute(("cp %s %s && chmod 755 %s"):format(child.program, copy, copy))
    local got = child.run { "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", copy, "-e", program }
    os.remove(copy)
    assert.matches("^SpawnError: .* user '/usr/bin/id': Operation not permitted%.\n65534\n$", got.stdout)
    assert.equal("", got.stderr)
  end))
end)

describe("a program that cannot be run", function()
  local function noProtocolHears()
    return children.class {
      connectionMade = function() error("it was made") end,
      processEnded = function() error("it ended") end,
    }()
  end

  it("is a SpawnError with errno and path, raised at once", async(function()
    local err = refusal(noProtocolHears(), "/no/such")
    assert.is_true(err:is(errors.SpawnError))
    assert.equal(2, err.errno)
    assert.equal("ENOENT", err.code)
    assert.equal("/no/such", err.path)
    assert.equal("exec", err.step)
    assert.equal("SpawnError: A process could not be started: 2: exec '/no/such': No such file or directory.",
      tostring(err))
  end))

  it("tells a file without the right to run it, a directory, and one that is no program", async(function()
    assert.equal("EACCES", refusal(noProtocolHears(), "/etc/passwd").code)
    assert.equal("EACCES", refusal(noProtocolHears(), "/tmp").code)
    local path = child.file("nonsense")
    os.execute("chmod +x " .. path)
    assert.equal("ENOEXEC", refusal(noProtocolHears(), path).code)
    os.remove(path)
  end))

  it("tells a directory that is not there", async(function()
    local err = refusal(noProtocolHears(), "/bin/true", nil, { path = "/no/such" })
    assert.same({ "chdir", "/no/such", "ENOENT" }, { err.step, err.path, err.code })
  end))

  it("tells a descriptor that is not there", async(function()
    local err = refusal(noProtocolHears(), "/bin/true", nil, { childFDs = { [0] = "w", [1] = 999 } })
    assert.same({ "descriptors", "EBADF" }, { err.step, err.code })
  end))

  it("tells arguments that are too long", async(function()
    assert.equal("E2BIG", refusal(noProtocolHears(), "/bin/true", { "true", ("x"):rep(1 << 20) }).code)
  end))

  it("is told when descriptors run out, at any step, and nothing leaks", function()
    local program = [[
      local core = require "twistlua.core"
      local reactor = require "twistlua.reactor"
      local protocol = require "twistlua.protocol"
      local ended = 0
      local P = protocol.ProcessProtocol:extend("P")
      function P:processEnded() ended = ended + 1 reactor:stop() end
      pcall(reactor.spawnProcess, reactor, P(), "/no/such")   -- loads what is loaded later
      local taken = {}
      for index = 1, 100 do taken[index] = core.pipe.duplicate(2) end
      assert(#taken < 100)
      for free = 0, 8 do
        if free > 0 then core.pipe.discard(table.remove(taken)) end
        local ok, err = pcall(reactor.spawnProcess, reactor, P(), "/bin/true")
        if ok then break end
        print(free, err.code, err.step)
      end
      reactor:run()
      local again = {}
      while true do
        local fd = core.pipe.duplicate(2)
        if not fd then break end
        again[#again + 1] = fd
      end
      print(#again, ended)
    ]]
    local got = child.run { "sh", "-c", 'ulimit -n 40; exec "$0" -e "$1"', child.program, program }
    assert.equal("", got.stderr)
    assert.equal(table.concat({ "0\tEMFILE\tpipe", "1\tEMFILE\tpipe", "2\tEMFILE\tpipe", "3\tEMFILE\tpipe",
      "4\tEMFILE\tpipe", "5\tEMFILE\tpipe", "6\tEMFILE\tfork", "7\t1", "" }, "\n"), got.stdout)
  end)
end)

describe("spawnProcess refuses", function()
  local Child = children.Child

  for what, arguments in pairs {
    ["something that is no ProcessProtocol"] = { protocol.Protocol(), "/bin/true" },
    ["an executable that is no string"] = { Child(), 5 },
    ["an executable with a zero byte"] = { Child(), "/bin/true\0x" },
    ["args that are no list"] = { Child(), "/bin/true", "arg" },
    ["an argument that is no string"] = { Child(), "/bin/true", { "true", 5 } },
    ["an argument with a zero byte"] = { Child(), "/bin/true", { "a\0b" } },
    ["an option that it does not know"] = { Child(), "/bin/true", nil, { pathh = "/" } },
    ["an environment that is a list"] = { Child(), "/bin/true", nil, { env = { "A=b" } } },
    ["a bad name in the environment"] = { Child(), "/bin/true", nil, { env = { ["A=B"] = "c" } } },
    ["a value in the environment that is no string"] = { Child(), "/bin/true", nil, { env = { A = 5 } } },
    ["a directory with a zero byte"] = { Child(), "/bin/true", nil, { path = "/\0" } },
    ["a bad user"] = { Child(), "/bin/true", nil, { uid = -5 } },
    ["a bad direction of a pipe"] = { Child(), "/bin/true", nil, { childFDs = { [0] = "x" } } },
    ["a bad number of a descriptor"] = { Child(), "/bin/true", nil, { childFDs = { [-1] = "r" } } },
    ["childFDs with a terminal"] = { Child(), "/bin/true", nil, { usePTY = true, childFDs = {} } },
    ["a bad terminal"] = { Child(), "/bin/true", nil, { usePTY = "yes" } },
  } do
    it(what, function()
      local err = refusal(table.unpack(arguments, 1, 4))
      assert.matches("^spec/system/processes/spawn_spec.lua:%d+: spawnProcess: ", err:gsub("^.*/(spec/)", "%1"))
    end)
  end
end)

describe("many children", function()
  it("leave no zombies and no descriptors", async(function()
    local before = children.descriptors()
    local WAVES, WIDTH = 50, 40
    for _ = 1, WAVES do
      local wave = {}
      for index = 1, WIDTH do
        wave[index] = children.Child()
        reactor:spawnProcess(wave[index], index % 4 == 0 and "/bin/false" or "/bin/true")
      end
      for _, one in ipairs(wave) do one:awaitEnd() end
    end
    assert.equal(before, children.descriptors())
    assert.equal(0, children.zombies())
  end, { timeout = 120 }))
end)

describe("a child that was started before the reactor runs", function()
  it("is waited for once it runs, and keeps the program running", function()
    local got = child.lua [[
      local reactor = require "twistlua.reactor"
      local P = require("twistlua.protocol").ProcessProtocol:extend("P")
      function P:processExited() print("exited") end
      function P:processEnded()
        print("ended")
        reactor:stop()
      end
      local transport = reactor:spawnProcess(P(), "/bin/true", nil, { childFDs = {} })
      -- It is dead, and waits for us.
      repeat
        local status = io.open("/proc/" .. transport.pid .. "/stat"):read("a")
      until status:find(") Z ", 1, true)
      print("dead")
      reactor:callWhenRunning(function() print("running") end)
    ]]
    assert.equal("dead\nrunning\nexited\nended\n", got.stdout)
    assert.equal("", got.stderr)
  end)
end)

describe("a host's own child", function()
  it("can still be waited for by the host", async(function()
    local own = assert(io.popen("exit 42"))
    for _ = 1, 3 do await(children.sh("exit 0"):whenNoted("ended")) end
    assert.same({ n = 3, nil, "exit", 42 }, table.pack(own:close()))
  end))
end)
