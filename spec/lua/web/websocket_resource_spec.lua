-- SPDX-License-Identifier: MIT
-- websocket_resource_spec.lua -- WebSocketResource in a Site on a transport in memory: whom it lets in.
local Factory   = require("twistlua.protocol").Factory
local Served    = require "lua.web.served"
local errors    = require "twistlua.web.error"
local resource  = require "twistlua.web.resource"
local websocket = require "twistlua.web.websocket"

local Recorder = websocket.WebSocketProtocol:extend("Recorder")
function Recorder:init() self.messages = {} end
function Recorder:messageReceived(data) table.insert(self.messages, data) end
function Recorder:connectionLost(reason) self.reason = reason end

local KEY = "dGhlIHNhbXBsZSBub25jZQ=="

local REQUEST = {
  ["Host"] = "example.org", ["Upgrade"] = "websocket", ["Connection"] = "keep-alive, Upgrade",
  ["Sec-WebSocket-Key"] = KEY, ["Sec-WebSocket-Version"] = "13",
}

local function serve(given, class)
  local root, made = resource.Resource(), {}
  local factory = Factory()
  function factory.buildProtocol()
    local protocol = (class or Recorder)()
    made[#made + 1] = protocol
    return protocol
  end
  given = given or {}
  local served
  served = Served(root)
  given.reactor = served.clock
  root:putChild("chat", websocket.WebSocketResource(factory, given))
  served.made = made
  return served
end

-- Ask with changed fields (false for none, a table for several); the status, head and body.
local function ask(served, changes, start, rest)
  local fields, lines = {}, { start or "GET /chat HTTP/1.1" }
  for name, value in pairs(REQUEST) do fields[name] = value end
  for name, value in pairs(changes or {}) do fields[name] = value end
  for name, values in pairs(fields) do
    for _, value in ipairs(type(values) == "table" and values or { values or nil }) do
      lines[#lines + 1] = name .. ": " .. value
    end
  end
  local answer = served:send(table.concat(lines, "\r\n") .. "\r\n\r\n" .. (rest or ""))
  local head, body = answer:match("^(.-\r\n)\r\n(.*)$")
  return math.tointeger(tonumber(answer:match("^HTTP/1.1 (%d+)"))), head, body
end

local function field(head, name)
  return head:lower():match("\r\n" .. name:lower():gsub("%-", "%%-") .. ": ([^\r]*)\r\n")
end

describe("WebSocketResource", function()
  it("agrees as RFC 6455 says, and speaks from then on", function()
    local served = serve()
    local status, head, rest = ask(served, nil, nil, "\x81\x85\0\0\0\0Hello")
    assert.equal(101, status)
    assert.equal("s3pplmbitxaq9kygzzhzrbk+xoo=", field(head, "Sec-WebSocket-Accept"))
    assert.equal("websocket", field(head, "Upgrade"))
    assert.equal("upgrade", field(head, "Connection"))
    assert.is_nil(field(head, "Sec-WebSocket-Protocol"))
    assert.is_nil(field(head, "Sec-WebSocket-Extensions"))
    assert.is_nil(field(head, "Content-Length"))
    assert.equal("", rest)
    assert.same({ "Hello" }, served.made[1].messages)
    assert.equal("\x8a\x00", served:send("\x89\x80\0\0\0\0"))
    served.made[1]:sendMessage("welcome")
    assert.equal("\x81\x07welcome", served:take())
    served:lose()
    assert.equal(1006, served.made[1].reason.value.code)
    assert.same({}, served.clock:getDelayedCalls())
  end)

  it("chooses the first of its subprotocols that the client speaks", function()
    local given = { protocols = { "b", "a" } }
    local served = serve(given)
    local _, head = ask(served, { ["Sec-WebSocket-Protocol"] = "a, x, b" })
    assert.equal("b", field(head, "Sec-WebSocket-Protocol"))
    assert.equal("b", served.made[1].subprotocol)
    served:lose()
    served = serve(given)
    _, head = ask(served, { ["Sec-WebSocket-Protocol"] = { "x", "a" } })
    assert.equal("a", field(head, "Sec-WebSocket-Protocol"))
    served:lose()
    served = serve(given)
    _, head = ask(served, { ["Sec-WebSocket-Protocol"] = "x" })
    assert.is_nil(field(head, "Sec-WebSocket-Protocol"))
    served:lose()
  end)

  it("agrees on compression if it is set to", function()
    local served = serve { compression = true }
    local _, head = ask(served, { ["Sec-WebSocket-Extensions"] = "permessage-deflate; client_max_window_bits" })
    assert.equal("permessage-deflate", field(head, "Sec-WebSocket-Extensions"))
    assert.is_true(served.made[1].compressed)
    served:send("\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\x00")
    assert.same({ "Hello" }, served.made[1].messages)
    served:lose()
  end)

  -- what is wrong, the status, changes, the request line, a field that the answer must have
  local WRONG = {
    { "HEAD", 405, nil, "HEAD /chat HTTP/1.1", "Allow" },
    { "POST", 405, { ["Content-Length"] = "0" }, "POST /chat HTTP/1.1", "Allow" },
    { "HTTP/1.0", 400, nil, "GET /chat HTTP/1.0" },
    { "no Upgrade", 426, { Upgrade = false }, nil, "Upgrade" },
    { "another Upgrade", 426, { Upgrade = "h2c" } },
    { "no Connection: Upgrade", 426, { Connection = "keep-alive" } },
    { "version 8", 426, { ["Sec-WebSocket-Version"] = "8" }, nil, "Sec-WebSocket-Version" },
    { "no version", 426, { ["Sec-WebSocket-Version"] = false } },
    { "two versions", 426, { ["Sec-WebSocket-Version"] = { "13", "13" } } },
    { "no key", 400, { ["Sec-WebSocket-Key"] = false } },
    { "two keys", 400, { ["Sec-WebSocket-Key"] = { KEY, KEY } } },
    { "a short key", 400, { ["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZQ==" } },
    { "a key that is not base64", 400, { ["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=*" } },
    { "a body", 400, { ["Content-Length"] = "1" }, nil, nil, "x" },
    { "an origin of another host", 403, { Origin = "https://evil.example" } },
    { "an origin of another port", 403, { Origin = "http://example.org:8080" } },
    { "the origin of a sandbox", 403, { Origin = "null" } },
  }

  for _, row in ipairs(WRONG) do
    it(("refuses %s by %d"):format(row[1], row[2]), function()
      local served = serve()
      local status, head = ask(served, row[3], row[4], row[6])
      assert.equal(row[2], status)
      assert.same({}, served.made)
      if row[5] then assert.is_truthy(field(head, row[5])) end
      served:lose()
    end)
  end

  it("takes the origins of its host, of a list, by a function, or any", function()
    local function statusOf(origins, origin, host)
      local served = serve { origins = origins }
      local status = ask(served, { Origin = origin, Host = host })
      served:lose()
      return status
    end
    assert.equal(101, statusOf(nil, "https://example.org"))
    assert.equal(101, statusOf(nil, "http://EXAMPLE.org:80"))
    assert.equal(101, statusOf(nil, "http://example.org:8080", "example.org:8080"))
    assert.equal(101, statusOf(nil, "http://[::1]:8080", "[::1]:8080"))
    assert.equal(101, statusOf({ "https://a.example", "https://b.example" }, "https://B.example"))
    assert.equal(403, statusOf({ "https://a.example" }, "https://example.org"))
    assert.equal(101, statusOf(true, "null"))
    assert.equal(101, statusOf(function(origin) return origin == "x" end, "x"))
    assert.equal(403, statusOf(function() return false end, "https://example.org"))
  end)

  it("shows the protocol what was asked, which may refuse or set fields", function()
    local Members = Recorder:extend("Members")
    function Members:requestReceived(request)
      self.room = request.args.room[1]
      if not request:getHeader("authorization") then error(errors.ForbiddenResource("members only"), 0) end
      request:setHeader("Set-Cookie", "seen=1")
    end
    local served = serve(nil, Members)
    local status, head = ask(served, { Authorization = "Basic eDp5" }, "GET /chat?room=7 HTTP/1.1")
    assert.equal(101, status)
    assert.equal("seen=1", field(head, "Set-Cookie"))
    assert.equal("7", served.made[1].room)
    served:lose()
  end)

  it("refuses where the factory builds nothing", function()
    local root = resource.Resource()
    local served = Served(root)
    local factory = Factory()
    function factory.buildProtocol() end
    root:putChild("chat", websocket.WebSocketResource(factory, { reactor = served.clock }))
    assert.equal(403, (ask(served)))
    served:lose()
  end)

  it("checks its options", function()
    local factory = Factory.forProtocol(Recorder)
    local function fails(pattern, given)
      assert.error_matches(function() websocket.WebSocketResource(factory, given) end, pattern)
    end
    fails("unknown option 'origin'", { origin = "x" })
    fails("pongTimeout must be at least", { pongTimeout = -1 })
    fails("'a,b' cannot name", { protocols = { "a,b" } })
  end)

  it("is the other side of websocket.connect", function()
    local served = serve { compression = true, protocols = { "p" } }
    local opened
    local endpoint = { connect = function(_, factory)
      local protocol = factory:buildProtocol(nil)
      local transport = require("twistlua.test").StringTransport()
      protocol:makeConnection(transport)
      protocol:dataReceived(served:send(transport:value()))
      return require("twistlua.defer").succeed(protocol)
    end }
    websocket.connect(served.clock, "ws://example.org/chat", Factory.forProtocol(Recorder),
      { endpoint = endpoint, compression = true, protocols = { "o", "p" } }):addCallback(function(p) opened = p end)
    assert.equal("p", opened.subprotocol)
    assert.is_true(opened.compressed)
    opened.transport:clear()
    opened:sendMessage(("long "):rep(100))
    served:send(opened.transport:value())
    assert.same({ ("long "):rep(100) }, served.made[1].messages)
    served:lose()
    opened:connectionLost(served.made[1].reason)
  end)
end)
