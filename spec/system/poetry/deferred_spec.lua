-- SPDX-License-Identifier: MIT
-- deferred_spec.lua -- the whole output of the Deferred, cancel and list examples.
local programs = require "system.poetry.programs"

local CANCELLED = "[Failure instance: Traceback (failure with no frames): <class 'CancelledError'>: ]\n"
local D2_FAILURE = "[Failure instance: Traceback (failure with no frames): <class 'string'>: d2 failure]"

-- What a program prints; what differs from run to run is left out.
local function prints(expected, name, ...)
  local outcome = programs.run(name, ...)
  outcome.stdout = outcome.stdout:gsub("0x%x+", "ADDRESS")
  assert.same({ status = 0, stdout = expected, stderr = "" }, outcome)
end

-- The same for a program that leaves a failure unhandled: stderr tells it.
local function leaves(failure, expected, name)
  local outcome = programs.run(name)
  assert.equal(expected, outcome.stdout)
  assert.equal(0, outcome.status)
  assert.equal("Unhandled error in Deferred\n" .. failure .. "\n", outcome.stderr)
end

describe("deferred/", function()
  it("defer_1 serves a poem", function()
    prints("Your poem is served:\nThis poem is short.\nFinished\n", "deferred/defer_1")
  end)

  it("defer_2 has none", function()
    prints("No poetry for you.\nFinished\n", "deferred/defer_2")
  end)

  it("defer_3 shows the Failure that an error became", function()
    prints("Failure\n"
      .. "[Failure instance: Traceback (failure with no frames): <class 'Error'>: I have failed.]\n"
      .. "No poetry for you.\n", "deferred/defer_3")
  end)

  for number, shown in pairs {
    [4] = "First result\n", [5] = "First result\n",
    [6] = "[Failure instance: Traceback (failure with no frames): <class 'string'>: First error]\n",
    [7] = "[Failure instance: Traceback (failure with no frames): <class 'string'>: First error]\n",
  } do
    it(("defer_%d ends with AlreadyCalledError"):format(number), function()
      local outcome = programs.run("deferred/defer_" .. number)
      assert.equal(1, outcome.status)
      assert.equal(shown, outcome.stdout)   -- and not Finished
      assert.matches("^twistlua: AlreadyCalledError: ", outcome.stderr)
      assert.matches(("defer_%d.lua:7: in main chunk"):format(number), outcome.stderr)
    end)
  end

  it("defer_8 and 9 print a poem and end", function()
    prints("Another short poem.\n", "deferred/defer_8")
    prints("Another short poem.\n", "deferred/defer_9")
  end)

  it("defer_10 waits for the inner Deferred", function()
    prints([[
Callbacks that return simple values:

callback_1 got 0
callback_2 got 1
callback_3 got 2

Now the second one returns a Deferred:

callback_1 got 0
callback_2 got 1

The third callback was not called: the outer Deferred is paused. Nothing waits
in a thread; the inner one has a note to wake the outer one when it fires:

callback_3 got 2
]], "deferred/defer_10")
  end)

  it("defer_11 fires before it has callbacks, and pauses", function()
    prints([[
Firing empty deferred.
Adding first callback.
callback_1 got 0
Adding second callback.
callback_2 got 1
Adding third callback.
callback_3 got 2

Each was called as soon as it was added. A Deferred that is paused keeps its result:

Pausing, then firing deferred.
Adding callbacks.
Unpausing the deferred.
callback_1 got 0
callback_2 got 1
callback_3 got 2
]], "deferred/defer_11")
  end)

  it("defer_block blocks callback() as long as its callbacks take", function()
    prints([[
Firing deferred.
The start of the callback chain.

I block
  and the deferred
  blocks with me
as does
 the reactor
keep that
 factor
in mind

The end of the callback chain.
Firing finished.
]], "deferred/defer_block", "0")
  end)

  it("defer_unhandled tells of the failure at its end", function()
    leaves([[
Traceback (most recent call last):
  scripts/poetry/deferred/defer_unhandled.lua:5: in function <scripts/poetry/deferred/defer_unhandled.lua:5>
scripts/poetry/deferred/defer_unhandled.lua:5: oops]], "Finished\n", "deferred/defer_unhandled")
  end)

  it("failure_examples shows Failures without and with frames", function()
    prints([[
Just making an exception:

[Failure instance: Traceback (failure with no frames): <class 'RhymeSchemeViolation'>: ]


Catching an exception:

[Failure instance: Traceback: <class 'RhymeSchemeViolation'>: ]] .. "\n" .. [[
scripts/poetry/deferred/failure_examples.lua:14:function <scripts/poetry/deferred/failure_examples.lua:13>]
]], "deferred/failure_examples")
  end)
end)

