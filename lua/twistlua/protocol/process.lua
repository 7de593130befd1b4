-- SPDX-License-Identifier: MIT
-- protocol/process.lua -- what a child process and a user's code say to each other.

local Object = require("twistlua.class").Object

---One child process. A subclass overrides the events; the transport is there from `connectionMade` on.
---@class twistlua.ProcessProtocol: twistlua.Object
---@field transport twistlua.Process|nil
---@operator call(...): twistlua.ProcessProtocol
local ProcessProtocol = Object:extend("ProcessProtocol")

---Called by the reactor.
---@param transport twistlua.Process
function ProcessProtocol:makeConnection(transport)
  self.transport = transport
  self:connectionMade()
end

---The child runs.
function ProcessProtocol:connectionMade() end

---The child wrote to the descriptor that it has as number `childFD`.
---@param childFD integer
---@param data string never empty
function ProcessProtocol:childDataReceived(childFD, data)
  if childFD == 1 then
    self:outReceived(data)
  elseif childFD == 2 then
    self:errReceived(data)
  end
end

---The child wrote to its standard output.
---@param _data string never empty
function ProcessProtocol:outReceived(_data) end

---The child wrote to its standard error.
---@param _data string never empty
function ProcessProtocol:errReceived(_data) end

---A pipe is closed, by the child and all who have it from the child, or by this side.
---@param childFD integer
function ProcessProtocol:childConnectionLost(childFD)
  if childFD == 0 then
    self:inConnectionLost()
  elseif childFD == 1 then
    self:outConnectionLost()
  elseif childFD == 2 then
    self:errConnectionLost()
  end
end

---The child's standard input is closed.
function ProcessProtocol:inConnectionLost() end

---The child's standard output is closed.
function ProcessProtocol:outConnectionLost() end

---The child's standard error is closed.
function ProcessProtocol:errConnectionLost() end

---The child has ended. Others may still hold its pipes, and data may still come.
---@param _reason twistlua.Failure ProcessDone, or ProcessTerminated with `exitCode` or `signal`
function ProcessProtocol:processExited(_reason) end

---The child has ended and all pipes are closed; nothing comes after it.
---@param _reason twistlua.Failure that of `processExited`
function ProcessProtocol:processEnded(_reason) end

---The name for log lines.
---@return string
function ProcessProtocol:logPrefix()
  return self.__name
end

return { ProcessProtocol = ProcessProtocol }
