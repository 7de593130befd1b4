-- gen_2.lua: as gen_1.lua, with what the for-loop does by hand.
local function myGenerator()
  print "starting up"
  coroutine.yield(1)
  print "workin'"
  coroutine.yield(2)
  print "still workin'"
  coroutine.yield(3)
  print "done"
end

local generator = coroutine.wrap(myGenerator)

while true do
  local n = generator()
  if not n then break end
  print(n)
end
