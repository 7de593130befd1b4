-- transformed_poetry.lua: transforms poems: 27:cummingsify.HERE IS MY POEM, becomes 15:here is my poem,
local basic    = require "twistlua.protocols.basic"
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"
local tutorial = require "tutorial"

local USAGE = [[
usage: transformed_poetry.lua [options]

Transforms poems: transformed_poetry.lua --port 11000
  --port PORT   to listen on; a free one by default
  --iface HOST  to listen on; localhost by default]]

-- By name; what is not here does not exist for the clients.
local TRANSFORMS = { cummingsify = string.lower }

local TransformProtocol = basic.NetstringReceiver:extend("TransformProtocol")

function TransformProtocol:stringReceived(request)
  local name, poem = request:match("^(.-)%.(.*)$")
  local transform = TRANSFORMS[name]
  if transform then self:sendString(transform(poem)) end
  self.transport:loseConnection()
end

local options, words = tutorial.options(USAGE, { port = 0, iface = "localhost" })
if #words > 0 then tutorial.stop(USAGE, "Bad arguments.") end

local factory = protocol.ServerFactory.forProtocol(TransformProtocol)
local port = reactor:listenTCP(options.port, factory, { interface = options.iface })
print(("Serving transforms on %s."):format(port:getHost()))
reactor:run()
