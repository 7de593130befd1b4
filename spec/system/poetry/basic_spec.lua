-- SPDX-License-Identifier: MIT
-- basic_spec.lua -- the first programs: the loop, calls for later, errors, the log; and inline callbacks.
local programs = require "system.poetry.programs"

local function prints(expected, name, ...)
  assert.same({ status = 0, stdout = expected, stderr = "" }, programs.run(name, ...))
end

-- Of one that runs until it is told to stop, after `lines` lines.
local function printsUntilStopped(lines, name)
  local process = programs.start(name)
  local printed = {}
  for i = 1, lines do printed[i] = process:line() end
  local outcome = programs.stop(process)
  assert.equal(0, outcome.status)
  assert.equal("", outcome.stderr)
  return table.concat(printed, "\n")
end

describe("basic/", function()
  after_each(programs.stopAll)

  it("simple and simple_poll run until they are stopped", function()
    for _, name in ipairs { "basic/simple", "basic/simple_poll" } do
      local process = programs.start(name)
      programs.awaitReactor(process)
      assert.same({ status = 0, stdout = "", stderr = "" }, programs.stop(process))
    end
  end)

  it("hello is called by the reactor", function()
    assert.equal("Starting the reactor.\nHello from the reactor loop!\nLately I feel like I'm stuck in a rut.",
      printsUntilStopped(3, "basic/hello"))
  end)

  it("stack shows the reactor between the program and its callback", function()
    local stack = printsUntilStopped(7, "basic/stack")
    assert.matches("^stack traceback:\n", stack)
    assert.matches("basic/stack.lua:4: in function", stack, 1, true)
    assert.matches("twistlua/reactor/events.lua:", stack, 1, true)
  end)

  it("countdown counts down", function()
    prints("Start!\n5 ...\n4 ...\n3 ...\n2 ...\n1 ...\nStop!\n", "basic/countdown", "0.001")
  end)

  it("exception falls down and gets up again", function()
    local outcome = programs.run("basic/exception")
    assert.equal(0, outcome.status)
    assert.equal("Starting the reactor.\nBut I get up again.\n", outcome.stdout)
    assert.matches("^Unhandled error.*\nTraceback.*\n  scripts/poetry/basic/exception.lua:4: in .*: I fall down.\n$",
      outcome.stderr)
  end)

  it("log shows what is logged after startLogging", function()
    local outcome = programs.run("basic/log")
    local FAILURE = [[
TIME [-] Unhandled Error
	Traceback (most recent call last):
	  scripts/poetry/basic/log.lua:14: in function <scripts/poetry/basic/log.lua:13>
	scripts/poetry/basic/log.lua:14: xxx
]]
    outcome.stdout = outcome.stdout:gsub("%d+%-%d+%-%d+ %d+:%d+:%d+[+-]%d+", "TIME")
    assert.same({
      status = 0, stderr = "",
      stdout = "TIME [-] Log opened.\nTIME [-] This will be logged.\nTIME [-] This will be logged as an error.\n"
        .. "TIME [-] The next function call will log the traceback as an error.\n" .. FAILURE
        .. "TIME [-] The next function call will log the failure as an error.\n" .. FAILURE
        .. "TIME [-] End of example.\n",
    }, outcome)
  end)
end)

describe("inline/", function()
  local WORK = "starting up\n1\nworkin'\n2\nstill workin'\n3\ndone\n"

  it("gen_1 to gen_4 yield", function()
    prints(WORK, "inline/gen_1")
    prints(WORK, "inline/gen_2")
    prints("1\n10\n2\n20\n3\n30\n40\n", "inline/gen_3")
    prints("starting up\n1\ngot: 10\n2\ngot: 20\n3\nmalfunction!\n4\ndone\n", "inline/gen_4")
  end)

  it("inline_1 gets a value at once, one later, and an error", function()
    prints("first callback\nsecond callback got 1\nthird callback got 2\nfourth callback got Error: 3\n",
      "inline/inline_1", "0.001")
  end)

  it("inline_2 runs two at a time", function()
    prints([[
my_callbacks_1 first callback
my_callbacks_err first callback
my_callbacks_1 second callback
my_callbacks_err second callback
my_callbacks_1 third callback
got result: 1
my_callbacks_err third callback
got error: [Failure instance: Traceback: <class 'Error'>: uh oh
scripts/poetry/inline/inline_2.lua:24:function <scripts/poetry/inline/inline_2.lua:18>]
all done
]], "inline/inline_2", "0.05")
  end)

  it("inline_traceback shows the function that goes on", function()
    local outcome = programs.run("inline/inline_traceback")
    assert.equal(0, outcome.status)
    assert.matches("^stack traceback:\n\tscripts/poetry/inline/inline_traceback.lua:7: in ", outcome.stdout)
  end)
end)
