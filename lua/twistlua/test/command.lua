-- SPDX-License-Identifier: MIT
-- test/command.lua -- `twistlua test [busted options] [paths]`: busted inside the runtime.
-- Modules are kept from file to file: there is one reactor, and classes must stay the same ones.

---@param ... string the command's arguments
return function(...)
  local ok, run = pcall(require, "busted.runner")
  if not ok then
    error("twistlua test needs busted (Debian: apt install lua-busted)\n" .. tostring(run), 0)
  end
  local busted = { "--no-auto-insulate", ... }
  -- What stands before the script stays: specs find the program there.
  for i, word in pairs(_G.arg) do
    if i <= 0 then busted[i] = word end
  end
  _G.arg = busted
  run { standalone = false }
end
