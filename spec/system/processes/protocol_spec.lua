local async    = require("twistlua.test").async
local children = require "system.processes.children"
local defer    = require "twistlua.defer"
local ends     = require "system.streams.pairs"
local protocol = require "twistlua.protocol"
local flushLoggedErrors = require("twistlua.test.async").flushLoggedErrors

local await = defer.await

describe("the end of a process", function()
  it("is ProcessDone for exit code 0", async(function()
    local shell = children.sh("exit 0")
    shell:awaitEnd()
    ends.isExactly(shell.ended, "ProcessDone")
    assert.is_true(shell.exited == shell.ended)
    assert.same({ 0, 0 }, { shell.ended.value.exitCode, shell.ended.value.status })
    assert.is_nil(shell.ended.value.signal)
    assert.equal(0, shell.transport.status)
  end))

  it("is ProcessTerminated for another exit code, and for a signal", async(function()
    local bad, killed = children.sh("exit 7"), children.sh("kill -TERM $$")
    bad:awaitEnd()
    killed:awaitEnd()
    ends.isExactly(bad.ended, "ProcessTerminated")
    assert.same({ exitCode = 7, status = 7 << 8 },
      { exitCode = bad.ended.value.exitCode, status = bad.ended.value.status, signal = bad.ended.value.signal })
    ends.isExactly(killed.ended, "ProcessTerminated")
    assert.equal(15, killed.ended.value.signal)
    assert.is_nil(killed.ended.value.exitCode)
    assert.matches("exit code 7", bad.ended:getErrorMessage())
    assert.matches("signal 15", killed.ended:getErrorMessage())
  end))

  it("comes last, after the exit and all pipes", async(function()
    local shell = children.sh("echo text")
    shell:awaitEnd()
    assert.equal("made", shell.events[1])
    assert.equal("ended", shell.events[6])
    table.sort(shell.events)
    assert.same({ "ended", "err lost", "exited", "in lost", "made", "out lost" }, shell.events)
  end))

  it("is told at once when there are no pipes", async(function()
    local shell = children.sh("exit 0", { childFDs = {} })
    shell:awaitEnd()
    assert.same({ "made", "exited", "ended" }, shell.events)
  end))

  -- Point 40.
  it("is two events while a grandchild holds the pipes", async(function()
    local shell = children.sh("(read line; echo from the grandchild) <&3 & exit 3",
      { childFDs = { [0] = "w", [1] = "r", [2] = "r", [3] = "w" } })
    await(shell:whenNoted("exited"))
    ends.turns(5)
    assert.is_nil(shell.ended)
    assert.is_nil(shell.transport.pid)
    assert.equal(3, shell.exited.value.exitCode)
    shell.transport:writeToChild(3, "go on\n")
    assert.equal(3, shell:awaitEnd().exitCode)
    assert.equal("from the grandchild\n", shell:text())
  end))

  it("comes when this side closes the pipes that a grandchild holds", async(function()
    local shell = children.sh("sleep 1000 & echo $!")
    await(shell:whenNoted("exited"))
    await(shell:whenSaid("\n"))
    assert.is_nil(shell.ended)
    shell.transport:loseConnection()
    shell:awaitEnd()
    os.execute("kill " .. shell:text())
  end))
end)

describe("a child that closes a pipe", function()
  it("costs that pipe and no more", async(function()
    local shell = children.sh("exec <&-; exec 2>&-; echo still here; exec sleep 1000")
    await(shell:whenNoted("in lost"))
    await(shell:whenNoted("err lost"))
    await(shell:whenSaid("still here"))
    assert.is_nil(shell.exited)
    shell.transport:write("dropped")
    shell.transport:signalProcess("KILL")
    shell:awaitEnd()
  end))

  it("loses what was written to it, without a SIGPIPE", async(function()
    local shell = children.sh("read line; exec <&-; exec sleep 1000")
    shell.transport:write("line\n" .. ("x"):rep(1000000))
    await(shell:whenNoted("in lost"))
    shell.transport:signalProcess("KILL")
    shell:awaitEnd()
  end))
end)

describe("a ProcessProtocol", function()
  it("has a method for each event, which does nothing", async(function()
    local plain = protocol.ProcessProtocol()
    local transport = require("twistlua.reactor"):spawnProcess(plain, "/bin/sh", { "sh", "-c", "echo a; echo b >&2" })
    assert.equal(transport, plain.transport)
    assert.equal("ProcessProtocol", plain:logPrefix())
    while #require("twistlua.core").pipe.live() > 0 or transport.pid do ends.turns(1) end
  end))

  it("may override the events of all descriptors", async(function()
    local got, lost = {}, {}
    local shell = children.sh("echo one; echo two >&2", nil, children.class {
      childDataReceived = function(_, childFD, data) got[childFD] = data end,
      childConnectionLost = function(_, childFD) lost[childFD] = true end,
    })
    shell:awaitEnd()
    assert.same({ "one\n", "two\n" }, got)
    assert.same({ [0] = true, true, true }, lost)
  end))

  it("may start the next child from any event", async(function()
    local second
    local first = children.sh("exit 0", nil, children.class {
      processEnded = function(self, reason)
        second = children.sh("echo second")
        children.Child.processEnded(self, reason)
      end,
    })
    first:awaitEnd()
    second:awaitEnd()
    assert.equal("second\n", second:text())
  end))

  for _, method in ipairs { "connectionMade", "inConnectionLost", "outConnectionLost", "errConnectionLost",
                            "processExited" } do
    it(("that raises in %s hears all that follows"):format(method), async(function()
      local shell = children.sh("echo text; exit 5", nil, children.class {
        [method] = function() error("trouble in " .. method) end,
      })
      assert.equal(5, shell:awaitEnd().exitCode)
      assert.equal("text\n", shell:text())
      local logged = flushLoggedErrors()
      assert.equal(1, #logged)
      assert.matches("trouble in " .. method, tostring(logged[1].value))
    end))
  end

  for method, childFD in pairs { outReceived = 1, errReceived = 2, childDataReceived = 1 } do
    it(("that raises in %s loses that pipe"):format(method), async(function()
      local event = childFD == 1 and "out lost" or "err lost"
      local shell = children.sh(("echo text >&%d; exec sleep 1000"):format(childFD), nil, children.class {
        [method] = function() error("trouble in " .. method) end,
      })
      await(shell:whenNoted(event))
      assert.is_nil(shell.exited)
      assert.equal(1, #flushLoggedErrors())
      shell.transport:signalProcess("KILL")
      shell:awaitEnd()
    end))
  end

  it("that raises in processEnded leaves nothing behind", async(function()
    local over = defer.Deferred()
    children.sh("exit 0", nil, children.class {
      processEnded = function()
        over:callback()
        error("trouble in processEnded")
      end,
    })
    await(over)
    ends.turns(1)
    assert.equal(1, #flushLoggedErrors())
    assert.equal(0, #require("twistlua.core").process.live())
  end))
end)
