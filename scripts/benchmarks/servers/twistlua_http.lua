-- twistlua_http.lua: "/" answers with 14 bytes, "/large" with 100 kB
local reactor  = require "twistlua.reactor"
local resource = require "twistlua.web.resource"
local server   = require "twistlua.web.server"

local LARGE = ("x"):rep(100000)

local Text = resource.Resource:extend("Text")
Text.isLeaf = true

function Text:render_GET(request)
  request:setHeader("content-type", "text/plain")
  return request.uri == "/large" and LARGE or "Hello, world!\n"
end

local port = reactor:listenTCP(0, server.Site(Text()), { backlog = 4096, interface = "127.0.0.1" })
print(port:getHost().port)
io.stdout:flush()
reactor:run()
