-- SPDX-License-Identifier: MIT
-- reactor/install.lua -- the choice of a backend before the reactor is made.

local core   = require "twistlua.core"
local errors = require "twistlua.error"

---@param backend string
---@return { install: fun() } module
return function(backend)
  return {
    ---Raises ReactorAlreadyInstalledError once there is a reactor.
    install = function()
      if core.reactor.isOpen() then error(errors.ReactorAlreadyInstalledError(), 0) end
      local before = core.reactor.wanted
      core.reactor.wanted = backend
      local ok, message = pcall(require, "twistlua.reactor")
      if not ok then
        core.reactor.wanted = before
        error(message, 0)
      end
    end,
  }
end
