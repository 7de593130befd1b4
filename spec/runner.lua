-- SPDX-License-Identifier: MIT
-- runner.lua -- runs our own specs: twistlua spec/runner.lua [busted options] PATHS
-- As `twistlua test` does, with an output that ends in `N passed, N failed`.

-- A collector that never rests finds what is not anchored.
if os.getenv("TWISTLUA_COLLECTOR") == "aggressive" then collectgarbage("incremental", 1, 1000, 5) end

package.path = "spec/?.lua;" .. package.path

require "twistlua.test.command"("--output=spec/counting.lua", table.unpack(arg))
