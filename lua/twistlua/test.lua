-- SPDX-License-Identifier: MIT
-- test.lua -- what tests of protocols need in place of a network: transports, connections and a reactor.

local connection = require "twistlua.test.connection"
local memory     = require "twistlua.test.memory_reactor"
local transport  = require "twistlua.test.transport"

return {
  StringTransport                  = transport.StringTransport,
  StringTransportWithDisconnection = transport.StringTransportWithDisconnection,
  AccumulatingProtocol             = transport.AccumulatingProtocol,
  MemoryReactor                    = memory.MemoryReactor,
  RaisingMemoryReactor             = memory.RaisingMemoryReactor,
  MemoryTransport                  = connection.MemoryTransport,
  connect                          = connection.connect,
}
