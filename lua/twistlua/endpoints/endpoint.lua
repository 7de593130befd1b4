-- SPDX-License-Identifier: MIT
-- endpoints/endpoint.lua -- what all endpoints are.

local Object   = require("twistlua.class").Object
local defer    = require "twistlua.defer"
local wrapping = require "twistlua.endpoints.wrapping"

---Where to listen.
---@class twistlua.ServerEndpoint: twistlua.Object
local ServerEndpoint = Object:extend("ServerEndpoint")

---Open the port; it is open when this returns.
---@param factory twistlua.Factory
---@return twistlua.Deferred port
function ServerEndpoint:listen(factory)
  return defer.execute(self._listen, self, factory)
end

---Where to connect to.
---@class twistlua.ClientEndpoint: twistlua.Object
local ClientEndpoint = Object:extend("ClientEndpoint")

---Connect. Fails with NoProtocol when the factory builds none; cancelling fails it with
---ConnectingCancelledError and ends the attempt.
---@param factory twistlua.Factory
---@return twistlua.Deferred protocol once its `connectionMade` has run
function ClientEndpoint:connect(factory)
  return wrapping.connect(factory, function(wrapper) self:_connect(wrapper) end)
end

return { ServerEndpoint = ServerEndpoint, ClientEndpoint = ClientEndpoint }
