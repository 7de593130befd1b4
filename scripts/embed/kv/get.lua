-- get KEY
local store = require "store"

function command(key)
  return store.get(key) or error("there is no '" .. key .. "'", 0)
end
