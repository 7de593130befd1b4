-- SPDX-License-Identifier: MIT
-- runner.lua -- runs busted inside the runtime: twistlua spec/runner.lua [busted options] PATHS
-- The modules are kept from file to file: there is one reactor, and classes must stay the same ones.

package.path = "spec/?.lua;" .. package.path
table.insert(arg, 1, "--no-auto-insulate")
table.insert(arg, 2, "--pattern=_spec%.lua$")

require "busted.runner" { standalone = false, output = "spec/counting.lua" }
