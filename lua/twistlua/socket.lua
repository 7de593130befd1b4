-- SPDX-License-Identifier: MIT
-- socket.lua -- raw sockets, for scripts that call the system themselves: with `reactor:addReader`, or
-- blocking. Protocols do not need them.
-- What fails returns nil, a message, the error's name and its number; the name "EAGAIN" means not now.

local core     = require "twistlua.core"
local network  = require "twistlua.reactor.network"
local resolver = require "twistlua.reactor.resolver"

---@class twistlua.Socket
---@field fileno fun(self): integer -1 once closed
---@field recv fun(self, size: integer): string|nil, string?, string?, integer? "" at the peer's end
---@field send fun(self, bytes: string): integer|nil, string?, string?, integer? how many bytes were taken
---@field outcome fun(self): boolean|nil, string?, string?, integer? of a connect that was under way
---@field setBlocking fun(self, blocking: boolean): boolean|nil, string?, string?, integer?
---@field shutdown fun(self): boolean|nil, string?, string?, integer? sends our end
---@field close fun(self)
local methods = core.socket.methods

local acceptRaw = methods.accept

---@return twistlua.Socket|nil connection or nil, message, name, errno
---@return table|string peer an address
function methods:accept()
  local connection, kind, host, port = acceptRaw(self)
  if not connection then return nil, kind, host, port end
  return connection, network.address(kind, host, port)
end

local function placed(kind, host, port, errno)
  if not kind then return nil, host, port, errno end
  return network.address(kind, host, port)
end

---@return table|nil address of our end
function methods:getsockname() return placed(self:localPlace()) end

---@return table|nil address of the other end
function methods:getpeername() return placed(self:peerPlace()) end

---Send all of `bytes` on a blocking socket.
---@param bytes string
---@return boolean|nil, string?, string?, integer?
function methods:sendall(bytes)
  local first = 1
  while first <= #bytes do
    local sent, message, name, errno = self:send(first == 1 and bytes or bytes:sub(first))
    if not sent then return nil, message, name, errno end
    first = first + sent
  end
  return true
end

local socket = {}

-- The hosts file is read by the resolver of the reactor, which a program with sockets of its own may not have yet.
local function literal(host)
  if not resolver.isLiteral(host) then require "twistlua.reactor" end
  return resolver.literal(host)
end

---@param host string an IP literal, or a name in the hosts file; "" is all of IPv4
---@param port integer 0 takes a free one
---@param backlog? integer default 50
---@return twistlua.Socket|nil listening non-blocking; or nil, message, name, errno
function socket.listen(host, port, backlog)
  return core.socket.listen(backlog or 50, "TCP", literal(host), port)
end

---Connect, without waiting: when `pending` is true the socket becomes writable and `outcome()` tells; on a
---socket that was set to block, so does the first `recv`.
---@param host string an IP literal, or a name in the hosts file
---@param port integer
---@return twistlua.Socket|nil connection non-blocking; or nil, message, name, errno
---@return boolean|string pending
function socket.connect(host, port)
  return core.socket.connect("TCP", literal(host), port)
end

---Wait, and have the whole program wait, until some of the sockets can be read or written: `select` of the
---system, for a loop of one's own. With no sockets it sleeps.
---@param readers twistlua.Socket[]
---@param writers twistlua.Socket[]
---@param timeout? number seconds; nil is for ever; a signal may end it early
---@return twistlua.Socket[]|nil readable those that have bytes, an end or an error; or nil, message, name, errno
---@return twistlua.Socket[]|string writable
function socket.select(readers, writers, timeout)
  return core.socket.select(readers, writers, timeout)
end

return socket
