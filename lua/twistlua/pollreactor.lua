-- SPDX-License-Identifier: MIT
-- pollreactor.lua -- `require("twistlua.pollreactor").install()` makes the reactor use poll; before
-- twistlua.reactor is first required.

return require("twistlua.reactor.install") "poll"
