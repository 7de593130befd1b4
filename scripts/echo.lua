-- echo.lua: sends back what it receives, on port 8000 or the one that it is given.
local reactor  = require "twistlua.reactor"
local protocol = require "twistlua.protocol"

local Echo = protocol.Protocol:extend("Echo")

function Echo:dataReceived(data)
  self.transport:write(data)
end

reactor:listenTCP(math.tointeger(tonumber(arg[1] or 8000)), protocol.Factory.forProtocol(Echo))
reactor:run()
