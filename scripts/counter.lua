-- counter.lua: the web tutorial's server
local reactor   = require "twistlua.reactor"
local endpoints = require "twistlua.endpoints"
local resource  = require "twistlua.web.resource"
local server    = require "twistlua.web.server"

local Counter = resource.Resource:extend("Counter")
Counter.isLeaf = true
Counter.numberRequests = 0

function Counter:render_GET(request)
  self.numberRequests = self.numberRequests + 1
  request:setHeader("content-type", "text/plain")
  return ("I am request #%d\n"):format(self.numberRequests)
end

endpoints.serverFromString(reactor, "tcp:8080"):listen(server.Site(Counter()))
reactor:run()
