-- SPDX-License-Identifier: MIT
-- readers_spec.lua -- addReader and addWriter: a script's own objects with a descriptor.
local async    = require "twistlua.test.async"
local child    = require "system.child"
local defer    = require "twistlua.defer"
local errors   = require "twistlua.error"
local main     = require "twistlua.main"
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"
local socket   = require "twistlua.socket"

local function it_waits(text, body) it(text, async.async(body)) end
local await = defer.await

local function turn()
  local done = defer.Deferred()
  reactor:callFromThread(function() done:callback() end)
  await(done)
end

describe("a descriptor of the script's own", function()
  local open        -- sockets to close behind each test
  local listening
  before_each(function()
    listening = assert(socket.listen("127.0.0.1", 0))
    listening:setBlocking(true)
    open = { listening }
  end)
  after_each(function()
    for _, one in ipairs(open) do one:close() end
    assert.same({}, reactor:getReaders())
    assert.same({}, reactor:getWriters())
  end)

  local function keep(one)
    open[#open + 1] = assert(one)
    return one
  end

  -- Two connected sockets; the second one does not block.
  local function pair()
    local ours = keep(socket.connect("127.0.0.1", listening:getsockname().port))
    local theirs = keep(listening:accept())
    ours:setBlocking(true)
    theirs:setBlocking(false)
    return ours, theirs
  end

  -- An object for the reactor that notes its calls; `over` fires with the reason of connectionLost.
  local function object(descriptor, methods)
    local made = { reads = 0, writes = 0, losses = 0, over = defer.Deferred() }
    function made.fileno() return descriptor:fileno() end
    function made.logPrefix() return "object" end
    function made:doRead() self.reads = self.reads + 1 end
    function made:doWrite() self.writes = self.writes + 1 end
    function made:connectionLost(reason)
      self.losses = self.losses + 1
      self.reason = reason
      if self.losses == 1 then self.over:callback() end
    end
    for name, method in pairs(methods or {}) do made[name] = method end
    return made
  end

  describe("with a reader", function()
    it_waits("has doRead called as long as it is readable", function()
      local ours, theirs = pair()
      local done = defer.Deferred()
      local reader = object(theirs)
      function reader:doRead()
        self.reads = self.reads + 1
        if self.reads == 3 then done:callback() end
      end
      reactor:addReader(reader)
      turn()
      turn()
      assert.equal(0, reader.reads)
      ours:sendall("x")
      await(done)
      reactor:removeReader(reader)
      turn()
      assert.equal(3, reader.reads)
      assert.equal(0, reader.losses)
    end)

    it_waits("reads until the end, which CONNECTION_DONE tells", function()
      local ours, theirs = pair()
      local received = {}
      local reader = object(theirs, {
        doRead = function()
          local bytes, _, name = theirs:recv(3)
          if name == "EAGAIN" then return end
          if bytes == "" then return main.CONNECTION_DONE end
          received[#received + 1] = bytes
        end,
      })
      reactor:addReader(reader)
      ours:sendall("ninebytes")
      ours:close()
      await(reader.over)
      assert.equal("ninebytes", table.concat(received))
      assert.is_truthy(reader.reason:check(errors.ConnectionDone))
      assert.same({}, reactor:getReaders())
    end)

    it_waits("is lost by CONNECTION_LOST", function()
      local ours, theirs = pair()
      local reader = object(theirs, { doRead = function() return main.CONNECTION_LOST end })
      reactor:addReader(reader)
      ours:sendall("x")
      await(reader.over)
      assert.is_truthy(reader.reason:check(errors.ConnectionLost))
      turn()
      assert.equal(1, reader.losses)
      assert.same({}, reactor:getReaders())
    end)

    it_waits("is lost by what doRead raises, which is logged", function()
      local ours, theirs = pair()
      local reader = object(theirs, { doRead = function() error("cannot read") end })
      reactor:addReader(reader)
      ours:sendall("x")
      await(reader.over)
      assert.matches("cannot read", reader.reason:getErrorMessage())
      assert.same({}, reactor:getReaders())
      local logged = async.flushLoggedErrors()
      assert.equal(1, #logged)
      assert.matches("readers_spec.lua", logged[1]:getTraceback(), 1, true)
    end)

    it_waits("leaves the others alone when it raises", function()
      local ours, theirs = pair()
      local here, there = pair()
      local bad = object(theirs, { doRead = function() error("cannot read") end })
      local good = object(there, { doRead = function() return main.CONNECTION_DONE end })
      reactor:addReader(bad)
      reactor:addReader(good)
      ours:sendall("x")
      await(bad.over)
      here:sendall("x")
      await(good.over)
      assert.is_truthy(good.reason:check(errors.ConnectionDone))
      async.flushLoggedErrors()
    end)

    it_waits("stays removed when connectionLost raises, which is logged", function()
      local ours, theirs = pair()
      local reader = object(theirs, { doRead = function() return main.CONNECTION_DONE end })
      function reader:connectionLost()
        self.losses = self.losses + 1
        self.over:callback()
        error("in connectionLost")
      end
      reactor:addReader(reader)
      ours:sendall("x")
      await(reader.over)
      turn()
      assert.equal(1, reader.losses)
      assert.equal(1, #async.flushLoggedErrors())
    end)

    it_waits("may remove itself, and hears nothing more", function()
      local ours, theirs = pair()
      local done = defer.Deferred()
      local reader = object(theirs)
      function reader:doRead()
        self.reads = self.reads + 1
        reactor:removeReader(self)
        done:callback()
      end
      reactor:addReader(reader)
      ours:sendall("x")
      await(done)
      turn()
      turn()
      assert.equal(1, reader.reads)
      assert.equal(0, reader.losses)
    end)

    it_waits("may be added anew after it was removed", function()
      local ours, theirs = pair()
      local reader = object(theirs, { doRead = function() return main.CONNECTION_DONE end })
      reactor:addReader(reader)
      reactor:removeReader(reader)
      reactor:addReader(reader)
      ours:sendall("x")
      await(reader.over)
      assert.equal(1, reader.losses)
    end)

    it("is listed once, though it was added twice", function()
      local _, theirs = pair()
      local reader = object(theirs)
      reactor:addReader(reader)
      reactor:addReader(reader)
      assert.same({ reader }, reactor:getReaders())
      assert.same({}, reactor:getWriters())
      reactor:removeReader(reader)
      assert.same({}, reactor:getReaders())
    end)

    it("may be removed though it was never added", function()
      local _, theirs = pair()
      reactor:removeReader(object(theirs))
      reactor:removeWriter(object(theirs))
    end)
  end)

  describe("with a writer", function()
    it_waits("has doWrite called while there is room, until it is removed", function()
      local _, theirs = pair()
      local done = defer.Deferred()
      local writer = object(theirs)
      function writer:doWrite()
        self.writes = self.writes + 1
        if self.writes < 3 then return end
        reactor:removeWriter(self)
        done:callback()
      end
      reactor:addWriter(writer)
      assert.same({ writer }, reactor:getWriters())
      assert.same({}, reactor:getReaders())
      await(done)
      turn()
      turn()
      assert.equal(3, writer.writes)
    end)

    it_waits("ends by CONNECTION_DONE", function()
      local _, theirs = pair()
      local writer = object(theirs, { doWrite = function() return main.CONNECTION_DONE end })
      reactor:addWriter(writer)
      await(writer.over)
      assert.is_truthy(writer.reason:check(errors.ConnectionDone))
    end)

    it_waits("is lost by what doWrite raises, which is logged", function()
      local _, theirs = pair()
      local writer = object(theirs, { doWrite = function() error("cannot write") end })
      reactor:addWriter(writer)
      await(writer.over)
      assert.matches("cannot write", writer.reason:getErrorMessage())
      assert.equal(1, #async.flushLoggedErrors())
    end)

    it_waits("sends all of what is too long for the kernel, as there is room", function()
      local ours, theirs = pair()
      local text = ("0123456789"):rep(400000)
      local unsent, received = text, {}
      local writer = object(theirs, {
        doWrite = function()
          local sent, _, name = theirs:send(unsent)
          if name == "EAGAIN" then return end
          if not sent then return main.CONNECTION_LOST end
          unsent = unsent:sub(sent + 1)
          if unsent == "" then return main.CONNECTION_DONE end
        end,
        connectionLost = function(self)
          theirs:close()
          self.over:callback()
        end,
      })
      ours:setBlocking(false)
      local reader = object(ours, {
        doRead = function()
          local bytes, _, name = ours:recv(65536)
          if name == "EAGAIN" then return end
          if bytes == "" then return main.CONNECTION_DONE end
          received[#received + 1] = bytes
        end,
      })
      reactor:addWriter(writer)
      reactor:addReader(reader)
      await(writer.over)
      await(reader.over)
      assert.is_true(table.concat(received) == text)
    end)
  end)

  describe("with both", function()
    it_waits("is removed from both when one of them ends", function()
      local _, theirs = pair()
      local both = object(theirs, { doWrite = function() return main.CONNECTION_DONE end })
      reactor:addReader(both)
      reactor:addWriter(both)
      await(both.over)
      turn()
      assert.equal(1, both.losses)
      assert.same({}, reactor:getReaders())
      assert.same({}, reactor:getWriters())
    end)

    it_waits("is not written to in the turn in which the reading ended it", function()
      local ours, theirs = pair()
      local both = object(theirs, { doRead = function() return main.CONNECTION_DONE end })
      ours:sendall("x")
      reactor:addReader(both)
      reactor:addWriter(both)
      local writesAtLoss
      local connectionLost = both.connectionLost
      function both:connectionLost(reason)
        writesAtLoss = self.writes
        connectionLost(self, reason)
      end
      await(both.over)
      turn()
      turn()
      assert.equal(writesAtLoss, both.writes)
      assert.equal(1, both.losses)
    end)

    it_waits("goes on reading when the writing is over", function()
      local ours, theirs = pair()
      local both = object(theirs, { doRead = function() return main.CONNECTION_DONE end })
      function both:doWrite()
        self.writes = self.writes + 1
        reactor:removeWriter(self)
        ours:sendall("x")
      end
      reactor:addReader(both)
      reactor:addWriter(both)
      await(both.over)
      assert.equal(1, both.writes)
    end)

    it_waits("may have a reader and a writer that are two objects", function()
      local ours, theirs = pair()
      local reader = object(theirs, { doRead = function() return main.CONNECTION_DONE end })
      local writer = object(theirs)
      reactor:addReader(reader)
      reactor:addWriter(writer)
      ours:sendall("x")
      await(reader.over)
      assert.same({ writer }, reactor:getWriters())
      local before = writer.writes
      while writer.writes == before do turn() end
      assert.equal(0, writer.losses)
      reactor:removeWriter(writer)
    end)
  end)

  it("is given back once by removeAll, and not called any more", function()
    local _, first = pair()
    local _, second = pair()
    local both, reader = object(first), object(second)
    reactor:addReader(both)
    reactor:addWriter(both)
    reactor:addReader(reader)
    local removed = {}
    for _, one in ipairs(reactor:removeAll()) do
      assert.is_nil(removed[one])
      removed[one] = true
    end
    assert.same({ [both] = true, [reader] = true }, removed)
    reactor:iterate(0)
    reactor:iterate(0)
    assert.equal(0, both.writes + both.losses + reader.losses)
  end)

  it("is not taken from an object that is none", function()
    local _, theirs = pair()
    local without = object(theirs)
    without.doRead = nil
    for problem, bad in pairs {
      ["object expected"] = 7, ["object expected, got nil"] = false, ["no fileno"] = {},
      ["no doRead"] = without, ["got %-1"] = object { fileno = function() return -1 end },
      ["got nil"] = object { fileno = function() end },
      ["got three"] = object { fileno = function() return "three" end },
    } do
      local ok, message = pcall(function() reactor:addReader(bad or nil) end)
      assert.is_false(ok)
      assert.matches("^[^:]*readers_spec%.lua:%d+: addReader: .*" .. problem, message)
    end
    local ok, message = pcall(function() reactor:addWriter({}) end)
    assert.is_false(ok)
    assert.matches("addWriter", message)
    assert.same({}, reactor:getReaders())
  end)

  describe("that goes away", function()
    it_waits("is dropped when fileno says -1", function()
      local ours, theirs = pair()
      local gone = false
      local reader = object(theirs, { fileno = function() return gone and -1 or theirs:fileno() end })
      reactor:addReader(reader)
      gone = true
      ours:sendall("x")
      await(reader.over)
      assert.equal(0, reader.reads)
      assert.is_truthy(reader.reason:check(errors.ConnectionLost))
      assert.same({}, reactor:getReaders())
    end)

    it_waits("is dropped when fileno raises, which is logged", function()
      local ours, theirs = pair()
      local broken = false
      local reader = object(theirs, {
        fileno = function()
          if broken then error("no number") end
          return theirs:fileno()
        end,
      })
      reactor:addReader(reader)
      broken = true
      ours:sendall("x")
      await(reader.over)
      assert.equal(0, reader.reads)
      assert.equal(1, #async.flushLoggedErrors())
    end)

    it("does no harm when it was closed without a word", function()
      local _, theirs = pair()
      local reader = object(theirs)
      reactor:addReader(reader)
      theirs:close()
      for _ = 1, 3 do reactor:iterate(0) end
      assert.equal(0, reader.reads)
      reactor:removeReader(reader)
      assert.same({}, reactor:getReaders())
    end)

    -- A pair of which the second socket has the number.
    local function pairWith(number)
      for _ = 1, 64 do
        local one, other = pair()
        if other:fileno() == number then return one, other end
        if one:fileno() == number then
          one:setBlocking(false)
          other:setBlocking(true)
          return other, one
        end
      end
      error("the number was not given out again")
    end

    it_waits("keeps the bytes of its number's new owner from the old one", function()
      local _, theirs = pair()
      local old, number = object(theirs), theirs:fileno()
      reactor:addReader(old)
      turn()
      theirs:close()
      local here, there = pairWith(number)
      local new = object(there, { doRead = function() return main.CONNECTION_DONE end })
      reactor:addReader(new)
      here:sendall("x")
      await(new.over)
      assert.is_truthy(new.reason:check(errors.ConnectionDone))
      await(old.over)
      assert.is_truthy(old.reason:check(errors.ConnectionLost))
      assert.equal(0, old.reads)
      assert.equal(1, old.losses)
    end)

    it_waits("leaves the new owner of its number alone when it is removed late", function()
      local _, theirs = pair()
      local old, number = object(theirs), theirs:fileno()
      reactor:addReader(old)
      turn()
      theirs:close()
      local here, there = pairWith(number)
      local new = object(there, { doRead = function() return main.CONNECTION_DONE end })
      reactor:addReader(new)
      reactor:removeReader(old)
      here:sendall("x")
      await(new.over)
      await(old.over)
    end)

    it_waits("keeps the connections of a port that has its number from the old one", function()
      local _, theirs = pair()
      local old, number = object(theirs), theirs:fileno()
      reactor:addReader(old)
      turn()
      theirs:close()
      local accepted = defer.Deferred()
      local Greeter = protocol.Protocol:extend("Greeter")
      function Greeter:connectionMade()
        self.transport:loseConnection()
        accepted:callback()
      end
      local ports = {}
      repeat
        local factory = protocol.Factory.forProtocol(Greeter)
        ports[#ports + 1] = reactor:listenTCP(0, factory, { interface = "127.0.0.1" })
      until ports[#ports]:fileno() == number or #ports == 64
      assert.equal(number, ports[#ports]:fileno())
      keep(socket.connect("127.0.0.1", ports[#ports]:getHost().port))
      await(accepted)
      await(old.over)
      assert.equal(0, old.reads)
      assert.is_truthy(old.reason:check(errors.ConnectionLost))
      for _, port in ipairs(ports) do await(port:stopListening()) end
    end)
  end)

  it("may have a number beyond 1024", function()
    local limited = { "sh", "-c", [[ulimit -n 2048; exec "$0" "$@"]], child.program, "-e", [[
      local reactor = require "twistlua.reactor"
      local socket  = require "twistlua.socket"
      local listening = socket.listen("127.0.0.1", 0)
      local clients = {}
      repeat
        local client = assert(socket.connect("127.0.0.1", listening:getsockname().port))
        clients[#clients + 1] = client
        listening:setBlocking(true)
        local server = assert(listening:accept())
        clients[#clients + 1] = server
      until server:fileno() > 1100
      local client, server = clients[#clients - 1], clients[#clients]
      reactor:addReader {
        fileno = function() return server:fileno() end,
        doRead = function()
          print(server:recv(100))
          return require("twistlua.main").CONNECTION_DONE
        end,
        connectionLost = function() reactor:stop() end,
      }
      client:send "far out"
      reactor:run()
    ]] }
    assert.same({ status = 0, stdout = "far out\n", stderr = "" }, child.run(limited))
  end)

  it_waits("downloads several texts at once by readers written by hand, as the tutorial does", function()
    local TEXT = "Once upon a midnight dreary, while I pondered, weak and weary\n"
    local Slow = protocol.Protocol:extend("Slow")
    function Slow:connectionMade() self:sendSome(TEXT) end
    function Slow:sendSome(rest)
      if rest == "" then return self.transport:loseConnection() end
      self.transport:write(rest:sub(1, 10))
      reactor:callLater(0.0005, self.sendSome, self, rest:sub(11))
    end
    local port = reactor:listenTCP(0, protocol.Factory.forProtocol(Slow), { interface = "127.0.0.1" })

    local texts, interleaved, last = {}, 0, nil
    local finished = defer.Deferred()
    local function get(task)
      local connection = assert(socket.connect("127.0.0.1", port:getHost().port))
      local poem = ""
      local reader = {}
      function reader.fileno() return connection:fileno() end
      function reader.logPrefix() return "poetry" end
      function reader.doRead()
        local bytes, _, name = connection:recv(1024)
        if name == "EAGAIN" then return end
        if not bytes then return main.CONNECTION_LOST end
        if bytes == "" then return main.CONNECTION_DONE end
        if last and last ~= task then interleaved = interleaved + 1 end
        last = task
        poem = poem .. bytes
      end
      function reader.connectionLost(_, reason)
        assert(reason:check(errors.ConnectionDone))
        reactor:removeReader(reader)
        connection:close()
        texts[#texts + 1] = poem
        if #reactor:getReaders() == 0 then finished:callback() end
      end
      reactor:addReader(reader)
    end
    for task = 1, 3 do get(task) end
    await(finished)
    assert.same({ TEXT, TEXT, TEXT }, texts)
    assert.is_true(interleaved > 2)
    await(port:stopListening())
  end)
end)

describe("standard input", function()
  -- Prints what arrives on descriptor 0, until its end.
  local READ_ALL = [[
    local main    = require "twistlua.main"
    local reactor = require "twistlua.reactor"
    io.stdin:setvbuf "no"
    reactor:addReader {
      fileno = function() return 0 end,
      doRead = function()
        local line = io.read "l"
        if not line then return main.CONNECTION_DONE end
        print("read " .. line)
      end,
      connectionLost = function(_, reason)
        print(reason.value.__name)
        reactor:stop()
      end,
    }
    reactor:run()
  ]]
  local READ = { status = 0, stdout = "read one\nread two\nConnectionDone\n", stderr = "" }

  it("can be read by a reader where it is a regular file", function()
    assert.same(READ, child.run({ child.program, "-e", READ_ALL }, { stdin = "one\ntwo\n" }))
  end)

  it("can be read by a reader where it is a pipe", function()
    local piped = { "sh", "-c", [[printf 'one\ntwo\n' | "$0" "$@"]], child.program, "-e", READ_ALL }
    assert.same(READ, child.run(piped))
  end)
end)
