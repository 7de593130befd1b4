-- SPDX-License-Identifier: MIT
-- client_peer.lua -- starts client_peer.py.
local child = require "system.child"

local peer = {}

---`url` is where it is; `stop()` ends it.
function peer.start()
  local gate = os.tmpname()
  os.remove(gate)
  assert(os.execute("mkfifo " .. gate))
  local process = child.start { "sh", "-c", 'exec python3 spec/system/web/client_peer.py < "$0"', gate }
  local open = assert(io.open(gate, "w"))
  os.remove(gate)
  local server = { port = math.tointeger(tonumber(process:line())) }
  server.url = ("http://127.0.0.1:%d"):format(server.port)

  function server.stop()
    open:close()
    process:finish()
  end

  return server
end

return peer
