-- SPDX-License-Identifier: MIT
-- multicast_spec.lua -- groups, on the loopback interface: it needs no network.
local async   = require("twistlua.test.async").async
local await   = require("twistlua.defer").await
local ends    = require "system.datagrams.ends"
local reactor = require "twistlua.reactor"

local raised = ends.raised
local GROUP = "239.255.17.4"

-- A member of the group on the loopback interface.
local function member(number, options)
  local port = reactor:listenMulticast(number or 0, ends.Recorder(), options)
  await(port:joinGroup(GROUP, "127.0.0.1"))
  return port
end

local function sender()
  local port = reactor:listenMulticast(0, ends.Recorder(), { interface = "127.0.0.1" })
  await(port:setOutgoingInterface "127.0.0.1")
  return port
end

local function stop(...)
  for _, port in ipairs { ... } do await(port:stopListening()) end
end

describe("listenMulticast", function()
  it("hears a group from joining to leaving", async(function()
    local hearing, speaking = member(), sender()
    local number = hearing:getHost().port
    speaking:write("one", GROUP, number)
    await(hearing.protocol:whenReceived(1))
    assert.equal("one", hearing.protocol.received[1][1])
    assert.is_true(hearing.protocol.received[1][2] == speaking:getHost())
    await(hearing:leaveGroup(GROUP, "127.0.0.1"))
    speaking:write("two", GROUP, number)
    speaking:write("three", "127.0.0.1", number)
    await(hearing.protocol:whenReceived(2))
    assert.equal("three", hearing.protocol.received[2][1])
    stop(hearing, speaking)
  end))

  it("lets several ports hear by listenMultiple", async(function()
    local first = member(0, { listenMultiple = true })
    local number = first:getHost().port
    local second, speaking = member(number, { listenMultiple = true }), sender()
    speaking:write("all", GROUP, number)
    await(first.protocol:whenReceived(1))
    await(second.protocol:whenReceived(1))
    local problem = raised(reactor.listenMulticast, reactor, number, ends.Recorder())
    assert.equal("CannotListenError", problem.__name)
    stop(first, second, speaking)
  end))

  -- What is sent on the loopback interface comes back in either mode, and Linux has no IPv6 multicast on it:
  -- more than the options is not to be seen without a network.
  it("keeps its loopback mode", async(function()
    local port = reactor:listenMulticast(0, ends.Recorder(), { interface = "127.0.0.1" })
    assert.is_true(port:getLoopbackMode())
    port:setLoopbackMode(false)
    assert.is_false(port:getLoopbackMode())
    port:setLoopbackMode(true)
    assert.is_true(port:getLoopbackMode())
    stop(port)
  end))

  it("joins groups of IPv6, whose interfaces have names", async(function()
    local port = reactor:listenMulticast(0, ends.Recorder(), { interface = "::" })
    await(port:joinGroup("ff01::1734", "lo"))
    assert.equal("MulticastJoinError", raised(await, port:joinGroup("ff01::1734", "lo")).__name)
    await(port:leaveGroup("ff01::1734", "lo"))
    await(port:joinGroup("ff01::1734%lo"))
    assert.equal("", port:getOutgoingInterface())
    await(port:setOutgoingInterface "lo")
    assert.equal("lo", port:getOutgoingInterface())
    port:setTTL(3)
    assert.equal(3, port:getTTL())
    port:setLoopbackMode(false)
    assert.is_false(port:getLoopbackMode())
    stop(port)
  end))

  it("meets a Python sender", async(function()
    local hearing = member()
    local pipe = ends.python(([[
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
s.sendto(b"from python", ("%s", %d))]]):format(GROUP, hearing:getHost().port))
    await(hearing.protocol:whenReceived(1))
    assert.equal("from python", hearing.protocol.received[1][1])
    pipe:close()
    stop(hearing)
  end))

  it("keeps its time to live, and its interface", async(function()
    local port = reactor:listenMulticast(0, ends.Recorder(), { interface = "127.0.0.1" })
    assert.equal(1, port:getTTL())
    port:setTTL(255)
    assert.equal(255, port:getTTL())
    for _, ttl in ipairs { -1, 256, 1.5, "1" } do
      assert.matches("setTTL: ttl must be an integer", raised(port.setTTL, port, ttl))
    end
    assert.equal("0.0.0.0", port:getOutgoingInterface())
    await(port:setOutgoingInterface "127.0.0.1")
    assert.equal("127.0.0.1", port:getOutgoingInterface())
    stop(port)
    assert.matches("the port is closed", raised(port.getTTL, port))
  end))

  it("fails with MulticastJoinError for what is no group, or no interface of ours", async(function()
    local port = reactor:listenMulticast(0, ends.Recorder())
    for _, case in ipairs {
      { "127.0.0.1" }, { "ff02::1" }, { GROUP, "192.0.2.1" }, { GROUP, "no-such-interface" },
    } do
      local problem = raised(await, port:joinGroup(table.unpack(case)))
      assert.equal("MulticastJoinError", problem.__name)
      assert.matches(case[1], problem.message, 1, true)
    end
    assert.equal("MulticastJoinError", raised(await, port:leaveGroup(GROUP, "127.0.0.1")).__name)
    assert.equal("IOError", raised(await, port:setOutgoingInterface "192.0.2.1").__name)
    assert.equal("IOError", raised(await, port:setOutgoingInterface "no-such-interface").__name)
    assert.matches("group must be a string", raised(port.joinGroup, port))
    assert.matches("interface must be a string", raised(port.joinGroup, port, GROUP, 1))
    stop(port)
  end))
end)
