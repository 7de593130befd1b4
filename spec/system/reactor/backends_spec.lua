-- SPDX-License-Identifier: MIT
-- backends_spec.lua -- the choice of epoll, poll or select.
local child   = require "system.child"
local reactor = require "twistlua.reactor"

local BACKENDS = { "epoll", "poll", "select" }
local TELL = [[print(require("twistlua.reactor"):getBackend())]]

-- Run with TWISTLUA_REACTOR set to `wanted`, or not set for nil.
local function tell(wanted, ...)
  return child.run({ child.program, ... }, { env = { TWISTLUA_REACTOR = wanted or false } })
end

local function told(name)
  return { status = 0, stdout = name .. "\n", stderr = "" }
end

describe("the backend", function()
  it("is the one that these specs were asked to run on", function()
    local wanted = os.getenv("TWISTLUA_REACTOR")
    assert.equal(wanted and wanted ~= "" and wanted or "epoll", reactor:getBackend())
  end)

  it("is the best one where nothing was asked for", function()
    assert.same(told "epoll", tell(nil, "-e", TELL))
    assert.same(told "epoll", tell("", "-e", TELL))
  end)

  for _, name in ipairs(BACKENDS) do
    describe(name, function()
      it("is chosen by the environment", function()
        assert.same(told(name), tell(name, "-e", TELL))
      end)

      it("is chosen by --reactor, against the environment", function()
        assert.same(told(name), tell("select", "--reactor=" .. name, "-e", TELL))
        assert.same(told(name), tell("epoll", "--reactor", name, "-e", TELL))
      end)

      it("is chosen by install, before the reactor is used", function()
        local code = ([[require("twistlua.%sreactor").install() ]]):format(name)
        assert.same(told(name), tell(nil, "-e", code .. TELL))
        assert.same(told(name), tell("select", "-e", code .. TELL))
      end)

      it("raises ReactorAlreadyInstalledError by install once there is a reactor", function()
        local outcome = tell(nil, "-e", ([[
          local reactor = require "twistlua.reactor"
          local ok, problem = pcall(require("twistlua.%sreactor").install)
          print(ok, problem:is(require("twistlua.error").ReactorAlreadyInstalledError))
          print(reactor:getBackend(), require "twistlua.reactor" == reactor)
        ]]):format(name))
        assert.same({ status = 0, stdout = "false\ttrue\nepoll\ttrue\n", stderr = "" }, outcome)
      end)

      it("serves connections, timers and readers", function()
        local outcome = tell(nil, "--reactor=" .. name, "-e", [[
          local reactor  = require "twistlua.reactor"
          local protocol = require "twistlua.protocol"
          local Echo, Client = protocol.Protocol:extend("Echo"), protocol.Protocol:extend("Client")
          function Echo:dataReceived(data) self.transport:write(data) end
          function Client:connectionMade() self.transport:write "there and back" end
          function Client:dataReceived(data)
            print(data)
            reactor:callLater(0, reactor.stop, reactor)
          end
          local port = reactor:listenTCP(0, protocol.Factory.forProtocol(Echo), { interface = "127.0.0.1" })
          reactor:connectTCP("127.0.0.1", port:getHost().port, protocol.ClientFactory.forProtocol(Client))
          reactor:run()
        ]])
        assert.same({ status = 0, stdout = "there and back\n", stderr = "" }, outcome)
      end)
    end)
  end

  it("raises ReactorAlreadyInstalledError by install the second time", function()
    local outcome = tell(nil, "-e", [[
      require("twistlua.pollreactor").install()
      print(pcall(require("twistlua.selectreactor").install))
    ]])
    assert.equal(0, outcome.status)
    assert.matches("^false\tReactorAlreadyInstalledError: ", outcome.stdout)
  end)

  it("is not chosen by loading a backend's module alone", function()
    assert.same(told "epoll", tell(nil, "-e", [[require "twistlua.pollreactor" ]] .. TELL))
  end)

  for _, name in ipairs { "kqueue", "epol", "EPOLL", "all" } do
    it(name .. " is refused with the list of those that work", function()
      for _, outcome in ipairs { tell(nil, "--reactor=" .. name, "-e", TELL), tell(name, "-e", TELL) } do
        assert.equal(2, outcome.status)
        assert.equal("", outcome.stdout)
        assert.equal(("twistlua: unknown reactor '%s'; those that work here: epoll poll select\n"):format(name),
          outcome.stderr)
      end
    end)
  end

  it("that is not there is refused by install with the list, and another can be had", function()
    local outcome = tell(nil, "-e", [[
      print(pcall(require("twistlua.kqueuereactor").install))
      require("twistlua.pollreactor").install()
    ]] .. TELL)
    assert.equal(0, outcome.status)
    assert.matches("^false\t.*kqueue.*epoll, poll, select", outcome.stdout)
    assert.matches("\npoll\n$", outcome.stdout)
  end)

  it("that is not there leaves the default where install failed", function()
    local outcome = tell(nil, "-e", [[pcall(require("twistlua.kqueuereactor").install) ]] .. TELL)
    assert.same(told "epoll", outcome)
  end)
end)
