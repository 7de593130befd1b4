-- SPDX-License-Identifier: MIT
-- timeouts_spec.lua -- how long clients may take, on a clock under the spec's control.
local Served = require "lua.web.served"
local async  = require "twistlua.test".async
local server = require "twistlua.web.server"

local GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

describe("a slow client", function()
  local served

  -- Second by second, as a reactor would.
  local function pass(seconds)
    for _ = 1, seconds do served.clock:advance(1) end
  end

  local function does(name, body)
    it(name, async(function()
      body()
      served:lose()
    end))
  end

  does("that says nothing is closed after the timeout, and not before", function()
    served = Served(function() return "x" end, { timeout = 10 })
    pass(9)
    assert.is_false(served:isClosed())
    pass(3)
    assert.is_true(served:isClosed())
    assert.equal("", served:take())
  end)

  does("has the timeout again after each response", function()
    served = Served(function() return "x" end, { timeout = 10 })
    for _ = 1, 3 do
      pass(9)
      assert.equal(200, (served:get("/")))
    end
    pass(9)
    assert.is_false(served:isClosed())
    pass(3)
    assert.is_true(served:isClosed())
  end)

  does("that drips a head gets 408", function()
    served = Served(function() return "x" end, { headTimeout = 10, timeout = 60 })
    for at = 1, 9 do
      served:send(GET:sub(at, at))
      pass(1)
    end
    assert.equal("", served:take())
    served:send(GET:sub(10, 10))
    pass(3)
    assert.equal(408, (Served.parse(served:take())))
    assert.is_true(served:isClosed())
  end)

  does("that drips a body gets 408, but has more time the more it sends", function()
    served = Served(function() return "x" end, { bodyTimeout = 10, bodyRate = 100 })
    served:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", ("x"):rep(1000))
    pass(19)
    assert.equal("", served:take())
    pass(3)
    assert.equal(408, (Served.parse(served:take())))
    assert.is_true(served:isClosed())
  end)

  does("does not hurry a handler", function()
    local waiting
    served = Served(function(request)
      waiting = request
      return server.NOT_DONE_YET
    end, { timeout = 10 })
    served:send(GET)
    pass(100)
    assert.is_false(served:isClosed())
    waiting:finish()
    assert.equal(200, (Served.parse(served:take())))
    pass(12)
    assert.is_true(served:isClosed())
  end)

  does("does not hurry who holds back its body", function()
    local asked
    served = Served(Served.leaf(function() return "done" end, {
      onBody = function(_, request)
        asked = request
        return { write = function() request:pauseProducing() end }
      end,
    }), { bodyTimeout = 10 })
    served:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
    pass(100)
    assert.is_false(served:isClosed())
    asked:resumeProducing()
    assert.equal("producing", served.transport.producerState)
    assert.truthy(served:send("cd"):find("\r\n\r\ndone$"))
  end)

  does("that does not read is cut off when nothing moves any more", function()
    local pending = 1000000
    served = Served(function() return "x" end, { timeout = 10, abortTimeout = 5 })
    function served.transport.getPending() return pending end
    served:send(GET)
    for _ = 1, 5 do
      pass(11)
      pending = pending - 1000
    end
    assert.is_false(served.transport.aborting)
    pass(25)
    assert.is_true(served.transport.aborting)
  end)

  does("that does not take its end is cut off after abortTimeout", function()
    served = Served(function() return "x" end, { abortTimeout = 5 })
    served.transport.loseConnection = function(transport) transport.disconnecting = true end
    served:send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert.is_true(served.transport.disconnecting)
    pass(4)
    assert.is_false(served.transport.aborting)
    pass(3)
    assert.is_true(served.transport.aborting)
    served.transport.loseConnection = nil
  end)

  does("leaves nothing behind", function()
    served = Served(function() return "x" end)
    served:lose()
    assert.same({}, served.clock:getDelayedCalls())
  end)
end)
