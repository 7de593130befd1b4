local child = require "system.child"

describe("stdio:", function()
  it("is the one connection of a server", function()
    local outcome = child.run({ child.program, "-e", [[
      local reactor, endpoints = require "twistlua.reactor", require "twistlua.endpoints"
      local protocol = require "twistlua.protocol"
      local Shout = protocol.Protocol:extend("Shout")
      function Shout:dataReceived(data) self.transport:write(data:upper()) end
      function Shout:connectionLost() reactor:stop() end
      endpoints.serverFromString(reactor, "stdio:"):listen(protocol.Factory.forProtocol(Shout))
      reactor:run()
    ]] }, { stdin = "hello" })
    assert.same({ status = 0, stdout = "HELLO", stderr = "" }, outcome)
  end)
end)
