-- SPDX-License-Identifier: MIT
-- websocket_bursts_spec.lua -- many messages at once, which a transport's bytes are read for where they lie, over TCP
-- and TLS.
local Factory   = require("twistlua.protocol").Factory
local async     = require("twistlua.test").async
local defer     = require "twistlua.defer"
local meeting   = require "system.tls.meeting"
local reactor   = require "twistlua.reactor"
local server    = require "twistlua.web.server"
local ssl       = require "twistlua.ssl"
local test      = require "twistlua.test"
local websocket = require "twistlua.web.websocket"

local await = defer.await

local Client = websocket.WebSocketProtocol:extend("Client")
function Client:init()
  self.queue = defer.DeferredQueue()
  self.lost = defer.Deferred()
end
function Client:messageReceived(data) self.queue:put(data) end
function Client:connectionLost(reason) self.lost:callback(reason.value) end

-- Notes what comes; `over` is a Deferred of the end.
local Server = websocket.WebSocketProtocol:extend("Server")
function Server:connectionMade()
  Server.last = self
  self.got = {}
  self.over = defer.Deferred()
end
function Server:connectionLost(reason) self.over:callback(reason.value) end

local trusting = ssl.optionsForClientTLS("localhost", { trustRoot = meeting.authority })

-- Run `f` with a client of a server whose protocol is of the class.
local function meet(secure, class, f)
  local site = server.Site(websocket.WebSocketResource(Factory.forProtocol(class)))
  local options = { interface = "127.0.0.1" }
  local port = secure and reactor:listenSSL(0, site, meeting.server:options(), options)
    or reactor:listenTCP(0, site, options)
  local url = ("%s://localhost:%d/"):format(secure and "wss" or "ws", port:getHost().port)
  f(await(websocket.connect(reactor, url, Factory.forProtocol(Client), { contextFactory = trusting })))
  await(port:stopListening())
end

local function close(client)
  client:sendClose()
  return await(client.lost)
end

-- Lengths on both sides of where frames are made and sent in another way.
local LENGTHS = { 0, 1, 125, 126, 1023, 1024, 1025, 8191, 8192, 8193, 70000, 3, 1100, 2, 131072, 7, 300000, 1 }

local function messages()
  local list = {}
  for round = 1, 5 do
    for _, length in ipairs(LENGTHS) do
      list[#list + 1] = (("%d.%d "):format(round, length)):rep(length // 4 + 1):sub(1, length)
    end
  end
  return list
end

for _, secure in ipairs { false, true } do
  describe("A burst of messages over " .. (secure and "TLS" or "TCP"), function()
    it("arrives in order, there and back, at a reader that is slow", async(function()
      local Echo = Server:extend("Echo")
      function Echo:messageReceived(data, isBinary) self:sendMessage(data, isBinary) end
      meet(secure, Echo, function(client)
        local list = messages()
        client:pauseProducing()
        for i, message in ipairs(list) do client:sendMessage(message, i % 2 == 0) end
        local waited = defer.Deferred()
        reactor:callLater(0.05, function() waited:callback(nil) end)
        await(waited)
        client:resumeProducing()
        for i = 1, #list do assert.is_true(await(client.queue:get()) == list[i], "message " .. i) end
        assert.is_true(close(client).wasClean)
      end)
    end))

    it("waits where its reader pauses in the middle", async(function()
      local Slow = Server:extend("Slow")
      function Slow:messageReceived(data)
        self.got[#self.got + 1] = data
        self:pauseProducing()
        reactor:callLater(0, self.resumeProducing, self)
      end
      meet(secure, Slow, function(client)
        local list = messages()
        for _, message in ipairs(list) do client:sendMessage(message, true) end
        assert.is_true(close(client).wasClean)
        assert.is_true(table.concat(list, "|") == table.concat(Server.last.got, "|"))
      end)
    end))

    it("may be aborted in the middle by its reader", async(function()
      local Brief = Server:extend("Brief")
      function Brief:messageReceived(data)
        self.got[#self.got + 1] = data
        if data == "3" then self.transport:abortConnection() end
      end
      meet(secure, Brief, function(client)
        for i = 1, 100 do client:sendMessage(tostring(i)) end
        assert.equal(1006, await(client.lost).code)
        assert.equal(1006, await(Server.last.over).code)
        assert.same({ "1", "2", "3" }, { table.unpack(Server.last.got, 1, 3) })
      end)
    end))

    it("ends at the message whose event raises, with 1011", async(function()
      local Broken = Server:extend("Broken")
      function Broken:messageReceived(data)
        self.got[#self.got + 1] = data
        if data == "3" then error("no three", 0) end
      end
      meet(secure, Broken, function(client)
        for i = 1, 100 do client:sendMessage(tostring(i)) end
        assert.equal(1011, await(client.lost).code)
        await(Server.last.over)
        assert.same({ "1", "2", "3" }, Server.last.got)
        assert.equal("no three", test.flushLoggedErrors()[1].value)
      end)
    end))

    it("comes as strings to a dataReceived of one's own", async(function()
      local Counting = Server:extend("Counting")
      Counting.bytes = 0
      function Counting:dataReceived(data)
        self.bytes = self.bytes + #data
        Server.dataReceived(self, data)
      end
      function Counting:messageReceived(data) self.got[#self.got + 1] = data end
      meet(secure, Counting, function(client)
        for _, length in ipairs { 10, 100, 70000 } do client:sendMessage(("x"):rep(length)) end
        assert.is_true(close(client).wasClean)
        assert.same({ 10, 100, 70000 }, { #Server.last.got[1], #Server.last.got[2], #Server.last.got[3] })
        assert.equal(16 + 106 + 70014 + 8, Server.last.bytes)
      end)
    end))
  end)
end
