-- SPDX-License-Identifier: MIT
-- endpoints/stdio.lua -- standard input and output as the one connection that a server gets.

local ServerEndpoint = require("twistlua.endpoints.endpoint").ServerEndpoint
local address        = require "twistlua.address"
local errors         = require "twistlua.error"

---@class twistlua.StandardIOEndpoint: twistlua.ServerEndpoint
---@operator call(...): twistlua.StandardIOEndpoint
local StandardIOEndpoint = ServerEndpoint:extend("StandardIOEndpoint")

---@param reactor twistlua.Reactor
function StandardIOEndpoint:init(reactor)
  self._reactor = reactor
end

-- The Deferred's value is the StandardIO; NoProtocol if the factory builds none.
function StandardIOEndpoint:_listen(factory)
  local protocol = factory:buildProtocol(address.PipeAddress())
  if protocol == nil then error(errors.NoProtocol(), 0) end
  return require("twistlua.stdio").StandardIO(protocol, { reactor = self._reactor })
end

return { StandardIOEndpoint = StandardIOEndpoint }
