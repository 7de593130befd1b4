local async    = require "twistlua.test".async
local basic    = require "twistlua.protocols.basic"
local defer    = require "twistlua.defer"
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"

local await = defer.await

-- The lines that a server gets which ends its connection by `method` on the second of four.
local function linesUntil(method)
  local lines, lost = {}, defer.Deferred()
  local Server = basic.LineReceiver:extend("Server")
  function Server:lineReceived(line)
    lines[#lines + 1] = line
    if line == "two" then self.transport[method](self.transport) end
  end
  function Server:connectionLost() lost:callback() end
  local Client = protocol.Protocol:extend("Client")
  function Client:connectionMade() self.transport:write("one\r\ntwo\r\nthree\r\nfour\r\n") end
  local port = reactor:listenTCP(0, protocol.Factory.forProtocol(Server), { interface = "127.0.0.1" })
  reactor:connectTCP("127.0.0.1", port:getHost().port, protocol.ClientFactory.forProtocol(Client))
  await(lost)
  await(port:stopListening())
  return lines
end

describe("LineReceiver on a real transport", function()
  for _, method in ipairs { "loseConnection", "abortConnection" } do
    it("delivers no line of the same piece after " .. method, async(function()
      assert.same({ "one", "two" }, linesUntil(method))
    end))
  end
end)
