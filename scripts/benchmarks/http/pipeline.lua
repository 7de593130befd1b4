-- pipeline.lua -- for wrk: sixteen requests at once.
local requests

function init()    -- luacheck: ignore
  requests = wrk.format("GET", "/"):rep(16)   -- luacheck: ignore
end

function request() -- luacheck: ignore
  return requests
end
