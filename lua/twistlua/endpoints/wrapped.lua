-- SPDX-License-Identifier: MIT
-- endpoints/wrapped.lua -- `haproxy:` and `stdio:`, whose endpoints other modules have.

local registry = require "twistlua.endpoints.registry"

-- Everything after the prefix is another server's string, as it stands.
local function behindProxy(reactor, described)
  local inner = registry.parse("server", "serverFromString", reactor, described.rest)
  return require("twistlua.protocols.haproxy").proxyEndpoint(inner)
end

local function standardIO(reactor, described)
  if described.rest ~= "" then described:read {} end
  return require("twistlua.endpoints.stdio").StandardIOEndpoint(reactor)
end

return { server = { haproxy = behindProxy, stdio = standardIO } }
