-- SPDX-License-Identifier: MIT
-- channel_spec.lua -- channels within one runtime, and between it and its workers' threads.
local async   = require "twistlua.test".async
local channel = require "twistlua.channel"
local defer   = require "twistlua.defer"
local errors  = require "twistlua.error"
local reactor = require "twistlua.reactor"
local threads = require "twistlua.threads"

local await = defer.await

-- What a Deferred has, if it has fired; failures are values here.
local function now(d)
  local fired, value = false, nil
  d:addBoth(function(v) fired, value = true, v end)
  return fired, value
end

local function failureOf(d)
  local ok, err = pcall(await, d)
  assert.is_false(ok)
  return err
end

describe("a channel", function()
  it("gives values in the order in which they were sent", async(function()
    local c = channel.new(10)
    for i = 1, 5 do assert.is_true((now(c:send(i)))) end
    assert.equal(5, c:count())
    for i = 1, 5 do assert.equal(i, await(c:receive())) end
    assert.equal(0, c:count())
  end))

  it("copies: nil, booleans, numbers, strings, tables, errors", async(function()
    local c = channel.new(1)
    local function through(value)
      await(c:send(value))
      return await(c:receive())
    end
    assert.is_nil(through(nil))
    for _, value in ipairs { true, false, 0, -1, math.mininteger, 0.5, math.huge, "", "a\0b", ("x"):rep(100000) } do
      local copied = through(value)
      assert.equal(value, copied)
      assert.equal(math.type(value), math.type(copied))
    end
    local given = { 1, { 2, nested = { 3 } }, key = "value" }
    given.self = given
    local copied = through(given)
    assert.not_equal(given, copied)
    assert.equal(copied, copied.self)
    assert.equal(3, copied[2].nested[1])
    assert.is_true(through(errors.ConnectError("no")):is(errors.ConnectError))
  end))

  it("refuses what cannot be copied, on the caller's line, and stays as it was", function()
    local c = channel.new(1)
    for _, method in ipairs { "send", "trySend" } do
      local ok, message = pcall(function() c[method](c, { f = print }) end)
      assert.is_false(ok)
      assert.matches("^spec/system/threads/channel_spec.lua:%d+: the value, field \"f\": a function cannot be copied",
        message)
    end
    assert.equal(0, c:count())
  end)

  it("says what is wrong with a capacity, or with itself", function()
    for _, capacity in ipairs { 0, -1, 1.5, "many" } do
      assert.is_false((pcall(channel.new, capacity)))
    end
    assert.equal(64, channel.new():capacity())
    assert.has_error(function() channel.new(1).send({}, 1) end)
    assert.equal("twistlua.channel (0 of 3)", tostring(channel.new(3)))
    local ok, message = pcall(channel.get, "orders")
    assert.is_false(ok)
    assert.matches("no channel is shared as 'orders'$", message)
  end)

  it("holds senders up when it is full", async(function()
    local c = channel.new(2)
    await(c:send(1))
    await(c:send(2))
    local third, fourth = c:send(3), c:send(4)
    assert.is_false((now(third)))
    assert.is_false(c:trySend(5))
    assert.equal(1, await(c:receive()))
    await(third)
    assert.is_false((now(fourth)))
    assert.equal(2, await(c:receive()))
    await(fourth)
    assert.equal(3, await(c:receive()))
    assert.is_true(c:trySend(5))
    assert.equal(4, await(c:receive()))
    assert.equal(5, await(c:receive()))
  end))

  it("serves receivers in the order of their coming", async(function()
    local c = channel.new(4)
    local got = {}
    local all = {}
    for i = 1, 3 do all[i] = c:receive():addCallback(function(v) got[#got + 1] = i .. v end) end
    for _, value in ipairs { "a", "b", "c" } do await(c:send(value)) end
    await(defer.gatherResults(all))
    assert.same({ "1a", "2b", "3c" }, got)
  end))

  it("loses no value to a receive that is cancelled, and sends none that was", async(function()
    local c = channel.new(1)
    local gone, stays = c:receive(), c:receive()
    await(c:send("first"))
    gone:cancel()
    assert.is_true(failureOf(gone):is(defer.CancelledError))
    assert.equal("first", await(stays))

    await(c:send("second"))
    local never, third = c:send("never"), c:send("third")
    never:cancel()
    assert.is_true(failureOf(never):is(defer.CancelledError))
    assert.equal("second", await(c:receive()))
    await(third)
    assert.equal("third", await(c:receive()))
  end))

  it("times out as every Deferred does", async(function()
    local c = channel.new(1)
    assert.is_true(failureOf(c:receive():addTimeout(0.005, reactor)):is(defer.TimeoutError))
    await(c:send(1))
    assert.equal(1, await(c:receive()))
  end))

  it("gives what it has when it is closed, and then ChannelClosed", async(function()
    local c = channel.new(2)
    await(c:send(1))
    await(c:send(2))
    local held = c:send(3)
    c:close()
    c:close()
    assert.is_false(c:isOpen())
    assert.is_true(failureOf(held):is(errors.ChannelClosed))
    assert.is_true(failureOf(c:send(4)):is(errors.ChannelClosed))
    assert.equal(1, await(c:receive()))
    assert.same({ true, 2 }, { c:tryReceive() })
    assert.is_true(failureOf(c:receive()):is(errors.ChannelClosed))
    for _, method in ipairs { "trySend", "tryReceive" } do
      local ok, err = pcall(c[method], c, 1)
      assert.is_false(ok)
      assert.is_true(err:is(errors.ChannelClosed))
    end
  end))

  it("tells those who wait that it was closed", async(function()
    local c = channel.new(1)
    local first, second = c:receive(), c:receive()
    c:close()
    assert.is_true(failureOf(first):is(errors.ChannelClosed))
    assert.is_true(failureOf(second):is(errors.ChannelClosed))
  end))

  it("lets tryReceive overtake nobody who waits", async(function()
    local c = channel.new(1)
    assert.same({ false }, { c:tryReceive() })
    local waiting = c:receive()
    await(c:send(1))
    assert.same({ false }, { c:tryReceive() })
    assert.equal(1, await(waiting))
  end))

  it("goes by reference, as itself", async(function()
    local questions = channel.new(1)
    local answers = channel.new(1)
    await(questions:send { text = "?", answers = answers })
    local question = await(questions:receive())
    assert.equal(answers, question.answers)
    await(question.answers:send("!"))
    assert.equal("!", await(answers:receive()))
  end))

  it("keeps the reactor from nothing, however quick both sides are", async(function()
    local c = channel.new(10)
    local ticks, rounds = 0, 0
    local stop = false
    local function tick()
      ticks = ticks + 1
      if ticks < 20 then reactor:callLater(0, tick) else stop = true end
    end
    reactor:callLater(0, tick)
    while not stop do
      await(c:send(1))
      await(c:receive())
      rounds = rounds + 1
    end
    assert.is_true(rounds >= 20)
  end))

  it("is let go with what it holds when nobody has it any more", function()
    local weak = setmetatable({}, { __mode = "k" })
    do
      local c = channel.new(1)
      assert.is_true(c:trySend { channel.new(1) })
      weak[c] = true
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end)

  it("keeps a program running that waits for it, and nothing else does", function()
    local c = channel.new(1)
    assert.is_false(reactor:isBusy())
    local d = c:receive():addErrback(function() end)
    assert.is_true(reactor:isBusy())
    d:cancel()
    assert.is_false(reactor:isBusy())
  end)
end)

describe("a channel of a worker's thread", function()
  it("carries values there and back, in order", async(function()
    local COUNT = 5000
    local there, back = channel.new(8), channel.new(8)
    local job = threads.deferToThread(function(from, to)
      local count = 0
      while true do
        local ok, value = pcall(from.receiveBlocking, from)
        if not ok then
          assert(tostring(value):find "ChannelClosed", value)
          return count
        end
        count = count + 1
        to:sendBlocking { value = value, from = from }
      end
    end, there, back)
    local answers = defer.run(function()
      for i = 1, COUNT do
        local answer = await(back:receive())
        assert.equal(i, answer.value)
        assert.equal(there, answer.from)
      end
    end)
    for i = 1, COUNT do await(there:send(i)) end
    there:close()
    assert.equal(COUNT, await(job))
    await(answers)
  end))

  it("gives each value to one of several threads", async(function()
    local COUNT, THREADS = 2000, 4
    local work, results = channel.new(4), channel.new(4)
    local jobs = {}
    for i = 1, THREADS do
      jobs[i] = threads.deferToThread(function(from, to)
        local ok, value = pcall(from.receiveBlocking, from)
        while ok do
          to:sendBlocking(value)
          ok, value = pcall(from.receiveBlocking, from)
        end
      end, work, results)
    end
    local sending = defer.run(function()
      for i = 1, COUNT do await(work:send(i)) end
      work:close()
    end)
    local seen = {}
    for _ = 1, COUNT do
      local value = await(results:receive())
      assert.is_nil(seen[value])
      seen[value] = true
    end
    await(sending)
    await(defer.gatherResults(jobs))
    assert.equal(0, results:count())
  end))

  it("is received from for so long as the time-out says", async(function()
    local c = channel.new(1)
    local text = await(threads.deferToThread(function(from)
      local received, why = pcall(from.receiveBlocking, from, 0.001)
      from:sendBlocking(1)
      local sent, whyNot = pcall(from.sendBlocking, from, 2, 0.001)
      return ("%s %s, %s %s"):format(received, why, sent, whyNot)
    end, c))
    assert.matches("^false TimeoutError.*, false TimeoutError", text)
    assert.equal(1, await(c:receive()))
  end))

  it("refuses a bad time-out", async(function()
    local message = await(threads.deferToThread(function(from)
      return select(2, pcall(from.receiveBlocking, from, -1))
    end, channel.new(1)))
    assert.matches("a time%-out cannot be negative", message)
  end))

  it("holds up nobody who stops the pool", async(function()
    local c = channel.new(1)
    local pool = threads.ThreadPool(0, 2)
    local job = threads.deferToThreadPool(reactor, pool, function(from)
      from:receiveBlocking()
    end, c)
    while pool:statistics().working == 0 do await(require("twistlua.task").deferLater(reactor, 0.001)) end
    pool:stop()
    assert.is_true(failureOf(job):is(errors.ThreadPoolStopped))
  end))

  it("says which names are for where", async(function()
    local c = channel.new(1)
    local ok, message = pcall(c.receiveBlocking, c)
    assert.is_false(ok)
    assert.matches("are for workers' threads: here they would stop the reactor", message)
    assert.is_false((pcall(c.sendBlocking, c, 1)))
    local there = await(threads.deferToThread(function(ch)
      return select(2, pcall(ch.receive, ch)) .. "|" .. select(2, pcall(ch.send, ch, 1))
    end, c))
    assert.matches("a worker's thread has no reactor: use sendBlocking.*|.*a worker's thread has no reactor", there)
  end))

  it("may be made there, and come here", async(function()
    local c = await(threads.deferToThread(function()
      local made = require("twistlua.channel").new(2)
      made:sendBlocking("from there")
      return made
    end))
    assert.equal("from there", await(c:receive()))
    assert.equal(2, c:capacity())
  end))
end)
