-- SPDX-License-Identifier: MIT
-- kqueuereactor.lua -- `require("twistlua.kqueuereactor").install()` makes the reactor use kqueue; before
-- twistlua.reactor is first required.

return require("twistlua.reactor.install") "kqueue"
