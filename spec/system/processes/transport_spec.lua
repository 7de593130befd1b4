local errors   = require "twistlua.error"
local async    = require("twistlua.test").async
local children = require "system.processes.children"
local ends     = require "system.streams.pairs"
local flushLoggedErrors = require("twistlua.test.async").flushLoggedErrors
local defer    = require "twistlua.defer"

local await = defer.await

describe("a process transport", function()
  it("writes to the child's input, and closes it when all is written", async(function()
    local cat = children.sh("exec cat")
    cat.transport:write("one ")
    cat.transport:writeSequence { "two ", "three" }
    cat.transport:write(("x"):rep(1000000))
    cat.transport:closeStdin()
    cat.transport:write("too late")
    cat:awaitEnd()
    assert.equal("one two three" .. ("x"):rep(1000000), cat:text())
  end))

  it("keeps output and errors apart", async(function()
    local shell = children.sh("echo out; echo err >&2")
    shell:awaitEnd()
    assert.equal("out\n", shell:text(1))
    assert.equal("err\n", shell:text(2))
  end))

  it("closes what the child writes to", async(function()
    local shell = children.sh("trap '' PIPE; read line; echo out; echo err >&2; exec 2>&-; read line")
    shell.transport:closeStdout()
    await(shell:whenNoted("out lost"))
    shell.transport:write("go\n")
    await(shell:whenNoted("err lost"))
    assert.matches("err\n$", shell:text(2))
    assert.equal("", shell:text(1))
    shell.transport:loseConnection()
    shell:awaitEnd()
  end))

  it("closes all three by loseConnection, and the child may live on", async(function()
    local shell = children.sh("trap '' PIPE; cat >/dev/null; exec sleep 1000")
    shell.transport:loseConnection()
    for _, event in ipairs { "in lost", "out lost", "err lost" } do await(shell:whenNoted(event)) end
    assert.is_nil(shell.exited)
    shell.transport:signalProcess("KILL")
    assert.equal(9, shell:awaitEnd().signal)
  end))

  it("refuses to write where the child cannot read", async(function()
    local shell = children.sh("cat", { childFDs = { [1] = "r", [4] = "w" } })
    for _, childFD in ipairs { 0, 1, 2, 99 } do
      assert.error_matches(function() shell.transport:writeToChild(childFD, "x") end,
        "no descriptor " .. childFD .. " that can be written to")
    end
    assert.error_matches(function() shell.transport:write("x") end, "no descriptor 0")
    shell.transport:writeToChild(4, "x")
    shell.transport:closeChildFD(99)
    shell:awaitEnd()
    shell.transport:writeToChild(4, "dropped")
  end))

  it("refuses data that is no string", async(function()
    local cat = children.sh("exec cat")
    assert.error_matches(function() cat.transport:write(5) end, "data must be a string, not number")
    assert.error_matches(function() cat.transport:writeSequence { "a", 5 } end, "item 2 is a number")
    cat.transport:closeStdin()
    cat:awaitEnd()
    assert.equal("", cat:text())
  end))

  it("pauses and resumes reading", async(function()
    local shell = children.sh("echo one; read line; echo two; echo err >&2")
    await(shell:whenSaid("one"))
    shell.transport:pauseProducing()
    shell.transport:write("go\n")
    await(shell:whenNoted("exited"))
    ends.turns(3)
    assert.same({ "one\n", "" }, { shell:text(1), shell:text(2) })
    assert.is_nil(shell.ended)
    shell.transport:resumeProducing()
    shell:awaitEnd()
    assert.same({ "one\ntwo\n", "err\n" }, { shell:text(1), shell:text(2) })
  end))

  it("is its own address at both sides, and says what it is", async(function()
    local shell = children.sh("read line")
    assert.equal("ProcessAddress()", tostring(shell.transport:getPeer()))
    assert.equal("ProcessAddress()", tostring(shell.transport:getHost()))
    assert.matches("^<Process /bin/sh %(pid %d+%)>$", tostring(shell.transport))
    shell.transport:closeStdin()
    shell:awaitEnd()
    assert.equal("<Process /bin/sh (ended)>", tostring(shell.transport))
  end))
end)

