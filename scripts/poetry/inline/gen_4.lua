-- gen_4.lua: values and errors go into a generator as well: into a place where it waits. So does `await`.
local failure = require "twistlua.failure"
local Error   = require("twistlua.error").Error

local Malfunction = Error:extend("Malfunction")

-- Whoever resumes us gives a value, or a Failure to be raised here.
local function yield(value)
  local sent = coroutine.yield(value)
  if failure.isFailure(sent) then sent:raise() end
  return sent
end

local function myGenerator()
  print "starting up"
  print("got: " .. yield(1))
  print("got: " .. yield(2))
  local ok, err = pcall(yield, 3)
  if not ok and err:is(Malfunction) then print "malfunction!" end
  yield(4)
  print "done"
end

local send = coroutine.wrap(myGenerator)

print(send())     -- starts it
print(send(10))
print(send(20))
print(send(failure.Failure(Malfunction())))
send()
