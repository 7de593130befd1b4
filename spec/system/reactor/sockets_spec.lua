-- SPDX-License-Identifier: MIT
-- sockets_spec.lua -- raw sockets, driven by the script itself.
local async   = require "twistlua.test.async"
local defer   = require "twistlua.defer"
local reactor = require "twistlua.reactor"
local socket  = require "twistlua.socket"

describe("a raw socket", function()
  local open
  before_each(function() open = {} end)
  after_each(function()
    for _, one in ipairs(open) do one:close() end
  end)

  local function keep(one, ...)
    open[#open + 1] = assert(one, ...)
    return one, ...
  end

  local function listen(host)
    local listening = keep(socket.listen(host or "127.0.0.1", 0))
    listening:setBlocking(true)
    return listening, listening:getsockname().port
  end

  -- Two connected sockets that block.
  local function pair()
    local listening, port = listen()
    local client = keep(socket.connect("127.0.0.1", port))
    local server = keep(listening:accept())
    client:setBlocking(true)
    server:setBlocking(true)
    return client, server
  end

  it("tells both ends' addresses", function()
    local listening, port = listen()
    local client = keep(socket.connect("127.0.0.1", port))
    local server, peer = listening:accept()
    keep(server)
    assert.equal("127.0.0.1", listening:getsockname().host)
    assert.equal(port, client:getpeername().port)
    assert.equal(port, server:getsockname().port)
    assert.equal(client:getsockname().port, server:getpeername().port)
    assert.equal(client:getsockname(), peer)
  end)

  it("works with IPv6", function()
    local listening, port = listen "::1"
    local client = keep(socket.connect("::1", port))
    keep(listening:accept())
    assert.equal("::1", client:getpeername().host)
    assert.equal("IPv6Address", getmetatable(client:getpeername()).__name)
  end)

  it("carries bytes, zeros among them, both ways", function()
    local client, server = pair()
    assert.equal(5, client:send "a\0b\r\n")
    assert.equal("a\0b\r\n", server:recv(100))
    assert.is_true(server:sendall "back")
    assert.equal("ba", client:recv(2))
    assert.equal("ck", client:recv(2))
  end)

  it("says EAGAIN where it would have to wait", function()
    local client, server = pair()
    local listening = listen()
    listening:setBlocking(false)
    server:setBlocking(false)
    assert.equal("EAGAIN", select(3, listening:accept()))
    assert.equal("EAGAIN", select(3, server:recv(1)))
    assert.is_nil((server:recv(1)))
    assert.is_number(select(4, server:recv(1)))
    local sent
    repeat sent = table.pack(server:send(("x"):rep(1 << 20))) until not sent[1]
    assert.equal("EAGAIN", sent[3])
    assert.is_truthy(client:recv(1))
  end)

  it("does not block from the beginning", function()
    local listening = keep(socket.listen("127.0.0.1", 0))
    assert.equal("EAGAIN", select(3, listening:accept()))
    local client = keep(socket.connect("127.0.0.1", listening:getsockname().port))
    listening:setBlocking(true)
    local server = keep(listening:accept())
    assert.equal("EAGAIN", select(3, client:recv(1)))
    assert.equal("EAGAIN", select(3, server:recv(1)))
  end)

  it("finds names in the hosts file", function()
    local _, port = listen "localhost"
    assert.equal(port, keep(socket.connect("localhost", port)):getpeername().port)
    assert.has_error(function() socket.connect("no.such.name", port) end)
  end)

  it("tells by its first recv that nobody is there, once it blocks", function()
    local listening, port = listen()
    listening:close()
    local client, _, refused = socket.connect("127.0.0.1", port)
    if client then
      keep(client):setBlocking(true)
      refused = select(3, client:recv(1))
    end
    assert.equal("ECONNREFUSED", refused)
  end)

  it("is selected when it can be read or written", function()
    local client, server = pair()
    assert.same({ {}, { client } }, { socket.select({ client, server }, { client }) })
    server:send "x"
    assert.same({ { client }, {} }, { socket.select({ server, client }, {}) })
    client:recv(1)
    assert.same({ {}, {} }, { socket.select({ server, client }, {}, 0) })
    server:close()
    assert.same({ { client }, { client } }, { socket.select({ client }, { client }, 10) })
    assert.same({ {}, {} }, { socket.select({}, {}, 0.001) })
  end)

  it("is not selected when closed, among too many, or for no time", function()
    local client = pair()
    local crowd = {}
    for i = 1, 1025 do crowd[i] = client end
    assert.has_error(function() socket.select(crowd, {}, 0) end, "bad argument #1 to 'select' (too many sockets)")
    assert.has_error(function() socket.select({}, crowd, 0) end)
    for _, seconds in ipairs { -1, 0 / 0, "soon" } do
      assert.has_error(function() socket.select({ client }, {}, seconds) end)
    end
    assert.has_error(function() socket.select({ client, io.stdout }, {}) end, "number 2 is no socket that is open")
    assert.has_error(function() socket.select(client, {}) end)
    client:close()
    assert.has_error(function() socket.select({ client }, {}) end, "number 1 is no socket that is open")
  end)

  it("gives an empty text at the peer's end, and still sends", function()
    local client, server = pair()
    client:send "last"
    assert.is_true(client:shutdown())
    assert.equal("last", server:recv(100))
    assert.equal("", server:recv(100))
    assert.equal("", server:recv(100))
    assert.is_true(server:sendall "answer")
    assert.equal("answer", client:recv(100))
  end)

  it("tells an error with its name and number when the peer is gone", function()
    local client, server = pair()
    client:close()
    local ok, message, name, errno
    for _ = 1, 1000 do
      ok, message, name, errno = server:send "x"
      if not ok then break end
    end
    assert.is_nil(ok)
    assert.is_string(message)
    assert.is_true(name == "EPIPE" or name == "ECONNRESET", name)
    assert.is_number(errno)
  end)

  it("gives up sendall with the error", function()
    local client, server = pair()
    client:close()
    local ok, _, name = server:sendall(("x"):rep(10000000))
    assert.is_nil(ok)
    assert.is_true(name == "EPIPE" or name == "ECONNRESET", name)
  end)

  it("becomes writable when its connect has an outcome", async.async(function()
    local listening, port = listen()
    local outcome = {}
    local function connect(to)
      local over = defer.Deferred()
      local client, pending, name = socket.connect("127.0.0.1", to)
      if not client then   -- some systems refuse at once
        outcome[#outcome + 1] = name
        return defer.succeed(nil)
      end
      assert.is_boolean(pending)
      keep(client)
      local writer = { fileno = function() return client:fileno() end }
      function writer.doWrite()
        reactor:removeWriter(writer)
        local ok, _, code = client:outcome()
        outcome[#outcome + 1] = ok or code
        over:callback()
      end
      reactor:addWriter(writer)
      return over
    end
    defer.await(connect(port))
    listening:close()
    defer.await(connect(port))
    assert.same({ true, "ECONNREFUSED" }, outcome)
  end))

  it("refuses an address that is in use", function()
    local _, port = listen()
    local other, message, name, errno = socket.listen("127.0.0.1", port)
    assert.is_nil(other)
    assert.is_string(message)
    assert.equal("EADDRINUSE", name)
    assert.is_number(errno)
  end)

  it("has no descriptor once it is closed, and may be closed twice", function()
    local client = pair()
    assert.is_true(client:fileno() >= 0)
    assert.matches("^<socket %d+>$", tostring(client))
    client:close()
    client:close()
    assert.equal(-1, client:fileno())
    assert.equal("<socket (closed)>", tostring(client))
    for _, name in ipairs { "accept", "outcome", "shutdown", "getsockname", "getpeername" } do
      assert.has_error(function() client[name](client) end)
    end
    assert.has_error(function() client:recv(1) end)
    assert.has_error(function() client:send "x" end)
    assert.has_error(function() client:setBlocking(true) end)
  end)

  it("closes its descriptor when it is collected, or leaves the scope of a <close>", function()
    local server = select(2, pair())
    local listening, port = listen()
    do
      local scoped <close> = assert(socket.connect("127.0.0.1", port))
      assert.is_true(scoped:fileno() >= 0)
    end
    assert.equal("", listening:accept():recv(1) or "")
    open = { server, listening }   -- the client is nobody's now
    collectgarbage()
    collectgarbage()
    assert.equal("", server:recv(1))
  end)

  it("refuses arguments of the wrong kind", function()
    local client = pair()
    for _, size in ipairs { 0, -1, 1 << 30, 1.5, "x" } do
      assert.has_error(function() client:recv(size) end)
    end
    assert.has_error(function() client:recv() end)
    assert.has_error(function() client:send() end)
    assert.has_error(function() client:send {} end)
    assert.has_error(function() client.send(io.stdout, "x") end)
    for _, port in ipairs { -1, 65536, 1.5, "x" } do
      assert.has_error(function() socket.listen("127.0.0.1", port) end)
      assert.has_error(function() socket.connect("127.0.0.1", port) end)
    end
    for _, host in ipairs { "no.such.literal", "127.0.0.1\0", "1.2.3", {} } do
      assert.has_error(function() socket.listen(host, 0) end)
      assert.has_error(function() socket.connect(host, 1) end)
    end
  end)
end)
