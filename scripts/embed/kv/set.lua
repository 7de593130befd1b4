-- set KEY WORD...
local store = require "store"

function command(key, ...)
  store.set(key, table.concat({ ... }, " "))
  return "ok"
end
