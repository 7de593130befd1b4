-- SPDX-License-Identifier: MIT
-- reactor/secure.lua -- TLS on connections: what startTLS, listenSSL and connectSSL share.

local core    = require "twistlua.core"
local errors  = require "twistlua.error"
local options = require "twistlua.options"

local secure = {}

-- What is wrong with the arguments is raised where the method of the reactor or transport was called.
local CALLER = 4

local START = { isClient = "boolean", hostname = "string", handshakeTimeout = "number", received = "string" }

local function checkTimeout(what, timeout)
  if timeout and not (timeout >= 0 and timeout < math.huge) then
    error(("%s: handshakeTimeout must be a number of seconds, 0 for none, got %s"):format(what, timeout), CALLER)
  end
end

-- The core's context.
local function contextOf(what, contextFactory)
  local kind = type(contextFactory)
  if kind ~= "table" and kind ~= "userdata" or not contextFactory.getContext then
    error(("%s: a context factory (see twistlua.ssl) expected, got %s"):format(what, kind), CALLER)
  end
  return contextFactory:getContext()
end

local function fail(message, code)
  error(errors.SSLError(message, { code = code }), 0)
end

-- What transport:startTLS() is, but for the role that is the connection's own.
function secure.start(isClient, transport, contextFactory, given)
  given = options.check("startTLS", given, START, 4)
  checkTimeout("startTLS", given.handshakeTimeout)
  local context = contextOf("startTLS", contextFactory)
  if given.isClient ~= nil then isClient = given.isClient end
  local hostname = isClient and (given.hostname or contextFactory.hostname) or nil
  local started, message, code = core.transport.startTLS(transport, context, isClient, hostname,
                                                         given.handshakeTimeout, given.received)
  if not started then fail(message, code) end
end

---A function that starts TLS on a new transport. A context factory that cannot raises here, as an SSLError.
---@param what string the function that was called
---@param hostname string|nil what the client connects to, where the factory does not know better
---@return fun(transport: twistlua.Transport)
function secure.starter(what, contextFactory, isClient, hostname, timeout)
  checkTimeout(what, timeout)
  local context = contextOf(what, contextFactory)
  if isClient then hostname = contextFactory.hostname or hostname end
  local session, message, code = core.tls.session(context, isClient, hostname)
  if not session then fail(message, code) end
  session:close()
  local given = { isClient = isClient, hostname = hostname, handshakeTimeout = timeout }
  return function(transport) transport:startTLS(contextFactory, given) end
end

return secure
