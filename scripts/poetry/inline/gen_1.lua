-- gen_1.lua: a coroutine as a generator: it stops at each yield, and its caller goes on.
local function myGenerator()
  print "starting up"
  coroutine.yield(1)
  print "workin'"
  coroutine.yield(2)
  print "still workin'"
  coroutine.yield(3)
  print "done"
end

for n in coroutine.wrap(myGenerator) do print(n) end
