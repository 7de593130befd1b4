local async    = require("twistlua.test").async
local children = require "system.processes.children"
local child    = require "system.child"
local core     = require "twistlua.core"
local defer    = require "twistlua.defer"
local ends     = require "system.streams.pairs"
local stdio    = require "twistlua.stdio"
local flushLoggedErrors = require("twistlua.test.async").flushLoggedErrors

local await = defer.await

-- A StandardIO on pipes of its own: the protocol, what is written to it, and what collects its output.
local function joined(class)
  local stdin, input = core.pipe.pair("r")
  local stdout, output = core.pipe.pair("w")
  local far = { text = "", closed = false, waiting = {}, when = ends.Recorder.when, wake = ends.Recorder.wake }
  far.input = core.pipe.open(input, "w", function() end, function() far.input = nil end)
  far.output = core.pipe.open(output, "r", function(data)
    far.text = far.text .. data
    far:wake()
  end, function()
    far.closed = true
    far:wake()
  end)
  far.output:resume()
  local protocol = (class or ends.Recorder)()
  local transport = stdio.StandardIO(protocol, { stdin = stdin, stdout = stdout })
  assert.equal(transport, protocol.transport)
  return protocol, far
end

local ECHO = [[
  local P = require("twistlua.protocol").Protocol:extend("P")
  function P:dataReceived(data) self.transport:write(data) end
  function P:connectionLost(reason)
    io.stderr:write(tostring(reason.value), "\n")
    require("twistlua.reactor"):stop()
  end
  require("twistlua.stdio").StandardIO(P())
]]

describe("StandardIO", function()
  it("carries both ways, and is a transport", async(function()
    local protocol, far = joined()
    far.input:write("question")
    await(protocol:whenReceived(8))
    protocol.transport:write("ans")
    protocol.transport:writeSequence { "w", "er" }
    await(far:when(function() return far.text == "answer" end))
    assert.equal("PipeAddress()", tostring(protocol.transport:getPeer()))
    assert.equal("PipeAddress()", tostring(protocol.transport:getHost()))
    protocol.transport:write("last")
    protocol.transport:loseConnection()
    ends.isExactly(protocol:awaitLost(), "ConnectionDone")
    await(far:when(function() return far.closed end))
    assert.equal("answerlast", far.text)
    protocol.transport:write("dropped")
  end))

  it("ends with its input, when all is written", async(function()
    local protocol, far = joined()
    far.output:pause()
    protocol.transport:write(("x"):rep(300000))
    far.input:close()
    ends.turns(5)
    assert.is_nil(protocol.reason)
    far.output:resume()
    ends.isExactly(protocol:awaitLost(), "ConnectionDone")
    await(far:when(function() return far.closed end))
    assert.equal(300000, #far.text)
  end))

  it("half-closes both ways for a protocol that does", async(function()
    local protocol, far = joined(ends.HalfCloser)
    far.input:close()
    await(protocol:whenNoted("read lost"))
    protocol.transport:write("still here")
    protocol.transport:loseWriteConnection()
    ends.isExactly(protocol:awaitLost(), "ConnectionDone")
    assert.same({ "made", "read lost", "write lost", "lost" }, protocol.events)
    await(far:when(function() return far.closed end))
    assert.equal("still here", far.text)
  end))

  it("is lost when nobody reads its output", async(function()
    local protocol, far = joined()
    far.output:close()
    ends.isExactly(protocol:awaitLost(), "ConnectionLost")
  end))

  it("is aborted at once", async(function()
    local protocol = joined()
    protocol.transport:write("lost")
    protocol.transport:abortConnection()
    ends.isExactly(protocol:awaitLost(), "ConnectionAborted")
  end))

  it("holds a producer back", async(function()
    local protocol, far = joined()
    local heard = {}
    far.output:pause()
    protocol.transport:registerProducer({
      pauseProducing = function() heard[#heard + 1] = "pause" end,
      resumeProducing = function() heard[#heard + 1] = "resume" end,
      stopProducing = function() heard[#heard + 1] = "stop" end,
    }, true)
    protocol.transport:write(("x"):rep(300000))
    ends.turns(3)
    assert.same({ "pause" }, heard)
    far.output:resume()
    await(far:when(function() return #far.text == 300000 end))
    ends.turns(2)
    assert.same({ "pause", "resume" }, heard)
    protocol.transport:abortConnection()
    protocol:awaitLost()
    assert.same({ "pause", "resume", "stop" }, heard)
  end))

  for _, method in ipairs { "connectionMade", "dataReceived", "readConnectionLost" } do
    it(("is lost for what a protocol raises in %s"):format(method), async(function()
      local protocol, far = joined(ends.recorder({
        [method] = function() error("trouble in " .. method) end,
      }, ends.HalfCloser))
      if far.input then far.input:write("x") end
      if far.input then far.input:close() end
      assert.matches("trouble in " .. method, tostring(protocol:awaitLost().value))
      assert.equal(1, #flushLoggedErrors())
    end))
  end

  it("refuses descriptors that it cannot use", async(function()
    local before = children.descriptors()
    local ours, theirs = core.pipe.pair("r")
    assert.error_matches(function() stdio.StandardIO(ends.Recorder(), { stdin = 250 , stdout = theirs }) end,
      "StandardIO: cannot use descriptor 250 for input: Bad file descriptor")
    assert.error_matches(function() stdio.StandardIO(ends.Recorder(), { stdin = ours, stdout = ours }) end,
      "for output")
    core.pipe.discard(ours)
    ends.turns(2)
    assert.equal(before, children.descriptors())
  end))
end)

describe("standard input and output of a program", function()
  it("may be pipes, files and the null device", function()
    local got = child.run({ "sh", "-c", ('exec "%s" -e "$0"'):format(child.program), ECHO }, { stdin = "from a file" })
    assert.same({ "from a file", "ConnectionDone: Connection was closed cleanly.\n", 0 },
      { got.stdout, got.stderr, got.status })
    local line = ('head -c 3000000 /dev/zero | "%s" -e "$0" | wc -c'):format(child.program)
    local piped = child.run { "sh", "-c", line, ECHO }
    assert.equal("3000000\n", piped.stdout)
    local null = child.run { "sh", "-c", ('"%s" -e "$0" </dev/null >/dev/null'):format(child.program), ECHO }
    assert.equal(0, null.status)
  end)

  it("are blocking again for the shell whose terminal they are", async(function()
    local shell = children.sh(([[
      exec 3<&0
      "%s" -e "$ECHO"
      python3 -c 'import os; print("blocking", os.get_blocking(3))'
    ]]):format(child.program), { usePTY = true, env = { PATH = os.getenv("PATH"), ECHO = ECHO } })
    shell.transport:write("word\n")
    await(shell:whenSaid("word\r\nword\r\n"))
    shell.transport:write("\4")
    shell:awaitEnd()
    assert.matches("blocking True", shell:text())
  end))
end)
