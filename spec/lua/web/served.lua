-- SPDX-License-Identifier: MIT
-- served.lua -- a site on a transport in memory: what is sent to it, and what it answers.

local Object    = require("twistlua.class").Object
local Clock     = require("twistlua.task").Clock
local resource  = require "twistlua.web.resource"
local server    = require "twistlua.web.server"
local transport = require "twistlua.test.transport"

local Served = Object:extend("Served")

---@param root table a resource, or a function(request) that renders every method
---@param given? table options of the site
function Served:init(root, given)
  if type(root) == "function" then root = Served.leaf(root) end
  given = given or {}
  self.clock = given.reactor or Clock()
  given.reactor = self.clock
  self.site = server.Site(root, given)
  self.transport = transport.StringTransportWithDisconnection()
  self.channel = self.site:buildProtocol()
  self.transport.protocol = self.channel
  self.channel:makeConnection(self.transport)
end

---A leaf whose `render` is the function.
function Served.leaf(render, fields)
  local Leaf = resource.Resource:extend("Leaf")
  Leaf.isLeaf = true
  function Leaf:render(request) return render(request, self) end
  for name, value in pairs(fields or {}) do Leaf[name] = value end
  return Leaf()
end

---Send bytes; what was answered since the last call.
function Served:send(...)
  for _, bytes in ipairs { ... } do self.channel:dataReceived(bytes) end
  return self:take()
end

function Served:take()
  local answer = self.transport:value()
  self.transport:clear()
  return answer
end

---Send a GET; the status, body, and the whole response.
function Served:get(path, fields)
  return Served.parse(self:send(("GET %s HTTP/1.1\r\nHost: example.com\r\n%s\r\n"):format(path, fields or "")))
end

---@return integer|nil status, string body, string head in lower case
function Served.parse(answer)
  local head, body = answer:match("^(.-\r\n)\r\n(.*)$")
  if not head then return nil, answer, "" end
  return math.tointeger(tonumber(head:match("^HTTP/1.1 (%d+)"))), body, head:lower()
end

function Served:lose()
  if self.transport.connected then self.transport:loseConnection() end
end

---Whether this side has ended the connection, or its half.
function Served:isClosed()
  return self.transport.disconnecting or self.transport.writeDisconnected
end

return Served
