-- SPDX-License-Identifier: MIT
-- embed_spec.lua -- the hosts in scripts/embed: a script's server and timer beside a timer of the host's, on loops of
-- all kinds. They come to an end only if neither keeps the other from its turn.
local child = require "system.child"

local LOOPS = { "own_loop", "libev_host", "epoll_host", "poll_host", "libuv_host", "glib_host" }

local function program(name)
  return (child.program:gsub("[^/]+$", "embed_" .. name))
end

describe("scripts/embed", function()
  for _, name in ipairs(LOOPS) do
    describe(name, function()
      it("has its turn, and lets a busy script have its", function()
        local outcome = child.run { program(name), "scripts/embed/beside.lua" }
        assert.equal("", outcome.stderr)
        assert.equal("host: 20 ticks\nscript: 20 ticks, and its server was busy\n", outcome.stdout)
        assert.equal(0, outcome.status)
      end)

      it("tells of a script that fails", function()
        local script = child.file "local function f()\n  error 'broken'\nend\nf()\n"
        local outcome = child.run { program(name), script }
        os.remove(script)
        assert.matches(":4: in main chunk\n.*:2: in f\n.*:2: broken\n$", outcome.stderr)
        assert.equal("", outcome.stdout)
        assert.equal(1, outcome.status)
      end)
    end)
  end

  it("says hello in at most 20 lines", function()
    local outcome = child.run { program "hello" }
    assert.same({ status = 0, stdout = ("hello from %s\n"):format(require("twistlua")._VERSION), stderr = "" }, outcome)
    local lines = 0
    for _ in io.lines("scripts/embed/hello.c") do lines = lines + 1 end
    assert.is_true(lines <= 20)
  end)

  it("has runtimes on threads work at what comes through a channel", function()
    local outcome = child.run { program "channels" }
    assert.same({ status = 0, stdout = "the squares of 1 to 12 make 650\n", stderr = "" }, outcome)
  end)

  it("does what scripts await on threads, and awaits a script", function()
    assert.same({ status = 0, stdout = "385\n", stderr = "" }, child.run { program "operations" })
  end)

  it("survives scripts without limits of their own", function()
    local outcome = child.run { program "limits" }
    assert.same({ 0, "" }, { outcome.status, outcome.stderr })
    local lines = {}
    for line in outcome.stdout:gmatch("[^\n]+") do lines[#lines + 1] = line:match("[^:]*$") end
    assert.same({
      " ok", "it takes a lot of memory", " not enough memory",
      " more than 0.02 seconds without a return to the reactor",
      " more than 0.02 seconds without a return to the reactor",
      " ok", " interrupted by the host", " ok",
    }, lines)
  end)

  it("is built, all of it", function()
    local sources <close> = assert(io.popen("ls scripts/embed/*.c"))
    for path in sources:lines() do
      local built = io.open(program(path:match("([^/]+)%.c$")))
      assert.is_truthy(built, path)
      built:close()
    end
  end)
end)
