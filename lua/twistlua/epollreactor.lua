-- SPDX-License-Identifier: MIT
-- epollreactor.lua -- `require("twistlua.epollreactor").install()`, before twistlua.reactor is first required,
-- makes the reactor use epoll.

return require("twistlua.reactor.install") "epoll"
