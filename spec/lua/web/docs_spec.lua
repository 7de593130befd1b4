-- What docs/web.md shows is run, on a reactor in memory, and asked.
local Clock    = require("twistlua.task").Clock
local defer    = require "twistlua.defer"
local Served   = require "lua.web.served"
local json     = require "twistlua.web.json"
local route    = require "twistlua.web.route"
local server   = require "twistlua.web.server"
local test     = require "twistlua.test"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

-- These hold the reactor that they were loaded with, which is not to be one in memory.
require "twistlua.file"
require "twistlua.threads"

local page = read("docs/web.md")

-- What the site that a snippet serves on `reactor` answers.
local function ask(reactor, text)
  local listening = reactor.tcpServers[#reactor.tcpServers]
  local transport = test.StringTransportWithDisconnection()
  local channel = listening.factory:buildProtocol()
  transport.protocol = channel
  channel:makeConnection(transport)
  channel:dataReceived((text:gsub("\r?\n", "\r\n")))
  local status, body, head = Served.parse(transport:value())
  transport:loseConnection()
  return status, body, head
end

local function get(reactor, path, fields)
  return ask(reactor, ("GET %s HTTP/1.1\nHost: x\n%s\n"):format(path, fields or ""))
end

local function send(reactor, method, path, fields, body)
  return ask(reactor, ("%s %s HTTP/1.1\nHost: x\n%sContent-Length: %d\n\n%s"):format(method, path, fields, #body, body))
end

-- Answer what was asked on the connection that a client has made.
local function answer(reactor, index, status, body)
  local transport = test.StringTransportWithDisconnection()
  local connection = reactor.tcpClients[index].factory:buildProtocol(transport:getPeer())
  transport.protocol = connection
  connection:makeConnection(transport)
  connection:dataReceived(("HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s"):format(status, #body, body))
  return transport:value()
end

-- By section, what is to be seen of each piece of code in it.
local EXPECTED = {
  Hello = {
    function(reactor)
      assert.equal(8080, reactor.tcpServers[1].port)
      assert.equal("<p>Hello you &lt;b></p>", (select(2, get(reactor, "/hello/you%20%3Cb%3E"))))
    end,
    function(reactor)
      get(reactor, "/counter")
      assert.equal("I am request #2\n", (select(2, get(reactor, "/counter"))))
    end,
  },
  Routes = {
    function(reactor)
      assert.same({ "Shall I compare thee" }, json.decode((select(2, get(reactor, "/poems")))))
      local _, text, head = get(reactor, "/poems/1")
      assert.same({ "Shall I compare thee", "no-store" }, { text, head:match("cache%-control: ([^\r]*)") })
      assert.same({ 404, "no such poem\n" }, { table.unpack({ get(reactor, "/poems/2") }, 1, 2) })
      assert.equal(404, (get(reactor, "/poems/x")))
      local fields = "Authorization: Basic YTpzZXNhbWU=\nContent-Type: application/json\n"
      assert.equal(401, (send(reactor, "POST", "/poems", "", '"x"')))
      assert.same({ 201, '{"id":2}' }, { table.unpack({ send(reactor, "POST", "/poems", fields, '"x"') }, 1, 2) })
      assert.equal(422, (send(reactor, "POST", "/poems", fields, "7")))
      local status, message = send(reactor, "POST", "/poems", fields, '"')
      assert.equal(400, status)
      assert.matches("at line 1, column %d+", message)
    end,
  },
  Files = {
    function(reactor)
      local status, _, head = get(reactor, "/docs/web.md")
      assert.same({ 200, "text/markdown; charset=utf-8" }, { status, head:match("content%-type: ([^\r]*)") })
      assert.equal(200, (get(reactor, "/licence")))
    end,
  },
  ["Forms and uploads"] = {
    function(reactor)
      local fields = "Content-Type: application/x-www-form-urlencoded\n"
      assert.equal("Thank you, Ann", (select(2, send(reactor, "POST", "/contact", fields, "name=Ann"))))
      assert.equal(1 << 30, reactor.tcpServers[1].factory.bodyLimit)
    end,
    function(reactor)
      local form = '--B\r\nContent-Disposition: form-data; name="of"\r\n\r\nme\r\n--B\r\n' ..
        'Content-Disposition: form-data; name="p"; filename="me.png"\r\nContent-Type: image/png\r\n\r\n1234\r\n--B--'
      assert.equal("of = me\nme.png: 4 bytes of image/png",
        (select(2, send(reactor, "POST", "/photos", "Content-Type: multipart/form-data; boundary=B\n", form))))
    end,
  },
  Sessions = {
    function(reactor)
      local _, text, head = get(reactor, "/")
      local cookie = head:match("set%-cookie: (twisted_session=%x+)")
      assert.equal("visit 1", text)
      assert.is_string(cookie)
      _, text = get(reactor, "/", "Cookie: " .. cookie:gsub("twisted_session", "TWISTED_SESSION") .. "\n")
      assert.equal("visit 2", text)
      reactor.tcpServers[1].factory:stopFactory()
    end,
  },
  ["WebSocket and events"] = {
    function(reactor)
      local status, _, head = get(reactor, "/echo", "Upgrade: websocket\nConnection: Upgrade\n"
        .. "Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n")
      assert.equal(101, status)
      assert.matches("sec%-websocket%-accept: s3pplmbitxaq9kygzzhzrbk%+xoo=", head)
      local _, text
      _, text, head = get(reactor, "/ticks")
      assert.matches("content%-type: text/event%-stream", head)
      assert.matches("event: tick\ndata: 1\n\n", text)
    end,
  },
  TLS = {
    function(reactor)
      local status, _, head = get(reactor, "/a?b")
      assert.same({ 308, "https://x/a?b" }, { status, head:match("location: ([^\r]*)") })
    end,
  },
  ["The client"] = {
    function(reactor, copy)
      local copied
      defer.run(copy, "http://127.0.0.1:81/poems", "http://127.0.0.1:82/")
        :addCallback(function(result) copied = result end)
      local asked = answer(reactor, 1, "200 OK", '["a"]')
      assert.matches("^GET /poems%?sort=title HTTP/1.1\r\n", asked)
      asked = answer(reactor, 2, "201 Created", "")
      assert.matches("^POST / HTTP/1.1\r\n", asked)
      assert.matches("Authorization: Basic bWU6c2VzYW1l\r\n", asked, 1, true)
      assert.matches('\r\n\r\n["a"]', asked, 1, true)
      assert.equal(201, copied.code)
    end,
  },
  Proxies = {
    function(reactor)
      assert.matches("poems", (select(2, get(reactor, "/"))))
      local listening = reactor.tcpServers[1]
      local transport = test.StringTransportWithDisconnection()
      transport.protocol = listening.factory:buildProtocol()
      transport.protocol:makeConnection(transport)
      transport.protocol:dataReceived("GET /api/poems?x HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: me\r\n\r\n")
      assert.same({ "127.0.0.1", 9000 }, { reactor.tcpClients[1].host, reactor.tcpClients[1].port })
      local asked = answer(reactor, 1, "200 OK", "a poem")
      assert.matches("^GET /v1/poems%?x HTTP/1.1\r\nHost: 127.0.0.1:9000\r\n", asked)
      local from = "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: a\r\nX-Forwarded-Proto: http\r\n"
      assert.matches(from, asked, 1, true)
      assert.matches("\r\n\r\na poem", transport:value(), 1, true)
      transport:loseConnection()
    end,
    function(reactor)
      assert.same({ 3128, "127.0.0.1" }, { reactor.tcpServers[1].port, reactor.tcpServers[1].interface })
      local factory = reactor.tcpServers[1].factory
      assert.same({ [443] = true }, factory.connectPorts)
      local from = { getClientIP = function() return "127.0.0.1" end }
      assert.same({ true, false }, { factory.allow("a", 443, from), factory.allow("169.254.169.254", 443, from) })
    end,
  },
  Testing = { function() end },   -- asserts by itself
}

local function run(code, check, name)
  local reactor = test.MemoryReactor()
  local real = package.loaded["twistlua.reactor"]
  package.loaded["twistlua.reactor"] = reactor
  local ok, problem = pcall(function()
    local result = assert(load(code, "=web.md, " .. name))()
    check(reactor, result)
  end)
  package.loaded["twistlua.reactor"] = real
  if not ok then error(problem, 0) end
end

describe("docs/web.md", function()
  it("shows code that runs", function()
    local count = 0
    for title, checks in pairs(EXPECTED) do
      local text = page:match("\n## " .. title .. "\n(.*)")
      text = (text:match("^(.-)\n## ") or text) .. "\n"
      local index = 0
      for code in text:gmatch("\n```lua\n(.-)\n```\n") do
        index = index + 1
        run(code, assert(checks[index], title .. ": a piece of code that is not looked at"), title)
      end
      assert.equal(#checks, index, title)
      count = count + index
    end
    assert.equal(select(2, page:gsub("\n```lua\n", "")), count)
  end)

  it("tells the limits as they are", function()
    local site = server.Site(route.App(), { reactor = Clock() })
    for name, default in page:gmatch("\n| `(%a+)`[^|]*| ([%d,]+ ?%a*)") do
      local number, unit = default:gsub(",", ""):match("^(%d+) ?(%a*)")
      local factor = ({ KiB = 1024, MiB = 1024 * 1024 })[unit] or 1
      number = math.tointeger(tonumber(number)) * factor
      if site[name] ~= nil then assert.equal(number, math.floor(site[name]), name) end
      assert.is_string(server.Site.OPTIONS[name], name)
    end
  end)
end)
