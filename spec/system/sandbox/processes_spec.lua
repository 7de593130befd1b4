-- Programs, variables and descriptors in a sandbox.
local child = require "system.child"
local confined = require "system.sandbox.confined"
local run = confined.run

-- Runs a program, and prints what it prints.
local SPAWN = [[
  await(function()
    local done, Listen = require("twistlua.defer").Deferred(),
      require("twistlua.protocol").ProcessProtocol:extend "Listen"
    function Listen:outReceived(data) show((data:gsub("\n", ""))) end
    function Listen:processEnded() done:callback(nil) end
    reactor:spawnProcess(Listen(), %s)
    wait(done)
  end)]]

describe("programs in a sandbox", function()
  local place
  setup(function()
    place = confined.folder()
    assert(os.execute(("cd %s/in && printf '#!/bin/sh\necho as ${0##*/}\n' >tool " ..
      "&& chmod +x tool && ln -s tool alias"):format(place)))
  end)
  teardown(function() assert(os.execute("rm -r " .. place)) end)

  local function spawn(options, call, given)
    return (run(options, SPAWN:format((call:gsub("@", place))), given):gsub(place, "@"))
  end

  it("start where they are permitted", function()
    assert.equal("hi\n", spawn({ "--allow-run=echo" }, [["echo", { "echo", "hi" }]]))
    assert.equal("hi\n", spawn({ "--allow-run=/bin/echo" }, [["/bin/echo", { "echo", "hi" }]]))
    assert.equal("hi\n", spawn({ "--allow-run" }, [["echo", { "echo", "hi" }]]))
    assert.equal("as tool\n", spawn({ "--allow-run=" .. place .. "/in/tool" }, [["@/in/tool"]]))
    assert.equal("as tool\n", spawn({ "--allow-run=" .. place .. "/in/tool" }, [["@/in/up/in/tool"]]))
  end)

  it("do not start otherwise", function()
    local function refused(options, call, program)
      assert.equal(("failed|PermissionError: running %s is not permitted (--allow-run=%s)\n"):format(program, program),
        spawn(options, call))
    end
    refused({ "--sandbox" }, [["echo", { "echo" }]], "echo")
    refused({ "--allow-read", "--allow-net" }, [["echo", { "echo" }]], "echo")
    refused({ "--allow-run=cat" }, [["echo", { "echo" }]], "echo")
    refused({ "--allow-run=echo" }, [["@/in/tool"]], "@/in/tool")
    refused({ "--allow-run=echo" }, [["no-such-program"]], "no-such-program")
  end)

  it("are not found in a PATH of the script's", function()
    assert(os.execute(("cp %s/in/tool %s/in/echo"):format(place, place)))
    assert.equal("failed|PermissionError: running echo is not permitted (--allow-run=echo)\n",
      spawn({ "--allow-run=echo" }, [["echo", { "echo" }, { env = { PATH = "@/in" } }]]))
  end)

  it("have the name that is permitted, of several that lead to one", function()
    local tool, alias = "--allow-run=" .. place .. "/in/tool", "--allow-run=" .. place .. "/in/alias"
    assert.equal("as alias\n", spawn({ alias }, [["@/in/alias"]]))
    assert.truthy(spawn({ tool }, [["@/in/alias"]]):find "running @/in/alias is not permitted")
    assert.truthy(spawn({ alias }, [["@/in/tool"]]):find "running @/in/tool is not permitted")
    assert.equal("sh\n", spawn({ "--allow-run=/bin/sh" }, [["/bin/sh", { "busybox", "-c", "echo ${0##*/}" }]]))
  end)

  it("get variables where that is permitted", function()
    local given = { env = { SECRET = "shown" } }
    local call = [["sh", { "sh", "-c", "echo $SECRET" }, { env = true }]]
    assert.equal("failed|PermissionError: handing on the environment is not permitted (--allow-env)\n",
      spawn({ "--allow-run=sh", "--allow-env=SECRET" }, call, given))
    assert.equal("shown\n", spawn({ "--allow-run=sh", "--allow-env" }, call, given))
    assert.equal("x\n", spawn({ "--allow-run=sh" }, [["sh", { "sh", "-c", "echo $MINE" }, { env = { MINE = "x" } }]],
      given))
    local preload = [["echo", { "echo", "hi" }, { env = { LD_PRELOAD = "/x" } }]]
    assert.equal("failed|PermissionError: setting LD_PRELOAD for a program is not permitted (--allow-run)\n",
      spawn({ "--allow-run=echo" }, preload))
  end)

  it("are no other user's", function()
    assert.equal("failed|PermissionError: running a program as another user is not permitted (--allow-run)\n",
      spawn({ "--allow-run=echo" }, [["echo", { "echo" }, { uid = 0 }]]))
  end)

  it("get no descriptors that the script was not given", function()
    assert.equal("failed|PermissionError: using descriptor 7 is not permitted: a sandbox " ..
      "has those that it made, and 0, 1 and 2\n",
      spawn({ "--allow-run" }, [["echo", { "echo" }, { childFDs = { [0] = 7 } }]]))
    local code = [[require "twistlua.reactor" local core = require("twistlua.core").pipe
      show(core.duplicate(5)) show(core.discard(5)) show(core.open(5, "r", print, print))
      try(require("twistlua.stdio").StandardIO, require("twistlua.protocol").Protocol(), { stdout = 5 })
      local mine = core.duplicate(2) show(core.discard(mine)) show((select(2, core.discard(mine))) ~= nil) os.exit(0,
        true)]]
    local sentence = "using descriptor 5 is not permitted: a sandbox has those that it made, and 0, 1 and 2"
    local line = ("nil|%s|EDENIED|nil\n"):format(sentence)
    assert.equal(line:rep(3) .. "false|PermissionError: " .. sentence .. "\n\ntrue\n", run({ "--allow-net",
      "--allow-read" }, code))
  end)

  it("of the shell need all to be permitted", function()
    local code = [[show(os.execute()) try(os.execute, "echo hi") show((select(2, io.popen "echo hi")))]]
    local refused = "running a shell is not permitted (--allow-run)"
    assert.equal(("false\nfalse|PermissionError: %s\n%s\n"):format(refused, refused), run({ "--allow-run=sh" }, code))
    assert.equal("true\nhi\ntrue|true|exit|0\nnil\n", run({ "--allow-run" }, code))
  end)

  it("read variables where that is permitted", function()
    local code, given = [[try(os.getenv, "ONE") try(os.getenv, "TWO")]], { env = { ONE = "1", TWO = "2" } }
    local two = "false|PermissionError: reading the variable TWO is not permitted (--allow-env=TWO)\n"
    assert.equal("true|1\n" .. two, run({ "--allow-env=ONE" }, code, given))
    assert.equal("true|1\ntrue|2\n", run({ "--allow-env" }, code, given))
    assert.equal("true|1\ntrue|2\n", run({ "--allow-env=ONE,TWO" }, code, given))
    assert.truthy(run({ "--sandbox" }, code, given):find(two, 1, true))
  end)

  it("talk by standard input and output", function()
    assert.equal("got in\n", run({ "--sandbox" }, [[await(function()
      local got, Talk = require("twistlua.defer").Deferred(), require("twistlua.protocol").Protocol:extend "Talk"
      function Talk:dataReceived(data) self.transport:write("got " .. data) self.transport:loseConnection() end
      function Talk:connectionLost() got:callback(nil) end
      require("twistlua.stdio").StandardIO(Talk())
      wait(got)
    end)]], { stdin = "in\n" }))
    assert.equal("line\n", run({ "--sandbox" }, [[show(io.read "l")]], { stdin = "line\n" }))
  end)
end)

