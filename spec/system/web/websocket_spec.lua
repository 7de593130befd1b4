-- SPDX-License-Identifier: MIT
-- websocket_spec.lua -- WebSocket on real sockets, over TCP and TLS: with ourselves, Python's websockets and Node's ws.
local Factory   = require("twistlua.protocol").Factory
local async     = require("twistlua.test").async
local defer     = require "twistlua.defer"
local meeting   = require "system.tls.meeting"
local memory    = require "system.memory"
local reactor   = require "twistlua.reactor"
local resource  = require "twistlua.web.resource"
local server    = require "twistlua.web.server"
local ssl       = require "twistlua.ssl"
local utils     = require "twistlua.utils"
local websocket = require "twistlua.web.websocket"

local await = defer.await

local Echo = websocket.WebSocketProtocol:extend("Echo")
Echo.open = 0
function Echo.connectionMade() Echo.open = Echo.open + 1 end
function Echo:messageReceived(data, isBinary) self:sendMessage(data, isBinary) end
function Echo:connectionLost(reason)
  Echo.open = Echo.open - 1
  Echo.last = reason.value
end

-- Keeps what comes; `next()` is a Deferred of the next message, `lost` one of the end.
local Client = websocket.WebSocketProtocol:extend("Client")

function Client:init()
  self.queue = defer.DeferredQueue()
  self.lost = defer.Deferred()
end

function Client:messageReceived(data, isBinary) self.queue:put { data, isBinary } end
function Client:pongReceived(data) self.queue:put { "pong " .. data } end
function Client:connectionLost(reason) self.lost:callback(reason.value) end
function Client:next() return table.unpack(await(self.queue:get())) end

local clients = Factory.forProtocol(Client)

-- A site with an echo; its port object and number.
local function serve(given, contextFactory)
  local root = resource.Resource()
  root:putChild("echo", websocket.WebSocketResource(Factory.forProtocol(Echo), given))
  local site, options = server.Site(root), { interface = "127.0.0.1" }
  local port = contextFactory and reactor:listenSSL(0, site, contextFactory, options)
    or reactor:listenTCP(0, site, options)
  return port, port:getHost().port
end

local function connect(number, given)
  return await(websocket.connect(reactor, ("ws://127.0.0.1:%d/echo"):format(number), clients, given))
end

local function close(client)
  client:sendClose()
  return await(client.lost)
end

-- Run a program to its end; its output.
local function output(program, arguments, env)
  local out, err, code = table.unpack(await(utils.getProcessOutputAndValue(program, arguments, { env = env })))
  assert.same({ "", 0 }, { err, code }, out)
  return out
end

local PYTHON, NODE = "/usr/bin/python3", "/usr/bin/node"
local NODE_ENV = { NODE_PATH = "/usr/share/nodejs" }