describe("cancel/", function()
  local ERRBACK = "errback got: " .. CANCELLED
  local CANCELLER = "I need to cancel this deferred: <Deferred at ADDRESS>\n"

  it("cancel_1 leaves the CancelledError to nobody", function()
    leaves("Traceback (failure with no frames): CancelledError", "done\n", "cancel/cancel_1")
  end)

  for number, expected in pairs {
    [2] = ERRBACK .. "done\n",
    [3] = "callback got: result\ndone\n",
    [4] = ERRBACK .. "done\n",
    [5] = CANCELLER .. ERRBACK .. "done\n",
    [6] = CANCELLER .. "Firing the deferred with a result\ncallback got: result\ndone\n",
    [7] = CANCELLER .. "Firing the deferred with an error\nerrback got: [Failure instance: "
      .. "Traceback (failure with no frames): <class 'string'>: error!]\ndone\n",
    [8] = "callback got: result\ndone\n",
    [12] = "first outer callback, returning inner deferred\ncanceling outer deferred.\ninner cancel callback.\n"
      .. "outer errback got: " .. CANCELLED .. "done\n",
  } do
    it("cancel_" .. number, function() prints(expected, "cancel/cancel_" .. number) end)
  end

  -- A second of theirs is 20 ms here: enough to keep the order of what is seconds apart there.
  it("cancel_9 gets its poem", function()
    prints("Sending poem\nI got a poem: Once upon a midnight dreary\n", "cancel/cancel_9", "0.02")
  end)

  it("cancel_10 is cancelled, and the poem is still sent", function()
    prints("get_poem failed: " .. CANCELLED .. "Sending poem\n", "cancel/cancel_10", "0.02")
  end)

  it("cancel_11 is cancelled, and nothing is sent", function()
    prints("get_poem failed: " .. CANCELLED, "cancel/cancel_11", "0.02")
  end)
end)

describe("lists/", function()
  local TWO = "We got: [(true, d1 result), (true, d2 result)]\n"
  local FAILED = "Firing d1.\nFiring d2 with errback.\nWe got: [(true, d1 result), (false, " .. D2_FAILURE .. ")]\n"

  for number, expected in pairs {
    [1] = "Empty List.\nAdding Callback.\nWe got: []\n",
    [2] = "One Deferred.\nAdding Callback.\nFiring d1.\nWe got: [(true, d1 result)]\n",
    [3] = "Two Deferreds.\nAdding Callback.\nFiring d1.\nFiring d2.\n" .. TWO,
    [4] = "Two Deferreds.\nAdding Callback.\nFiring d2.\nFiring d1.\n" .. TWO,
    [5] = FAILED,
    [7] = FAILED,
  } do
    it("list_" .. number, function() prints(expected, "lists/list_" .. number) end)
  end

  it("list_6 leaves the failure to nobody", function()
    leaves("Traceback (failure with no frames): d2 failure", FAILED, "lists/list_6")
  end)
end)

describe("deferred/simulator", function()
  local child = require "system.child"

  local function draw(input, ...)
    local outcome = child.run({ child.program, programs.path "deferred/simulator", ... }, { stdin = input })
    assert.equal("", outcome.stderr)
    assert.equal(0, outcome.status)
    return outcome.stdout:match("Make your terminal wide%.\n\n(.*)$")
  end

  it("draws a chain, and how it fires both ways", function()
    local file <close> = assert(io.open("spec/system/poetry/simulator.txt"))
    assert.equal(file:read("a"), draw "r good f bad\nf googly p\npass ret fine\n\n")
  end)

  it("draws them one below the other", function()
    assert.equal([[
               Deferred
               --------

------------------  ------------------
|                |  |                |
|    passthru    |  |   return ok    |
|                |  |                |
------------------  ------------------

         d.callback(initial)
         -------------------

     initial
        |
        |
       \|/
------------------
|    initial     |
|                |
|    initial     |
------------------
        |
        |
       \|/
     initial

         d.errback(initial*)
         -------------------

                         initial*
                            |
                            |
                           \|/
                    ------------------
                    |    initial*    |
                    |                |
                    |       ok       |
                    ------------------
                            |
        |-------------------|
       \|/
        ok

]], draw("p r ok\n\n", "--narrow"))
  end)

  it("says what is wrong with a pair, and goes on", function()
    local said = draw("\nnonsense\nr\nr good\nr good f bad more\nr 1234567 p\nr good p\n\n")
    assert.equal("You must enter at least one pair.\nERROR: bad command: nonsense\nERROR: missing argument\n"
      .. "ERROR: missing command\nERROR: extra arguments\nERROR: result more than 6 chars long: 1234567",
      said:match("^(.-)%s*Deferred"))
  end)

  it("ends with its input, and takes no arguments", function()
    assert.equal("", draw "r good p\n")
    local outcome = programs.run("deferred/simulator", "more")
    assert.equal(2, outcome.status)
    assert.matches("simulator.lua: error: No arguments supported.\n$", outcome.stderr)
  end)
end)
