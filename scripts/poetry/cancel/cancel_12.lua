-- cancel_12.lua: cancelling a Deferred that waits for another one cancels that one.
local defer = require "twistlua.defer"

local function cancelOuter() print "outer cancel callback." end
local function cancelInner() print "inner cancel callback." end

local outer, inner = defer.Deferred(cancelOuter), defer.Deferred(cancelInner)

outer:addCallback(function()
  print "first outer callback, returning inner deferred"
  return inner
end)
outer:addCallbacks(
  function(result) print("second outer callback got: " .. result) end,
  function(failure) print("outer errback got: " .. tostring(failure)) end)

outer:callback "result"

-- The outer one has fired, but is paused until the inner one does.
print "canceling outer deferred."
outer:cancel()

print "done"
