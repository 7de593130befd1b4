-- reverse_proxy.lua -- everything at a port is answered by another server: reverse_proxy.lua [PORT [HOST [ITS_PORT]]]
local reactor = require "twistlua.reactor"
local proxy   = require "twistlua.web.proxy"

local port, host, itsPort = tonumber(arg[1]) or 8080, arg[2] or "127.0.0.1", math.tointeger(arg[3]) or 8000

local factory = proxy.ReverseProxy(host, itsPort)
local listening = reactor:listenTCP(math.tointeger(port), factory, { interface = "127.0.0.1" })
print(("http://127.0.0.1:%d/ is http://%s:%d/"):format(listening:getHost().port, host, itsPort))
io.stdout:flush()
reactor:run()
