-- incr KEY [BY]: add to a number, and tell it.
local store = require "store"

function command(key, by)
  local value = (math.tointeger(store.get(key) or 0) or error("'" .. key .. "' holds no integer", 0))
    + (math.tointeger(by or 1) or error("by what? '" .. by .. "' is no integer", 0))
  store.set(key, tostring(value))
  return tostring(value)
end
