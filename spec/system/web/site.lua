-- SPDX-License-Identifier: MIT
-- site.lua -- a site for peers that are not ours: prints its port.
local defer     = require "twistlua.defer"
local endpoints = require "twistlua.endpoints"
local reactor   = require "twistlua.reactor"
local resource  = require "twistlua.web.resource"
local server    = require "twistlua.web.server"
local task      = require "twistlua.task"

local function leaf(methods)
  local Leaf = resource.Resource:extend("Leaf")
  Leaf.isLeaf = true
  for name, method in pairs(methods) do Leaf[name] = method end
  return Leaf()
end

local root = resource.Resource()
root:putChild("", leaf { render_GET = function() return "index\n" end })

-- Tells what was sent; for every method.
local echo = {}
for _, method in ipairs { "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND" } do
  echo["render_" .. method] = function(_, request)
    request:setHeader("content-type", "text/plain")
    local data = request.content:read("a")
    return ("%s %s %d %s\n"):format(request.method, request.uri, #data, data:sub(1, 20))
  end
end
root:putChild("echo", leaf(echo))

-- Counts what comes, without keeping it.
root:putChild("count", leaf {
  onBody = function(_, request)
    request.count = 0
    return { write = function(_, data) request.count = request.count + #data end }
  end,
  render_POST = function(_, request) return request.count .. "\n" end,
})

root:putChild("slow", leaf {
  render_GET = function()
    defer.await(task.deferLater(reactor, 0.01, function() end))
    return "slow\n"
  end,
})

root:putChild("chunks", leaf {
  render_GET = function(_, request)
    for number = 1, 3 do request:write(("chunk %d\n"):format(number)) end
    request:finish()
    return server.NOT_DONE_YET
  end,
})

root:putChild("large", leaf { render_GET = function() return ("0123456789"):rep(1000000) end })

root:putChild("broken", leaf { render_GET = function() error("broken") end })

-- Whether the connection is encrypted, by the word and by the session's cookie.
root:putChild("secure", leaf {
  render_GET = function(_, request)
    request:getSession()
    return ("%s %s\n"):format(request:isSecure(), request:prePathURL())
  end,
})

-- In kilobytes, after a full collection.
root:putChild("memory", leaf {
  render_GET = function()
    collectgarbage()
    collectgarbage()
    return ("%.0f\n"):format(collectgarbage("count"))
  end,
})

-- site.lua [LOG [CERTIFICATE KEY]]: with the last two, by TLS.
local where = "tcp:0:interface=127.0.0.1"
if arg[2] then where = ("ssl:0:interface=127.0.0.1:certKey=%s:privateKey=%s"):format(arg[2], arg[3]) end
endpoints.serverFromString(reactor, where):listen(server.Site(root, { logPath = arg[1] })):addCallback(function(port)
  print(port:getHost().port)
  io.stdout:flush()
end)
reactor:run()