describe("the options of a sandbox", function()
  local function refused(option, sentence)
    assert.same({ status = 2, stdout = "", stderr = "twistlua: " .. sentence .. "\n" },
      child.twistlua(option, "-e", "print 'ran'"))
  end

  it("are refused when they make no sense", function()
    refused("--allow-read=", "bad capability 'read=': nothing stands behind '='")
    refused("--allow-net=a,,b", "bad capability 'net=': nothing stands behind '='")
    refused("--allow-net=h:99999", "bad capability 'net=h:99999': a port is a number from 0 to 65535")
    refused("--allow-run=no-such-program",
      "bad capability 'run=no-such-program': no directory of $PATH has such a program")
    assert.equal(2, child.twistlua("--allow-nett=x", "-e", "print 'ran'").status)
    assert.equal(2, child.twistlua("--sandbox=x", "-e", "print 'ran'").status)
  end)

  it("add up", function()
    assert.equal("true|true|false\n", run({ "--allow-env=A", "--allow-env=B" },
      [[show((pcall(os.getenv, "A")), (pcall(os.getenv, "B")), (pcall(os.getenv, "C")))]]))
  end)

  it("permit everything when there are none", function()
    assert.equal("true|true|function|function\n", run({}, [[show((io.open "/etc/passwd") ~= nil,
      (os.getenv "PATH") ~= nil,
      type(debug.getregistry), type(package.loadlib))]]))
  end)
end)