describe("WebSocket on sockets", function()
  it("brings messages of any length there and back", async(function()
    local port, number = serve { compression = true }
    for _, compression in ipairs { false, true } do
      local client = connect(number, { compression = compression })
      assert.equal(compression, client.compressed)
      for _, length in ipairs { 0, 1, 125, 126, 65535, 65536, 3000000 } do
        local text = ("0123456789abcdef"):rep(length // 16 + 1):sub(1, length)
        client:sendMessage(text, length % 2 == 1)
        local data, isBinary = client:next()
        assert.is_true(data == text)
        assert.equal(length % 2 == 1, isBinary)
      end
      client:sendPing("still")
      assert.equal("pong still", client:next())
      assert.same({ true, 1000 }, { close(client).wasClean, Echo.last.code })
    end
    await(port:stopListening())
  end))

  it("answers many small messages in one piece", async(function()
    local port, number = serve()
    local client = connect(number)
    for i = 1, 2000 do client:sendMessage(tostring(i)) end
    for i = 1, 2000 do assert.equal(tostring(i), (client:next())) end
    close(client)
    await(port:stopListening())
  end))

  it("slows a sender down whose reader is slow", async(function()
    local port, number = serve()
    local client = connect(number)
    client:pauseProducing()
    for _ = 1, 50 do client:sendMessage(("x"):rep(100000), true) end
    local resumed = defer.Deferred()
    reactor:callLater(0.1, function() resumed:callback(nil) end)
    await(resumed)
    client:resumeProducing()
    for _ = 1, 50 do assert.equal(100000, #client:next()) end
    close(client)
    await(port:stopListening())
  end))

  it("tells both sides when one is gone", async(function()
    local port, number = serve()
    local client = connect(number)
    client.transport:abortConnection()
    local value = await(client.lost)
    assert.same({ false, 1006 }, { value.wasClean, value.code })
    await(port:stopListening())
  end))

  it("refuses what is no handshake, and goes on serving HTTP on the connection", async(function()
    local port, number = serve()
    local requests = [[GET /echo HTTP/1.1\r\nHost: x\r\n\r\nGET /no HTTP/1.0\r\n\r\n]]
    local out = output("/bin/sh", { "-c", ("printf '%s' | nc -N 127.0.0.1 %d"):format(requests, number) }, true)
    assert.matches("^HTTP/1.1 426 ", out)
    assert.matches("HTTP/1.%d 404 ", out)
    await(port:stopListening())
  end))

  it("leaves nothing behind after 2,000 connections", async(function()
    local port, number = serve()
    local function round(count)
      for _ = 1, count // 50 do
        local batch = {}
        for i = 1, 50 do batch[i] = websocket.connect(reactor, ("ws://127.0.0.1:%d/echo"):format(number), clients) end
        for i = 1, 50 do
          local client = await(batch[i])
          if i % 3 == 0 then
            client.transport:abortConnection()
          else
            client:sendMessage("x")
            client:next()
            client:sendClose()
          end
          batch[i] = client
        end
        for i = 1, 50 do await(batch[i].lost) end
      end
      return memory.level()
    end
    round(200)
    local before = round(200)
    local after = round(1800)
    assert.is_true(after - before < 1800 * 8, ("grew by %d bytes"):format(after - before))
    await(port:stopListening())
  end, { timeout = 60 }))
end)

describe("WebSocket on TLS", function()
  it("verifies the server", async(function()
    local port, number = serve(nil, meeting.server:options())
    local url = ("wss://localhost:%d/echo"):format(number)
    local trusting = ssl.optionsForClientTLS("localhost", { trustRoot = meeting.authority })
    local client = await(websocket.connect(reactor, url, clients, { contextFactory = trusting }))
    for _, length in ipairs { 5, 300000 } do
      client:sendMessage(("x"):rep(length))
      assert.equal(length, #client:next())
    end
    assert.is_true(close(client).wasClean)
    local failure = await(websocket.connect(reactor, url, clients):addErrback(function(f) return { f } end))
    assert.is_truthy(failure[1]:check("SSLError"), tostring(failure[1]))
    await(port:stopListening())
  end))
end)

describe("Python's websockets", function()
  it("talks to our server", async(function()
    local port, number = serve { compression = true, protocols = { "echo" } }
    local out = output(PYTHON, { "-c", [[
import asyncio, sys, websockets
async def main():
    for compression in (None, "deflate"):
        async with websockets.connect(f"ws://127.0.0.1:{sys.argv[1]}/echo", compression=compression,
                                      subprotocols=["other", "echo"], max_size=None) as ws:
            for message in ("", "grüße", b"\xff\x00", "x" * 70000, bytes(3000000), ["in ", "parts"]):
                await ws.send(message)
                back = await ws.recv()
                assert back == ("".join(message) if isinstance(message, list) else message)
            await (await ws.ping(b"p"))
            await ws.close(3001, "bye")
            print(ws.subprotocol, ws.extensions != [], ws.close_code, ws.close_reason)
asyncio.run(main())]], tostring(number) })
    assert.equal("echo False 3001 \necho True 3001 \n", (out:gsub("bye", "")))
    assert.same({ true, 3001, "bye" }, { Echo.last.wasClean, Echo.last.code, Echo.last.reason })
    await(port:stopListening())
  end))

  it("is told why our server closes", async(function()
    local port, number = serve { maxMessageSize = 100 }
    local out = output(PYTHON, { "-c", [[
import asyncio, sys, websockets
async def main():
    async with websockets.connect(f"ws://127.0.0.1:{sys.argv[1]}/echo") as ws:
        await ws.send("x" * 101)
        try: await ws.recv()
        except websockets.ConnectionClosed as e: print(e.code, e.reason)
asyncio.run(main())]], tostring(number) })
    assert.equal("1009 Message is too long\n", out)
    await(port:stopListening())
  end))
end)

-- Start a program that prints its port; its transport and the port.
local function start(program, arguments, env)
  local protocols, started, ended = require "twistlua.protocol", defer.Deferred(), defer.Deferred()
  local Peer = protocols.ProcessProtocol:extend("Peer")
  function Peer.outReceived(_, data)
    if started then started:callback(data:match("%d+")) end
    started = nil
  end
  function Peer.errReceived(_, data) io.stderr:write(data) end
  function Peer.processEnded() ended:callback(nil) end
  local waiting = started
  local process = reactor:spawnProcess(Peer(), program, { program, table.unpack(arguments) }, { env = env })
  return math.tointeger(tonumber(await(waiting))), function()
    process:signalProcess("KILL")
    await(ended)
  end
end

local PEERS = {
  ["Python's websockets"] = { PYTHON, { "-c", [[
import asyncio, websockets
async def echo(ws):
    async for message in ws: await ws.send(message)
    print(ws.close_code, flush=True)
async def main():
    async with websockets.serve(echo, "127.0.0.1", 0, max_size=None, subprotocols=["echo"]) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()
asyncio.run(main())]] } },
  ["Node's ws"] = { NODE, { "-e", [[
const { WebSocketServer } = require("ws");
const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: { threshold: 0 },
  handleProtocols: () => "echo" }, () => console.log(server.address().port));
server.on("connection", ws => ws.on("message", (data, binary) => ws.send(data, { binary })));]] }, NODE_ENV },
}

for name, peer in pairs(PEERS) do
  describe(name, function()
    it("talks to our client", async(function()
      local number, stop = start(table.unpack(peer, 1, 3))
      local frugal = { clientNoContextTakeover = true, serverNoContextTakeover = true, clientMaxWindowBits = 10,
                       serverMaxWindowBits = 10, threshold = 0 }
      for _, compression in ipairs { false, true, frugal } do
        local client = connect(number, { compression = compression, protocols = { "echo" } })
        assert.equal("echo", client.subprotocol)
        assert.equal(compression ~= false, client.compressed)
        for _, message in ipairs { "", "grüße", ("x"):rep(70000), ("0123456789"):rep(200000), "again", "again" } do
          for _, isBinary in ipairs { false, true } do
            client:sendMessage(message, isBinary)
            local data, wasBinary = client:next()
            assert.is_true(data == message)
            assert.equal(isBinary, wasBinary)
          end
        end
        client:sendPing("p")
        assert.equal("pong p", client:next())
        assert.is_true(close(client).wasClean)
      end
      stop()
    end, { timeout = 30 }))
  end)
end

describe("Node's ws", function()
  it("talks to our server", async(function()
    local port, number = serve { compression = { threshold = 0 } }
    local out = output(NODE, { "-e", [[
const { WebSocket } = require("ws");
const messages = ["", "grüße", "x".repeat(70000), Buffer.alloc(3000000, 7), "again", "again"];
async function run(perMessageDeflate) {
  const ws = new WebSocket(`ws://127.0.0.1:${process.argv[1]}/echo`, { perMessageDeflate });
  await new Promise(done => ws.on("open", done));
  for (const message of messages) {
    ws.send(message);
    const [data, binary] = await new Promise(done => ws.once("message", (...all) => done(all)));
    if (Buffer.compare(data, Buffer.from(message)) || binary !== (typeof message !== "string")) throw "differs";
  }
  ws.send("a", { fin: false }); ws.ping("between"); ws.send("b", { fin: true });
  const [joined] = await new Promise(done => ws.once("message", (...all) => done(all)));
  ws.close(4000, "done");
  const [code] = await new Promise(done => ws.on("close", (...all) => done(all)));
  console.log(joined.toString(), ws.extensions, code);
}
run(false).then(() => run({ threshold: 0 })).then(() => run({ serverNoContextTakeover: true,
  clientNoContextTakeover: true, serverMaxWindowBits: 10, clientMaxWindowBits: 9, threshold: 0 }));]],
      tostring(number) }, NODE_ENV)
    assert.equal("ab  4000\nab permessage-deflate 4000\nab permessage-deflate 4000\n", out)
    assert.same({ true, 4000, "done" }, { Echo.last.wasClean, Echo.last.code, Echo.last.reason })
    await(port:stopListening())
  end))
end)
