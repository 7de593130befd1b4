-- SPDX-License-Identifier: MIT
-- selectreactor.lua -- `require("twistlua.selectreactor").install()` makes the reactor use select; before
-- twistlua.reactor is first required.

return require("twistlua.reactor.install") "select"
