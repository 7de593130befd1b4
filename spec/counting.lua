-- SPDX-License-Identifier: MIT
-- counting.lua -- busted's output: failures in full, at the end `N passed, N failed`.
-- A pending spec counts as failed: nothing is skipped silently.

local function show(kind, entries)
  for _, entry in ipairs(entries) do
    print(("%s %s\n  %s"):format(kind, entry.name, tostring(entry.message)))
    if entry.trace and entry.trace.traceback then print("  " .. entry.trace.traceback) end
  end
end

return function()
  local busted  = require "busted"
  local handler = require "busted.outputHandlers.base"()

  function handler.suiteEnd()
    show("FAILED", handler.failures)
    show("ERROR", handler.errors)
    show("PENDING", handler.pendings)
    print(("%d passed, %d failed"):format(handler.successesCount,
      handler.failuresCount + handler.errorsCount + handler.pendingsCount))
    return nil, true
  end

  busted.subscribe({ "suite", "end" }, handler.suiteEnd)
  return handler
end
