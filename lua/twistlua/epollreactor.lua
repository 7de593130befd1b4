-- SPDX-License-Identifier: MIT
-- epollreactor.lua -- `require("twistlua.epollreactor").install()` makes the reactor use epoll; before
-- twistlua.reactor is first required.

return require("twistlua.reactor.install") "epoll"
