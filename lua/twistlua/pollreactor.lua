-- SPDX-License-Identifier: MIT
-- pollreactor.lua -- `require("twistlua.pollreactor").install()`, before twistlua.reactor is first required,
-- makes the reactor use poll.

return require("twistlua.reactor.install") "poll"
