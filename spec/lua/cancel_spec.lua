-- SPDX-License-Identifier: MIT
-- cancel_spec.lua -- what a cancelled coroutine may do about it, however deep it was awaited.

local defer = require "twistlua.defer"

local WAITS = { { "await", defer.await }, { "coroutine.yield", coroutine.yield } }

-- What the innermost function does about the CancelledError, and what comes out. `more` is a Deferred that it
-- may wait for next.
local REACTIONS = {
  {
    "passes the error on",
    function(problem) error(problem, 0) end,
    function(result) return result:check(defer.CancelledError) ~= nil end,
  },
  {
    "turns the error into a value",
    function() return "instead" end,
    function(result) return result == "instead" end,
  },
  {
    "turns the error into another",
    function() error("another", 0) end,
    function(result) return result.value == "another" end,
  },
  {
    "waits for something else and returns it",
    function(_, wait, more) return (wait(more)) end,
    function(result) return result == "more" end,
    waits = true,
  },
  {
    "waits for something else and fails",
    function(_, wait, more)
      wait(more)
      error("after all", 0)
    end,
    function(result) return result.value == "after all" end,
    waits = true,
  },
}

local function stack(depth, wait, innermost)
  local f = defer.inlineCallbacks(innermost)
  for _ = 2, depth do
    local inner = f
    f = defer.inlineCallbacks(function() return (wait(inner())) end)
  end
  return f
end

describe("point 21: a cancelled function", function()
  for _, way in ipairs(WAITS) do
    for depth = 1, 3 do
      for _, reaction in ipairs(REACTIONS) do
        it(("%s (%s, %d deep)"):format(reaction[1], way[1], depth), function()
          local asked, outcome, seen = 0, nil, nil
          local awaited, more = defer.Deferred(function() asked = asked + 1 end), defer.Deferred()
          local outer = stack(depth, way[2], function()
            local ok, problem = pcall(way[2], awaited)
            seen = not ok and problem
            return reaction[2](problem, way[2], more)
          end)()
          outer:addBoth(function(result) outcome = { result } end)

          outer:cancel()
          assert.equal(1, asked)
          assert.equal("CancelledError", seen.__name)
          if reaction.waits then
            assert.is_nil(outcome)
            more:callback("more")
          end
          assert.is_true(reaction[3](outcome[1]))
        end)
      end
    end
  end
end)
