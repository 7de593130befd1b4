-- SPDX-License-Identifier: MIT
-- peer.lua -- the other side of a client's connections, in memory: the specs see what was sent and answer.
local address = require "twistlua.address"
local client  = require "twistlua.web.client"
local errors  = require "twistlua.error"
local test    = require "twistlua.test"
local Failure = require("twistlua.failure").Failure

local peer = {}

-- A transport that the client closes is gone when the spec says so.
local Transport = test.StringTransport:extend("PeerTransport")

function Transport:write(data)
  if not self.disconnecting then test.StringTransport.write(self, data) end
end

---A pool and an agent on a reactor in memory. `given` is the pool's; `agent` the agent's.
function peer.agent(given, agent)
  local reactor = test.MemoryReactor()
  local pool = client.HTTPConnectionPool(reactor, given)
  local options = { pool = pool }
  for name, value in pairs(agent or {}) do options[name] = value end
  return client.Agent(reactor, options), reactor, pool
end

---Let the attempt number `index` succeed. Its fields: protocol, transport.
function peer.accept(reactor, index)
  local entry = reactor.tcpClients[index]
  entry.connector.state = "connected"
  local protocol = entry.factory:buildProtocol(address.IPv4Address("TCP", entry.host, entry.port))
  local connection = { protocol = protocol, transport = Transport() }
  protocol:makeConnection(connection.transport)

  ---What came since the last call.
  function connection.sent()
    local text = connection.transport:value()
    connection.transport:clear()
    return text
  end

  function connection.answer(text) protocol:dataReceived(text) end

  ---The connection ends: cleanly, or with an error.
  function connection.lose(err)
    connection.transport.disconnecting = true
    protocol:connectionLost(Failure(err or errors.ConnectionDone()))
  end

  return connection
end

---Let the attempt number `index` fail.
function peer.refuse(reactor, index, err)
  local entry = reactor.tcpClients[index]
  entry.connector.state = "disconnected"
  entry.factory:clientConnectionFailed(entry.connector, Failure(err or errors.ConnectionRefusedError()))
end

---The value of a Deferred that has fired, or its error.
function peer.outcome(deferred)
  local outcome
  deferred:addBoth(function(result) outcome = { result } end)
  assert(outcome, "the Deferred has not fired")
  if type(outcome[1]) == "userdata" and outcome[1].value ~= nil then return nil, outcome[1].value end
  return outcome[1]
end

---The body of a response that is to be complete.
function peer.body(response, given)
  return peer.outcome(client.readBody(response, given))
end

return peer
