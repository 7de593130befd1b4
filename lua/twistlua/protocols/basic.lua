-- SPDX-License-Identifier: MIT
-- protocols/basic.lua -- what other protocols are built on: lines, netstrings, strings with a length, files.

local files    = require "twistlua.protocols.basic.file_sender"
local lines    = require "twistlua.protocols.basic.line"
local receiver = require "twistlua.protocols.basic.receiver"
local strings  = require "twistlua.protocols.basic.strings"
local log      = require "twistlua.log"

---Make a subclass of a string receiver that is a machine of states: a string that comes in state "x" goes to
---the method `proto_x`, which returns the next state. It begins with "init"; "done" closes the connection.
---`local Login = basic.StatefulStringProtocol(basic.NetstringReceiver):extend("Login")`
---@param base table a class with `stringReceived`
---@return table class with the field `state`
local function StatefulStringProtocol(base)
  local class = base:extend("StatefulStringProtocol")
  class.state = "init"

  function class:stringReceived(string)
    local handle = self["proto_" .. self.state]
    if not handle then
      log.msg(("%s has no proto_%s: a string was ignored"):format(self.__name, self.state))
      return
    end
    self.state = handle(self, string)
    if self.state == "done" then self.transport:loseConnection() end
  end

  return class
end

return {
  LineReceiver           = lines.LineReceiver,
  LineOnlyReceiver       = lines.LineOnlyReceiver,
  NetstringReceiver      = strings.NetstringReceiver,
  IntNStringReceiver     = strings.IntNStringReceiver,
  Int8StringReceiver     = strings.Int8StringReceiver,
  Int16StringReceiver    = strings.Int16StringReceiver,
  Int32StringReceiver    = strings.Int32StringReceiver,
  StringTooLongError     = strings.StringTooLongError,
  StatefulStringProtocol = StatefulStringProtocol,
  FileSender             = files.FileSender,
  Receiver               = receiver.Receiver,
}
