-- SPDX-License-Identifier: MIT
-- main.lua -- what doRead and doWrite of a reader or writer return when its connection has ended.

local errors = require "twistlua.error"

return {
  CONNECTION_DONE = errors.ConnectionDone(),
  CONNECTION_LOST = errors.ConnectionLost(),
}
