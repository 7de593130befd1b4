-- SPDX-License-Identifier: MIT
-- websocket_client_spec.lua -- websocket.connect: the request that it writes, and what it makes of answers. The other
-- side is played by hand.
local Factory   = require("twistlua.protocol").Factory
local core      = require "twistlua.core"
local deflate   = require "twistlua.web.websocket.deflate"
local defer     = require "twistlua.defer"
local errors    = require "twistlua.error"
local task      = require "twistlua.task"
local test      = require "twistlua.test"
local websocket = require "twistlua.web.websocket"

local Recorder = websocket.WebSocketProtocol:extend("Recorder")
function Recorder:init() self.messages = {} end
function Recorder:messageReceived(data) table.insert(self.messages, data) end
function Recorder:connectionLost(reason) self.reason = reason end

-- An endpoint whose connection is a StringTransport.
local function endpoint()
  local made = { transport = test.StringTransportWithDisconnection() }
  function made:connect(factory)
    self.result = defer.Deferred(function() self.cancelled = true end)
    self.factory = factory
    return self.result
  end
  function made:open()
    local protocol = self.factory:buildProtocol(nil)
    self.transport.protocol = protocol
    protocol:makeConnection(self.transport)
    self.result:callback(protocol)
    self.protocol = protocol
    return self.transport:value()
  end
  return made
end

local function begin(given, url)
  local at, clock = endpoint(), task.Clock()
  given = given or {}
  given.endpoint = at
  local opening = websocket.connect(clock, url or "ws://example.org/chat", Factory.forProtocol(Recorder), given)
  return opening, at, clock
end

