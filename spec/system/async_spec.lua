local async     = require "twistlua.test".async
local defer     = require "twistlua.defer"
local flush     = require "twistlua.test".flushLoggedErrors
local protocol  = require "twistlua.protocol"
local reactor   = require "twistlua.reactor"
local task      = require "twistlua.task"

-- What the wrapped body raises, as text.
local function outcome(body, options)
  local ok, problem = pcall(async(body, options))
  return not ok and tostring(problem) or nil
end

local function here()
  return debug.getinfo(2, "l").currentline
end

describe("async", function()
  it("awaits on the real reactor and passes arguments and the result through", function()
    local body = async(function(x)
      local d = defer.Deferred()
      reactor:callLater(0, d.callback, d, x + 1)
      return defer.await(d)
    end)
    assert.equal(42, body(41))
  end)

  it("awaits a Deferred that the body returns", function()
    local fired = false
    async(function()
      return task.deferLater(reactor, 0, function() fired = true end)
    end)()
    assert.is_true(fired)
  end)

  it("raises what the body raises", function()
    assert.matches("boo", outcome(function() error("boo") end))
    assert.matches("late", outcome(function() defer.await(task.deferLater(reactor, 0, error, "late")) end))
  end)

  it("raises an assertion's own error value", function()
    local value = { "mine" }
    local ok, problem = pcall(async(function() error(value) end))
    assert.is_false(ok)
    assert.equal(value, problem)
  end)

  it("says after the time limit where the body was waiting", function()
    local line
    local text = outcome(function()
      line = here() + 1
      defer.await(defer.Deferred())
    end, { timeout = 0.01 })
    assert.matches("not done after 0.01 s", text, 1, true)
    assert.matches("async_spec.lua:" .. line, text, 1, true)
  end)

  it("fails a test that leaves a timer, and names the line that made it", function()
    local line
    local text = outcome(function()
      line = here() + 1
      reactor:callLater(100, print)
    end)
    assert.matches("DelayedCall", text)
    assert.matches("async_spec.lua:" .. line, text, 1, true)
    assert.equal(0, #reactor:getDelayedCalls())
  end)

  it("fails a test that leaves a port", function()
    local line, port
    local text = outcome(function()
      line = here() + 1
      port = reactor:listenTCP(0, protocol.Factory.forProtocol(protocol.Protocol), { interface = "127.0.0.1" })
    end)
    assert.matches("Port", text)
    assert.matches("async_spec.lua:" .. line, text, 1, true)
    assert.is_nil(port:getHost())
  end)

  it("fails a test that leaves connections, and names the lines of their port and connector", function()
    local listened, connected
    local text = outcome(function()
      local made = defer.Deferred()
      local Server = protocol.Protocol:extend("Server")
      function Server:connectionMade() made:callback() end
      listened = here() + 1
      local port = reactor:listenTCP(0, protocol.Factory.forProtocol(Server), { interface = "127.0.0.1" })
      connected = here() + 1
      reactor:connectTCP("127.0.0.1", port:getHost().port, protocol.ClientFactory.forProtocol(protocol.Protocol))
      defer.await(made)
      port:stopListening()
    end)
    assert.matches("transport 0x%x+ %(open%)> made at [^\n]*async_spec.lua:" .. listened, text)
    assert.matches("transport 0x%x+ %(open%)> made at [^\n]*async_spec.lua:" .. connected, text)
  end)

  it("fails a test that leaves a task", function()
    local text = outcome(function()
      task.scope(function(scope)
        scope:spawn(function() defer.await(defer.Deferred()) end)
      end)
    end, { timeout = 0.01 })
    assert.matches("not done", text)
    assert.same({}, task.all())
  end)

  it("fails a test whose failure nobody handled", function()
    assert.matches("lost", outcome(function() defer.fail("lost") end))
  end)

  it("fails a test that logged an error, unless it flushed it", function()
    local log = require "twistlua.log"
    assert.matches("logged", outcome(function() log.err("logged") end))
    assert.is_nil(outcome(function()
      log.err("logged")
      assert.same({ "logged" }, flush())
    end))
  end)

  it("flushes errors of the classes asked for and keeps the others", function()
    local errors = require "twistlua.error"
    local log = require "twistlua.log"
    local text = outcome(function()
      log.err(errors.ConnectionLost())
      log.err(errors.BindError("kept"))
      assert.equal(1, #flush(errors.ConnectionClosed))
    end)
    assert.matches("kept", text)
  end)

  describe("with keep", function()
    local function listen()
      return reactor:listenTCP(0, protocol.Factory.forProtocol(protocol.Protocol), { interface = "127.0.0.1" })
    end

    it("leaves to the tests what the body opened, and complains of the rest", function()
      local port
      assert.is_nil(outcome(function() port = listen() end, { keep = true }))
      assert.is_nil(outcome(function() assert.is_table(port:getHost()) end))
      assert.matches("DelayedCall", outcome(function() reactor:callLater(100, print) end))
      assert.is_nil(outcome(function() return port:stopListening() end))
    end)

    it("complains of what is still open when it runs again, and closes it", function()
      local line, first, second
      local function open()
        first, second = second, nil
        line = line or here() + 1
        second = listen()
      end
      assert.is_nil(outcome(open, { keep = true }))
      local text = outcome(open, { keep = true })
      assert.matches("left open after it was kept for a test:\n  <Port.*async_spec.lua:" .. line, text)
      assert.is_nil(first:getHost())
      assert.is_nil(outcome(function() return second:stopListening() end))
    end)

    it("keeps nothing of a body that raises", function()
      local port
      assert.matches("boo", outcome(function()
        port = listen()
        error "boo"
      end, { keep = true }))
      assert.is_nil(port:getHost())
    end)
  end)
end)
