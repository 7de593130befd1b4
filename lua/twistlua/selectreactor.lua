-- SPDX-License-Identifier: MIT
-- selectreactor.lua -- `require("twistlua.selectreactor").install()`, before twistlua.reactor is first required,
-- makes the reactor use select.

return require("twistlua.reactor.install") "select"
