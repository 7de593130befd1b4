-- SPDX-License-Identifier: MIT
-- endpoints/unix.lua -- `unix:`.

local description = require "twistlua.endpoints.description"
local endpoint    = require "twistlua.endpoints.endpoint"
local options     = require "twistlua.options"

---@class twistlua.UNIXServerEndpoint: twistlua.ServerEndpoint
---@operator call(...): twistlua.UNIXServerEndpoint
local UNIXServerEndpoint = endpoint.ServerEndpoint:extend("UNIXServerEndpoint")

local function toString(self)
  return "unix:" .. self._path:gsub("[\\:]", "\\%0"):gsub("^\0", "@")
end

---@param reactor twistlua.Reactor
---@param path string
---@param given? { backlog?: integer, mode?: integer, wantPID?: boolean }
function UNIXServerEndpoint:init(reactor, path, given)
  self._options = options.check(self.__name, given,
    { backlog = "integer", mode = "integer", wantPID = "boolean" }, 4)
  self._reactor = reactor
  self._path = path
end

function UNIXServerEndpoint:_listen(factory)
  return self._reactor:listenUNIX(self._path, factory, self._options)
end

UNIXServerEndpoint.__tostring = toString

---@class twistlua.UNIXClientEndpoint: twistlua.ClientEndpoint
---@operator call(...): twistlua.UNIXClientEndpoint
local UNIXClientEndpoint = endpoint.ClientEndpoint:extend("UNIXClientEndpoint")

---@param reactor twistlua.Reactor
---@param path string
---@param given? { timeout?: number, checkPID?: boolean }
function UNIXClientEndpoint:init(reactor, path, given)
  self._options = options.check(self.__name, given, { timeout = "number", checkPID = "boolean" }, 4)
  self._reactor = reactor
  self._path = path
end

function UNIXClientEndpoint:_connect(factory)
  return self._reactor:connectUNIX(self._path, factory, self._options)
end

UNIXClientEndpoint.__tostring = toString

local function serve(reactor, described)
  local given = described:read {
    { "address", description.text, required = true },
    { "mode", description.octal },
    { "backlog", description.integer },
    { "lockfile", description.flag },
  }
  return UNIXServerEndpoint(reactor, given.address,
    { mode = given.mode, backlog = given.backlog, wantPID = given.lockfile })
end

local function connect(reactor, described)
  local given = described:read {
    { "path", description.text, required = true },
    { "timeout", description.seconds },
    { "lockfile", description.flag },
  }
  return UNIXClientEndpoint(reactor, given.path, { timeout = given.timeout, checkPID = given.lockfile })
end

return {
  UNIXServerEndpoint = UNIXServerEndpoint,
  UNIXClientEndpoint = UNIXClientEndpoint,

  server = { unix = serve },
  client = { unix = connect },
}
