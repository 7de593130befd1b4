-- SPDX-License-Identifier: MIT
-- test.lua -- what tests of protocols need in place of a network: transports, connections and a reactor in
-- memory; and what tests on the real reactor need.

local connection = require "twistlua.test.connection"
local memory     = require "twistlua.test.memory_reactor"
local results    = require "twistlua.test.results"
local transport  = require "twistlua.test.transport"

local test = {
  StringTransport                  = transport.StringTransport,
  StringTransportWithDisconnection = transport.StringTransportWithDisconnection,
  AccumulatingProtocol             = transport.AccumulatingProtocol,
  MemoryReactor                    = memory.MemoryReactor,
  RaisingMemoryReactor             = memory.RaisingMemoryReactor,
  MemoryTransport                  = connection.MemoryTransport,
  connect                          = connection.connect,
  successResultOf                  = results.successResultOf,
  failureResultOf                  = results.failureResultOf,
  assertNoResult                   = results.assertNoResult,
  assertFailure                    = results.assertFailure,
}

-- The real reactor is loaded by the first test that asks for it.

---Make a test that may await: see test/async.lua.
---@param body function
---@param given? { timeout?: number, keep?: boolean } timeout in seconds, default 10; keep, for `before_each`: what
---  it leaves open is for the tests
---@return function
function test.async(body, given)
  return require("twistlua.test.async").async(body, given)
end

---Take the errors that were logged in this test, so that they do not fail it.
---@param ... table|string classes; none takes all
---@return table failures
function test.flushLoggedErrors(...)
  return require("twistlua.test.async").flushLoggedErrors(...)
end

return test
