-- failure_examples.lua: Failures with and without the frames that their error came through. Usually the library makes
-- them.
local failure = require "twistlua.failure"
local Error   = require("twistlua.error").Error

local RhymeSchemeViolation = Error:extend("RhymeSchemeViolation")

print "Just making an exception:\n"
print(failure.Failure(RhymeSchemeViolation()))

print "\n\nCatching an exception:\n"

local function analyzePoem()
  error(RhymeSchemeViolation())
end

local _, caught = failure.call(analyzePoem, [[
Roses are red.
Violets are violet.
That's why they're called Violets.
Duh.
]])
print(caught)
