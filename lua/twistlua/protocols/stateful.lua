-- SPDX-License-Identifier: MIT
-- protocols/stateful.lua -- protocols that read so many bytes, then look what to read next.

local Protocol = require("twistlua.protocol").Protocol
local pieces   = require "twistlua.protocols.basic.pieces"

---A machine whose states are functions. A state is a function and the number of bytes that it waits for; it is
---called as a method with just these, and returns the next function and its number, or nothing to stay.
---@class twistlua.StatefulProtocol: twistlua.Protocol
---@operator call(...): twistlua.StatefulProtocol
local StatefulProtocol = Protocol:extend("StatefulProtocol")

---@return fun(self, data: string): function|nil, integer|nil state
---@return integer bytes 1 or more
function StatefulProtocol:getInitialState()
  error(self.__name .. " has no getInitialState", 2)
end

local function check(state, bytes)
  if type(state) == "function" and math.type(bytes) == "integer" and bytes > 0 then return end
  error(("a state is a function and a number of bytes, 1 or more; got %s and %s")
    :format(tostring(state), tostring(bytes)), 0)
end

function StatefulProtocol:makeConnection(transport)
  self._begun = nil   -- what waits for more, as pieces
  self._state, self._bytes = self:getInitialState()
  check(self._state, self._bytes)
  Protocol.makeConnection(self, transport)
end

function StatefulProtocol:dataReceived(data)
  local begun, at = self._begun, 1
  if begun then
    begun:add(data)
    if begun.length < self._bytes then return end
    data, self._begun = begun:join(), nil
  end
  while #data - at + 1 >= self._bytes do
    local piece = data:sub(at, at + self._bytes - 1)
    at = at + #piece
    local state, bytes = self._state(self, piece)
    if self.transport.disconnecting then return end
    if state ~= nil then
      check(state, bytes)
      self._state, self._bytes = state, bytes
    end
  end
  if at <= #data then self._begun = pieces.new(data:sub(at)) end
end

return { StatefulProtocol = StatefulProtocol }
