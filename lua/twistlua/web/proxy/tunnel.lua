-- SPDX-License-Identifier: MIT
-- web/proxy/tunnel.lua -- a connection of a client's that goes on to another server, whatever is said on it: for
-- CONNECT, and for requests that want to leave HTTP, such as those of WebSocket.

local protocol = require "twistlua.protocol"
local portforward = require "twistlua.protocols.portforward"
local errorPage = require "twistlua.web.http.error_page"
local log      = require "twistlua.log"

-- The client's side: takes the channel's place.
local Inner = portforward.Proxy:extend("TunnelServer")

---The client has no more to say, and may still listen; so may the server.
function Inner:readConnectionLost()
  local peer = self.peer
  if not peer then return self.transport:loseConnection() end
  peer.transport:unregisterProducer()
  peer.transport:loseWriteConnection()
end

-- The server's side.
local Outer = portforward.Proxy:extend("TunnelClient")

function Outer:connectionMade()
  self.factory.connected(self)
end

local Factory = protocol.ClientFactory:extend("TunnelFactory")
Factory.protocol = Outer
Factory.noisy = false

local function join(request, outer, first)
  local inner = Inner()
  local transport, data = request:takeOver(inner)
  inner.peer, outer.peer = outer, inner
  inner:makeConnection(transport)
  transport:registerProducer(outer.transport, true)
  outer.transport:registerProducer(transport, true)
  if first then outer.transport:write(first) end
  if data ~= "" then outer.transport:write(data) end
end

local tunnel = {}

---@param request twistlua.web.HTTPRequest
---@param reactor twistlua.Reactor
---@param host string
---@param port integer
---@param given { timeout: number, first?: string, code?: integer } first: bytes for the server; code: for the client
function tunnel.open(request, reactor, host, port, given)
  local factory, connector = Factory(), nil
  local gone = false
  request:notifyFinish():addErrback(function()
    gone = true
    if connector then connector:disconnect() end
  end)
  function factory.connected(outer)
    if gone then return outer.transport:abortConnection() end
    if given.code then request:setResponseCode(given.code) end
    join(request, outer, given.first)
  end
  function factory.clientConnectionFailed(_, _, failure)
    if gone or request.finished then return end
    local status = failure:check("TimeoutError", "TCPTimedOutError") and 504 or 502
    log.msg(("Proxy: connecting to %s:%d failed: %s"):format(host, port, failure:getErrorMessage()))
    request:setResponseCode(status)
    request:setHeader("content-type", "text/html; charset=utf-8")
    request:respond(errorPage.statusPage(status, "The server behind this one cannot be reached."))
  end
  connector = reactor:connectTCP(host, port, factory, { timeout = given.timeout })
end

return tunnel
