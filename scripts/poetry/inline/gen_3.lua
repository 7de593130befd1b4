-- gen_3.lua: generators take turns: tasks that yield to one another.
local function myGenerator()
  for n = 1, 3 do coroutine.yield(n) end
end

local function myOtherGenerator()
  for n = 10, 40, 10 do coroutine.yield(n) end
end

local generators = { coroutine.wrap(myGenerator), coroutine.wrap(myOtherGenerator) }

while #generators > 0 do
  local alive = {}
  for _, generator in ipairs(generators) do
    local n = generator()
    if n then
      print(n)
      alive[#alive + 1] = generator
    end
  end
  generators = alive
end
