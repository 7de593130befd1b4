-- portforward.lua: passes the connections of a port on to another server, both ways, no faster than the
-- slower side reads.
-- usage: portforward.lua LISTEN [HOST:]PORT
local reactor     = require "twistlua.reactor"
local portforward = require "twistlua.protocols.portforward"

local listen = math.tointeger(tonumber(arg[1]))
local host, port = (arg[2] or ""):match("^(.-):?(%d+)$")
if not listen or not port then
  io.stderr:write("usage: portforward.lua LISTEN [HOST:]PORT\n")
  os.exit(2)
end
if host == "" then host = "127.0.0.1" end

reactor:listenTCP(listen, portforward.ProxyFactory(host, math.tointeger(tonumber(port))),
                  { interface = "127.0.0.1" })
reactor:run()