describe("signalProcess", function()
  for name, number in pairs { KILL = 9, TERM = 15, INT = 2, HUP = 1, SIGUSR1 = 10, [3] = 3 } do
    it(("sends %s"):format(name), async(function()
      local shell = children.sh("echo ready; exec sleep 1000")
      await(shell:whenSaid("ready"))
      shell.transport:signalProcess(name)
      local ended = shell:awaitEnd()
      assert.same({ signal = number, status = number }, { signal = ended.signal, status = ended.status & 127 })
      assert.is_nil(ended.exitCode)
    end))
  end

  it("raises ProcessExitedAlready once the child has ended", async(function()
    local shell = children.sh("exit 0")
    shell:awaitEnd()
    local ok, err = pcall(shell.transport.signalProcess, shell.transport, "KILL")
    assert.is_false(ok)
    assert.is_true(err:is(errors.ProcessExitedAlready))
  end))

  it("refuses what is no signal", async(function()
    local cat = children.sh("exec cat")
    for _, signal in ipairs { "NONSENSE", 0, -1, 1000, 9999999999, true } do
      assert.error_matches(function() cat.transport:signalProcess(signal) end, "signalProcess: ")
    end
    cat.transport:closeStdin()
    cat:awaitEnd()
  end))
end)

describe("a producer of a child's input", function()
  local function producer(methods)
    local made = { events = {} }
    for _, name in ipairs { "resumeProducing", "pauseProducing", "stopProducing" } do
      made[name] = function(self)
        table.insert(self.events, name)
        if methods[name] then methods[name](self) end
      end
    end
    return made
  end

  it("is paused while the child does not read, and resumed when it has", async(function()
    local shell = children.sh("read line <&3; exec cat", { childFDs = { [0] = "w", [1] = "r", [2] = "r", [3] = "w" } })
    local push = producer {}
    shell.transport:registerProducer(push, true)
    shell.transport:write(("x"):rep(300000))
    assert.same({ "pauseProducing" }, push.events)
    ends.turns(3)
    assert.same({ "pauseProducing" }, push.events)
    shell.transport:writeToChild(3, "go\n")
    await(shell:when(function() return #push.events == 2 end))
    assert.equal("resumeProducing", push.events[2])
    shell.transport:closeStdin()   -- waits for the producer
    shell.transport:write("more")
    shell.transport:unregisterProducer()
    shell:awaitEnd()
    assert.equal(300004, #shell:text())
  end))

  it("is pulled each time that all is written", async(function()
    local cat, left = children.sh("exec cat"), 3
    cat.transport:registerProducer(producer {
      resumeProducing = function()
        cat.transport:write("piece ")
        left = left - 1
        if left > 0 then return end
        cat.transport:unregisterProducer()
        cat.transport:closeStdin()
      end,
    }, false)
    cat:awaitEnd()
    assert.equal("piece piece piece ", cat:text())
  end))

  it("is stopped when the child closes its input, or has done so", async(function()
    local shell = children.sh("read line; exec <&-; echo closed; exec sleep 1000")
    local push = producer {}
    shell.transport:registerProducer(push, true)
    shell.transport:write("go\n")
    await(shell:whenNoted("in lost"))
    assert.equal("stopProducing", push.events[#push.events])
    local late = producer {}
    shell.transport:registerProducer(late, true)
    assert.same({ "stopProducing" }, late.events)
    shell.transport:unregisterProducer()
    shell.transport:signalProcess("KILL")
    shell:awaitEnd()
  end))

  it("is one at a time, and on an input that is a pipe", async(function()
    local cat = children.sh("exec cat")
    cat.transport:registerProducer(producer {}, true)
    assert.error_matches(function() cat.transport:registerProducer(producer {}, true) end, "already registered")
    cat.transport:unregisterProducer()
    cat.transport:closeStdin()
    cat:awaitEnd()
    local none = children.sh("exit 0", { childFDs = {} })
    assert.error_matches(function() none.transport:registerProducer(producer {}, true) end, "no descriptor 0")
    none:awaitEnd()
  end))

  it("that raises costs the child its input", async(function()
    local cat = children.sh("exec cat")
    cat.transport:registerProducer(producer { resumeProducing = function() error("trouble in producing") end }, false)
    assert.equal(0, cat:awaitEnd().exitCode)
    assert.matches("trouble in producing", tostring(flushLoggedErrors()[1].value))
  end))
end)

describe("the reactor's end", function()
  it("closes the pipes of children and leaves the children alone", function()
    local got = require("system.child").lua [[
      io.stdout:setvbuf("no")
      local reactor = require "twistlua.reactor"
      local P = require("twistlua.protocol").ProcessProtocol:extend("P")
      function P:childConnectionLost(fd) io.write(fd, " ") end
      function P:processExited() print("exited") end
      local transport
      reactor:callWhenRunning(function()
        transport = reactor:spawnProcess(P(), "/bin/sleep", { "sleep", "1000" })
        reactor:stop()
      end)
      reactor:run()
      os.execute("ps -o stat= -o args= -p " .. transport.pid .. "; kill " .. transport.pid)
    ]]
    assert.matches("^%d %d %d S%S* +sleep 1000\n$", got.stdout)
    assert.equal("", got.stderr)
  end)
end)

