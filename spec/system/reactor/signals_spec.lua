-- SPDX-License-Identifier: MIT
-- signals_spec.lua -- SIGINT and SIGTERM while the reactor runs.
local child = require "system.child"

local SIGINT_STATUS = 128 + 2
local SIGTERM_STATUS = 128 + 15

-- A program that prints `ready` once it runs, and tells of its shutdown.
local SERVE = [[
  local reactor = require "twistlua.reactor"
  io.stdout:setvbuf "line"
  reactor:addSystemEventTrigger("before", "shutdown", print, "shutdown")
  reactor:callWhenRunning(print, "ready")
  %s
  print "end"
]]

local function serve(running)
  local process = child.start { child.program, "-e", SERVE:format(running or "reactor:run()") }
  assert.equal("ready", process:line())
  return process
end

describe("a signal", function()
  for _, name in ipairs { "INT", "TERM" } do
    it("SIG" .. name .. " stops the reactor with its triggers, and the program ends well", function()
      local process = serve()
      process:signal(name)
      assert.same({ status = 0, stdout = "shutdown\nend\n", stderr = "" }, process:finish())
    end)
  end

  it("SIGINT ends the program at once the second time", function()
    local process = serve [[
      reactor:addSystemEventTrigger("before", "shutdown", function()
        print "saving for ever"
        return require("twistlua.defer").Deferred()
      end)
      reactor:run()
    ]]
    process:signal "INT"
    assert.equal("shutdown", process:line())
    assert.equal("saving for ever", process:line())
    process:signal "INT"
    assert.same({ status = SIGINT_STATUS, stdout = "", stderr = "" }, process:finish())
  end)

  it("SIGINT ends at once a program that SIGTERM is stopping", function()
    local process = serve [[
      reactor:addSystemEventTrigger("before", "shutdown", function()
        print "saving for ever"
        return require("twistlua.defer").Deferred()
      end)
      reactor:run()
    ]]
    process:signal "TERM"
    assert.equal("shutdown", process:line())
    assert.equal("saving for ever", process:line())
    process:signal "INT"
    assert.equal(SIGINT_STATUS, process:finish().status)
  end)

  it("has its default effect where run was told to install nothing", function()
    local process = serve "reactor:run { installSignalHandlers = false }"
    process:signal "TERM"
    assert.same({ status = SIGTERM_STATUS, stdout = "", stderr = "" }, process:finish())
  end)

  it("SIGINT stays ignored where it was", function()
    local outcome = child.run { "env", "--ignore-signal=INT", child.program, "-e", [[
      local reactor = require "twistlua.reactor"
      reactor:callWhenRunning(function()
        io.popen("kill -INT $PPID"):close()   -- os.execute would ignore it meanwhile
        reactor:callLater(0, reactor.callLater, reactor, 0, function()
          reactor:stop()   -- raises where the signal has done so
          print "stopped by itself"
        end)
      end)
      reactor:run()
    ]] }
    assert.same({ status = 0, stdout = "stopped by itself\n", stderr = "" }, outcome)
  end)

  it("stops the reactor of a script that left the running to the program", function()
    local process = child.start { child.program, "-e", SERVE:format "" }
    assert.equal("end", process:line())
    assert.equal("ready", process:line())
    process:signal "INT"
    assert.same({ status = 0, stdout = "shutdown\n", stderr = "" }, process:finish())
  end)

  it("has its default effect again after the run", function()
    local process = serve [[
      reactor:callWhenRunning(reactor.stop, reactor)
      reactor:run()
      print "over"
      io.stdin:close()
      while true do end
    ]]
    assert.equal("shutdown", process:line())
    assert.equal("over", process:line())
    process:signal "INT"
    assert.equal(SIGINT_STATUS, process:finish().status)
  end)

  it("is taken again in a second run", function()
    local process = serve [[
      reactor:callWhenRunning(reactor.crash, reactor)
      reactor:run()
      reactor:callWhenRunning(print, "again")
      reactor:run()
    ]]
    assert.equal("again", process:line())
    process:signal "INT"
    assert.same({ status = 0, stdout = "shutdown\nend\n", stderr = "" }, process:finish())
  end)

  it("reaches a reactor that is busy with calls without a delay", function()
    local process = serve [[
      local function again() reactor:callLater(0, again) end
      again()
      reactor:run()
    ]]
    process:signal "TERM"
    assert.same({ status = 0, stdout = "shutdown\nend\n", stderr = "" }, process:finish())
  end)
end)

describe("SIGCHLD", function()
  it("leaves the children of io.popen and os.execute to those who wait for them", function()
    local outcome = child.lua [[
      local reactor = require "twistlua.reactor"
      reactor:callWhenRunning(function()
        local early = io.popen "exit 3"
        reactor:callLater(0, function()
          print(select(3, os.execute "exit 4"))
          print(select(3, early:close()))
          reactor:stop()
        end)
      end)
      reactor:run()
    ]]
    assert.same({ status = 0, stdout = "4\n3\n", stderr = "" }, outcome)
  end)
end)

describe("SIGPIPE", function()
  it("does not end a program that writes to a connection that is gone", function()
    local outcome = child.lua [[
      local reactor  = require "twistlua.reactor"
      local protocol = require "twistlua.protocol"
      local socket   = require "twistlua.socket"
      local Server = protocol.Protocol:extend("Server")
      function Server:connectionMade()
        self.client:close()
        local function again()
          self.transport:write "x"
          self.again = reactor:callLater(0, again)
        end
        again()
      end
      function Server:connectionLost(reason)
        self.again:cancel()
        print "lost"
        reactor:stop()
      end
      local port = reactor:listenTCP(0, protocol.Factory.forProtocol(Server), { interface = "127.0.0.1" })
      Server.client = socket.connect("127.0.0.1", port:getHost().port)
      reactor:run()
    ]]
    assert.same({ status = 0, stdout = "lost\n", stderr = "" }, outcome)
  end)
end)
