-- The server of app_spec.lua: twistlua app.lua. Prints its port.
local reactor = require "twistlua.reactor"
local route   = require "twistlua.web.route"

local app = route.App()

app:get("/hello", function() return route.response.text("hello") end)

app:get("/connection", function(request)
  local peer = request:getClientAddress()
  return { port = peer.port, forwarded = request:getHeader("x-forwarded-for"), version = request.clientproto }
end)

-- What came, as it came.
app:any("/echo/*rest", function(request)
  request:setHeader("x-method", request.method)
  request:setHeader("x-rest", request.params.rest)
  request:setHeader("content-type", "application/octet-stream")
  return request.content:read("a")
end)

app:post("/json", function(request) return { got = request:json() } end)

app:post("/form", function(request) return request:form() end)

app:get("/chunks", function(request)
  for number = 1, 3 do request:write(("%d"):format(number):rep(1000)) end
  request:finish()
end)

app:get("/long", function() return ("0123456789abcdef"):rep(1 << 16) end)

app:put("/count", function(request) return { bytes = request.bytes or 0 } end, {
  onBody = function(request)
    request.bytes = 0
    return { write = function(_, data) request.bytes = request.bytes + #data end }
  end,
})

app:listen("tcp:0:interface=127.0.0.1"):addCallback(function(port)
  print(port:getHost().port)
  io.stdout:flush()
end)
reactor:run()
