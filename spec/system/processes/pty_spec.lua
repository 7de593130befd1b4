local async    = require("twistlua.test").async
local children = require "system.processes.children"
local core     = require "twistlua.core"
local defer    = require "twistlua.defer"
local ends     = require "system.streams.pairs"

local await = defer.await

describe("a child on a terminal", function()
  local PTY = { usePTY = true }

  it("has it as standard input, output and error, and as controlling one", async(function()
    local shell = children.sh("[ -t 0 -a -t 1 -a -t 2 ] && tty && echo /proc/$$/fd/? && echo done >/dev/tty", PTY)
    assert.equal(0, shell:awaitEnd().exitCode)
    local tty, numbers = shell:text():match("^(.-)\r\n(.-)\r\ndone\r\n$")
    assert.equal(shell.transport.name, tty)
    assert.equal("0 1 2 3", (numbers:gsub("/proc/%d+/fd/", "")))   -- 3 looks at the others
    assert.equal("ended", shell.events[#shell.events])
  end))

  it("is the leader of a session of its own", async(function()
    local shell = children.sh("ps -o pid= -o sid= -o tpgid= -p $$", PTY)
    shell:awaitEnd()
    local pid, session, foreground = shell:text():match("(%d+) +(%d+) +(%d+)")
    assert.same({ pid, pid }, { session, foreground })
  end))

  it("reads what is written, and its errors come as output", async(function()
    local shell = children.sh("stty -echo; echo ready; read line; echo \"got $line\" >&2", PTY)
    await(shell:whenSaid("ready"))
    shell.transport:write("words\n")
    shell:awaitEnd()
    assert.equal("ready\r\ngot words\r\n", shell:text(1))
    assert.equal("", shell:text(2))
  end))

  it("gets signals from what is typed", async(function()
    local shell = children.sh("echo ready; exec sleep 1000", PTY)
    await(shell:whenSaid("ready"))
    shell.transport:write("\3")
    assert.equal(2, shell:awaitEnd().signal)
  end))

  it("is hung up by loseConnection, and not by closeStdin", async(function()
    local shell = children.sh("echo ready; exec sleep 1000", PTY)
    await(shell:whenSaid("ready"))
    shell.transport:closeStdin()
    ends.turns(3)
    assert.is_nil(shell.exited)
    shell.transport:loseConnection()
    assert.equal(1, shell:awaitEnd().signal)
  end))

  it("learns how large it is", async(function()
    local shell = children.sh("read line; stty size", PTY)
    shell.transport:setWindowSize(50, 132)
    shell.transport:write("\n")
    shell:awaitEnd()
    assert.matches("50 132\r\n$", shell:text())
    assert.error_matches(function() children.sh("exit").transport:setWindowSize(1, 1) end, "no terminal")
  end))

  it("takes a terminal that exists", async(function()
    local master, slave, name = core.pipe.terminal()
    local shell = children.sh("tty", { usePTY = { master, slave, name } })
    await(shell:whenSaid("\n"))
    core.pipe.discard(slave)   -- which stays the caller's
    shell:awaitEnd()
    assert.equal(name .. "\r\n", shell:text())
  end))

  it("leaves no descriptors behind", async(function()
    children.sh("exit 0", PTY):awaitEnd()
    local before = children.descriptors()
    for _ = 1, 5 do children.sh("echo x", PTY):awaitEnd() end
    pcall(children.sh, "x", { usePTY = true, path = "/no/such" })
    assert.equal(before, children.descriptors())
  end))
end)
