-- SPDX-License-Identifier: MIT
-- test/command.lua -- `twistlua test [busted options] [paths]`: busted inside the runtime.
-- Modules are kept from file to file: there is one reactor, and classes must stay the same ones.

---@param ... string the command's arguments
return function(...)
  local ok, run = pcall(require, "busted.runner")
  if not ok then
    error("twistlua test needs busted (Debian: apt install lua-busted)\n" .. tostring(run), 0)
  end
  _G.arg = table.move({ ... }, 1, select("#", ...), 2, { [0] = "twistlua test", "--no-auto-insulate" })
  run { standalone = false }
end