-- The answer of a server that agrees, with changes: a header's lines, or false for none.
local function answer(request, changes, status)
  local fields = {
    ["Upgrade"] = "websocket", ["Connection"] = "Upgrade",
    ["Sec-WebSocket-Accept"] = core.websocket.accept(request:match("Sec%-WebSocket%-Key: (%S+)")),
  }
  for name, value in pairs(changes or {}) do fields[name] = value end
  local lines = { status or "HTTP/1.1 101 Switching Protocols" }
  for name, values in pairs(fields) do
    for _, value in ipairs(type(values) == "table" and values or { values or nil }) do
      lines[#lines + 1] = name .. ": " .. value
    end
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

describe("websocket.connect", function()
  it("asks as RFC 6455 says", function()
    local opening, at = begin({ protocols = { "chat", "superchat" }, headers = { Origin = "https://example.org",
      Cookie = { "a=1", "b=2" } } }, "ws://example.org:8080/chat?room=1")
    local request = at:open()
    assert.equal("GET /chat?room=1 HTTP/1.1\r\nHost: example.org:8080\r\n", request:match("^(.-\r\n.-\r\n)"))
    for _, line in ipairs { "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: chat, superchat", "Origin: https://example.org", "Cookie: a=1", "Cookie: b=2" } do
      assert.is_truthy(request:find("\r\n" .. line .. "\r\n", 1, true), line)
    end
    assert.is_nil(request:find("Extensions", 1, true))
    local head, next = core.http1.request(request)
    assert.equal(#request + 1, next)
    assert.is_string(core.websocket.accept(head:get("sec-websocket-key")))
    test.assertNoResult(opening)
    at.protocol:dataReceived(answer(request, { ["Sec-WebSocket-Protocol"] = "superchat" }))
    local protocol = test.successResultOf(opening)
    assert.equal("superchat", protocol.subprotocol)
    assert.is_false(protocol.compressed)
    protocol.transport:clear()
    protocol:sendMessage("hello")
    assert.equal("\x81\x85", protocol.transport:value():sub(1, 2))
  end)

  it("takes an answer cut anywhere, and messages behind it", function()
    local _, first = begin()
    local length = #answer(first:open())
    for cut = 1, length do
      local opening, at = begin()
      local bytes = answer(at:open()) .. "\x81\x05Hello"
      at.protocol:dataReceived(bytes:sub(1, cut))
      at.protocol:dataReceived(bytes:sub(cut + 1))
      assert.same({ "Hello" }, test.successResultOf(opening).messages)
    end
  end)

  it("overlooks interim answers", function()
    local opening, at = begin()
    at.protocol = nil
    local request = at:open()
    at.protocol:dataReceived("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" .. answer(request))
    assert.is_truthy(test.successResultOf(opening))
  end)

  local WRONG = {
    { "it answered 200 OK", nil, "HTTP/1.1 200 OK" },
    { "it answered 302 Found", { Location = "ws://other.example/" }, "HTTP/1.1 302 Found" },
    { "it speaks HTTP/1.0", nil, "HTTP/1.0 101 Switching Protocols" },
    { "it upgrades to something else", { Upgrade = "h2c" } },
    { "it upgrades to something else", { Upgrade = false } },
    { "its Connection header does not say Upgrade", { Connection = "keep-alive" } },
    { "its Sec-WebSocket-Accept is not for our key", { ["Sec-WebSocket-Accept"] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" } },
    { "its Sec-WebSocket-Accept is not for our key", { ["Sec-WebSocket-Accept"] = false } },
    { "a subprotocol that was not offered: mail", { ["Sec-WebSocket-Protocol"] = "mail" } },
    { "a subprotocol that was not offered: chat, chat", { ["Sec-WebSocket-Protocol"] = { "chat", "chat" } } },
    { "an extension, or parameters of one", { ["Sec-WebSocket-Extensions"] = "permessage-deflate" } },
    { "not HTTP", nil, "SSH-2.0-OpenSSH" },
  }

  for i, row in ipairs(WRONG) do
    it(("fails where %s (%d)"):format(row[1], i), function()
      local opening, at = begin { protocols = { "chat" } }
      local request = at:open()
      at.protocol:dataReceived(answer(request, row[2], row[3]))
      local failure = test.failureResultOf(opening, websocket.WebSocketHandshakeError)
      assert.is_truthy(failure.value.message:find(row[1], 1, true), failure.value.message)
      assert.is_truthy(failure:check(errors.ConnectError))
      assert.is_true(at.transport.aborting)
      assert.is_nil(at.protocol.reason)
    end)
  end

  it("tells the status and headers of a refusal", function()
    local opening, at = begin()
    at.protocol = at:open() and at.protocol
    at.protocol:dataReceived("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
    local value = test.failureResultOf(opening).value
    assert.equal(401, value.status)
    assert.same({ "WWW-Authenticate", "Basic", "Content-Length", "0" }, value.headers)
  end)

  it("bounds the head of an answer", function()
    local opening, at = begin()
    at:open()
    local fill = "X-Fill: " .. ("x"):rep(1000) .. "\r\n"
    at.protocol:dataReceived("HTTP/1.1 101 Switching Protocols\r\n" .. fill:rep(20))
    test.failureResultOf(opening, websocket.WebSocketHandshakeError)
  end)

  it("fails when the connection is lost before, with the reason", function()
    local opening, at = begin()
    at:open()
    at.transport:loseConnection()
    test.failureResultOf(opening, errors.ConnectionDone)
    assert.is_nil(at.protocol.reason)
  end)

  it("fails as the endpoint does", function()
    local opening, at = begin()
    at.result:errback(errors.ConnectionRefusedError())
    test.failureResultOf(opening, errors.ConnectionRefusedError)
  end)

  it("fails when the time is up, while connecting or later", function()
    local opening, at, clock = begin { timeout = 5 }
    clock:advance(5)
    test.failureResultOf(opening, errors.TimeoutError)
    assert.is_true(at.cancelled)
    opening, at, clock = begin { timeout = 5 }
    at:open()
    clock:advance(5)
    test.failureResultOf(opening, errors.TimeoutError)
    assert.is_true(at.transport.aborting)
  end)

  it("can be cancelled, while connecting or later", function()
    local opening, at, clock = begin()
    opening:cancel()
    test.failureResultOf(opening, errors.ConnectingCancelledError)
    assert.is_true(at.cancelled)
    opening, at = begin()
    at:open()
    opening:cancel()
    test.failureResultOf(opening, errors.ConnectingCancelledError)
    assert.is_true(at.transport.aborting)
    assert.same({}, clock:getDelayedCalls())
  end)

  it("asks for HostnameEndpoint by itself, at the scheme's port", function()
    local reactor = test.MemoryReactor()
    local opening = websocket.connect(reactor, "ws://192.0.2.1/", Factory.forProtocol(Recorder))
    assert.same({ "192.0.2.1", 80 }, { reactor.tcpClients[1].host, reactor.tcpClients[1].port })
    opening:cancel()
    test.failureResultOf(opening)
    opening = websocket.connect(reactor, "wss://[2001:db8::1]", Factory.forProtocol(Recorder))
    assert.same({ "2001:db8::1", 443 }, { reactor.tcpClients[2].host, reactor.tcpClients[2].port })
    opening:cancel()
    test.failureResultOf(opening)
  end)

  it("checks its arguments", function()
    local factory = Factory.forProtocol(Recorder)
    local function fails(pattern, url, given)
      assert.error_matches(function() websocket.connect(task.Clock(), url, factory, given) end, pattern)
    end
    fails("is no ws:// or wss:// URL", "http://example.org/")
    fails("is no ws:// or wss:// URL", "example.org")
    fails("has a fragment", "ws://example.org/#x")
    fails("has a user's name", "ws://me@example.org/")
    fails("no valid host and port", "ws://example.org:99999/")
    fails("no valid host and port", "ws:///x")
    fails("percent%-encoded", "ws://example.org/a b")
    fails("unknown option 'protocol'", "ws://example.org/", { protocol = "x" })
    fails("'a b' cannot name a subprotocol", "ws://example.org/", { protocols = { "a b" } })
    fails("header 'Host' is made by connect", "ws://example.org/", { headers = { Host = "x" } })
    fails("value of header 'X' cannot be sent", "ws://example.org/", { headers = { X = "a\r\nb" } })
    fails("maxMessageSize must be at least 0", "ws://example.org/", { maxMessageSize = -1 })
    fails("level must be from 1 to 9", "ws://example.org/", { compression = { level = 10 } })
    fails("unknown option 'size'", "ws://example.org/", { compression = { size = 10 } })
  end)
end)

describe("permessage-deflate", function()
  local function chosen(given, ...)
    local agreed, header = deflate.choose(deflate.configure("spec", given), { ... })
    return header, agreed
  end

  it("is chosen by a server among offers", function()
    assert.equal("permessage-deflate", (chosen(true, "permessage-deflate")))
    assert.equal("permessage-deflate", (chosen(true, "permessage-deflate; client_max_window_bits")))
    assert.equal("permessage-deflate; server_no_context_takeover; client_no_context_takeover",
      (chosen(true, "permessage-deflate; client_no_context_takeover; server_no_context_takeover")))
    assert.equal("permessage-deflate; server_max_window_bits=10; client_max_window_bits=9",
      (chosen(true, 'permessage-deflate; server_max_window_bits="10"; client_max_window_bits=9')))
    assert.equal("permessage-deflate; server_no_context_takeover; server_max_window_bits=12",
      (chosen({ serverNoContextTakeover = true, serverMaxWindowBits = 12, clientMaxWindowBits = 9 },
        "permessage-deflate")))
    assert.equal("permessage-deflate; client_max_window_bits=9",
      (chosen({ clientMaxWindowBits = 9 }, "permessage-deflate; client_max_window_bits")))
    -- the first that it can
    assert.equal("permessage-deflate",
      (chosen(true, "permessage-deflate; server_max_window_bits=8, permessage-deflate")))
    assert.equal("permessage-deflate", (chosen(true, "x-webkit-deflate-frame", "permessage-deflate")))
  end)

  it("is not chosen where the offer is wrong, or nobody wants it", function()
    assert.is_nil(chosen(false, "permessage-deflate"))
    assert.is_nil(chosen(true))
    for _, bad in ipairs { "permessage-deflate; unknown", "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=16", "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; client_max_window_bits=7", "permessage-deflate=1", "permessage-deflate; =1",
        "permessage-deflate;", "bzip" } do
      assert.is_nil(chosen(true, bad), bad)
    end
  end)

  it("is offered by a client, and the answer is looked at", function()
    local config = deflate.configure("spec", true)
    assert.equal("permessage-deflate; client_max_window_bits", deflate.offer(config))
    assert.is_false(deflate.confirm(config, {}))
    assert.same({ serverTakeover = true, clientTakeover = true, serverBits = 15, clientBits = 15 },
      deflate.confirm(config, { "permessage-deflate" }))
    assert.same({ serverTakeover = false, clientTakeover = false, serverBits = 9, clientBits = 8 },
      deflate.confirm(config, { "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
        .. "server_max_window_bits=9; client_max_window_bits=8" }))
    for _, bad in ipairs { "permessage-deflate, permessage-deflate", "other", "permessage-deflate; x",
        "permessage-deflate; client_max_window_bits", "permessage-deflate; server_max_window_bits=16", '"' } do
      assert.is_nil(deflate.confirm(config, { bad }), bad)
    end
    config = deflate.configure("spec", { serverNoContextTakeover = true, serverMaxWindowBits = 10,
      clientNoContextTakeover = true, clientMaxWindowBits = 11 })
    assert.equal("permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
      .. "server_max_window_bits=10; client_max_window_bits=11", deflate.offer(config))
    assert.is_nil(deflate.confirm(config, { "permessage-deflate" }))
    assert.is_nil(deflate.confirm(config, { "permessage-deflate; server_no_context_takeover" }))
    assert.is_nil(deflate.confirm(config,
      { "permessage-deflate; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits=12" }))
    assert.is_truthy(deflate.confirm(config,
      { "permessage-deflate; server_no_context_takeover; server_max_window_bits=10" }))
  end)
end)
