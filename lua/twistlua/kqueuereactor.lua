-- SPDX-License-Identifier: MIT
-- kqueuereactor.lua -- `require("twistlua.kqueuereactor").install()`, before twistlua.reactor is first required,
-- makes the reactor use kqueue.

return require("twistlua.reactor.install") "kqueue"
