-- kv_server.lua -- the server of kv.c: lines of words come in, and each is answered in its turn.
local basic    = require "twistlua.protocols.basic"
local defer    = require "twistlua.defer"
local host     = require "host"
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"

local await = defer.await

local Session = basic.LineOnlyReceiver:extend("Session")

Session.delimiter = "\n"

function Session:connectionMade()
  self.turn = defer.DeferredLock()
end

local answer = defer.inlineCallbacks(function(self, ...)
  local ok, value = pcall(function(...) return await(host.run(...)) end, ...)
  if ok then return self:sendLine("+" .. tostring(value)) end
  self:sendLine("-" .. (value.message or tostring(value)):match("[^\n]*"))
end)

function Session:lineReceived(line)
  local words = {}
  for word in line:gmatch("%g+") do words[#words + 1] = word end
  if #words > 0 then self.turn:run(answer, self, table.unpack(words)) end
end

function start(port)
  local listening = reactor:listenTCP(port, protocol.Factory.forProtocol(Session), { interface = "127.0.0.1" })
  print(("listening on port %d"):format(listening:getHost().port))
  io.stdout:flush()
end
