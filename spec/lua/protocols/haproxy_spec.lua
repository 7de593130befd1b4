local address  = require "twistlua.address"
local errors   = require "twistlua.error"
local Failure  = require("twistlua.failure").Failure
local haproxy  = require "twistlua.protocols.haproxy"
local literal  = require "twistlua.protocols.haproxy.literal"
local log      = require "twistlua.log"
local protocol = require "twistlua.protocol"
local task     = require "twistlua.task"
local test     = require "twistlua.test"

local SIGNATURE = "\r\n\r\n\0\r\nQUIT\n"
local A4, B4 = address.IPv4Address("TCP", "192.0.2.1", 51000), address.IPv4Address("TCP", "192.0.2.2", 80)
local A6, B6 = address.IPv6Address("TCP", "2001:db8::1", 51000), address.IPv6Address("TCP", "::1", 80)

-- Parse by every way to cut it in two, with more behind it.
local function parsed(bytes)
  for cut = 0, #bytes - 1 do
    local header, consumed = haproxy.parseHeader(bytes:sub(1, cut))
    assert.is_nil(header)
    assert.is_nil(consumed, ("refused after %d bytes: %s"):format(cut, consumed))
  end
  local header, consumed = haproxy.parseHeader(bytes .. "more\r\n")
  assert.equal(#bytes, consumed)
  return header
end

describe("IP literals", function()
  it("become bytes and text again", function()
    for text, canonical in pairs {
      ["::"] = "::", ["::1"] = "::1", ["1::"] = "1::", ["2001:DB8:0:0:0:0:0:1"] = "2001:db8::1",
      ["1:2:3:4:5:6:7:8"] = "1:2:3:4:5:6:7:8", ["1:0:0:2:0:0:0:3"] = "1:0:0:2::3",
      ["1:0:2:3:4:5:6:7"] = "1:0:2:3:4:5:6:7",
      ["0:0:1:0:0:1:0:0"] = "::1:0:0:1:0:0", ["::ffff:192.0.2.1"] = "::ffff:192.0.2.1",
      ["::192.0.2.1"] = "::c000:201", ["1:2:3:4:5:6:192.0.2.1"] = "1:2:3:4:5:6:c000:201",
    } do
      local bytes = literal.toIPv6(text)
      assert.equal(16, bytes and #bytes, text)
      assert.equal(canonical, literal.fromIPv6(bytes))
    end
    assert.equal("192.0.2.1", literal.fromIPv4(literal.toIPv4("192.0.2.1")))
  end)

  it("are refused when they are none", function()
    for _, bad in ipairs { "", ":", ":::", "1::2::3", "12345::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "g::", "::1.2.3",
                           "::1.2.3.4:5", "1.2.3.4::", "1:2:3:4:5:6:7::8", "fe80::1%eth0", "::256.1.1.1", "1.2.3.4" } do
      assert.is_nil(literal.toIPv6(bad), bad)
    end
    for _, bad in ipairs { "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.-4", "a.b.c.d", "::1" } do
      assert.is_nil(literal.toIPv4(bad), bad)
    end
  end)
end)

describe("parseHeader", function()
  it("reads version 1", function()
    local header = parsed "PROXY TCP4 192.0.2.1 192.0.2.2 51000 80\r\n"
    assert.equal(1, header.version)
    assert.equal(A4, header.source)
    assert.equal(B4, header.destination)
    header = parsed "PROXY TCP6 2001:db8::1 ::1 51000 80\r\n"
    assert.equal(A6, header.source)
    assert.equal(B6, header.destination)
    for _, line in ipairs { "PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff::1 whatever\r\n" } do
      assert.same({ version = 1, tlvs = {} }, parsed(line))
    end
  end)

  it("reads a line of 107 bytes and no longer one", function()
    local long = "PROXY UNKNOWN " .. ("x"):rep(107 - 16) .. "\r\n"
    assert.equal(107, #long)
    assert.equal(1, parsed(long).version)
    for _, bytes in ipairs { "PROXY UNKNOWN " .. ("x"):rep(107 - 15) .. "\r\n", "PROXY UNKNOWN " .. ("x"):rep(107) } do
      assert.matches("a line of more than 107 bytes", select(2, haproxy.parseHeader(bytes)))
    end
  end)

  it("reads version 2", function()
    local header = parsed(SIGNATURE .. "\x21\x11\0\x0c" .. "\xc0\0\2\1\xc0\0\2\2" .. "\xc7\x38\0\x50")
    assert.same({ version = 2, source = A4, destination = B4, tlvs = {} }, header)
    header = parsed(SIGNATURE .. "\x21\x12\0\x0c" .. "\xc0\0\2\1\xc0\0\2\2" .. "\xc7\x38\0\x50")
    assert.equal("UDP", header.source.type)
    local one = "\x20\x01\x0d\xb8" .. ("\0"):rep(11) .. "\1"
    header = parsed(SIGNATURE .. "\x21\x21\0\x24" .. one .. ("\0"):rep(15) .. "\1" .. "\xc7\x38\0\x50")
    assert.equal(A6, header.source)
    assert.equal(B6, header.destination)
    header = parsed(SIGNATURE .. "\x21\x31\0\xd8" .. ("c108c108"):pack("/tmp/x", "\0abstract"))
    assert.equal("/tmp/x", header.source.name)
    assert.equal("\0abstract", header.destination.name)
    header = parsed(SIGNATURE .. "\x21\x31\0\xd8" .. ("c108c108"):pack("", ("p"):rep(108)))
    assert.is_nil(header.source.name)
    assert.equal(108, #header.destination.name)
  end)

  it("takes the socket's addresses for LOCAL, whatever follows, and for an unspecified family", function()
    for _, bytes in ipairs {
      SIGNATURE .. "\x20\x00\0\0", SIGNATURE .. "\x20\xff\0\3abc", SIGNATURE .. "\x21\x00\0\0",
      SIGNATURE .. "\x21\x00\0\4\4\0\1x",
    } do
      local header = parsed(bytes)
      assert.equal(2, header.version)
      assert.is_nil(header.source)
    end
  end)

  it("keeps the TLVs in order", function()
    local tlvs = { { type = 2, value = "example.com" }, { type = 4, value = "" },
                   { type = 0xe0, value = ("x"):rep(300) } }
    assert.same(tlvs, parsed(haproxy.makeHeader(A4, B4, { tlvs = tlvs })).tlvs)
  end)

  it("refuses what is no header as soon as that is known", function()
    for bytes, message in pairs {
      ["GET / HTTP/1.1\r\n\r\n"]                            = "no header of the PROXY protocol",
      ["P "]                                                = "no header",
      ["PROXX"]                                             = "no header",
      ["\r\n\r\n\0\r\nQUIX"]                                = "no header",
      ["PROXY \r\n"]                                        = "not as in version 1",
      ["PROXY TCP4\r\n"]                                    = "not as in version 1",
      ["PROXY UNKNOWNS\r\n"]                                = "not as in version 1",
      ["PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n"]                = "not as in version 1",
      ["PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n"]                = "not as in version 1",
      ["PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"]                  = "not as in version 1",
      ["PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n"]              = "not as in version 1",
      ["PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n"]               = "not as in version 1",
      ["PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n\r\n"]              = "not as in version 1",
      ["PROXY TCP4 ::1 ::1 1 2\r\n"]                        = "an address that is none",
      ["PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n"]                = "an address that is none",
      ["PROXY TCP4 1.2.3.4 1.2.3.256 1 2\r\n"]              = "an address that is none",
      ["PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n"]            = "an address that is none",
      ["PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n"]               = "an address that is none",
      ["PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n"]               = "an address that is none",
      [SIGNATURE .. "\x11\x11\0\0"]                         = "the unknown version 1",
      [SIGNATURE .. "\x22\x11\0\0"]                         = "the unknown command 2",
      [SIGNATURE .. "\x21\x41\0\0"]                         = "the unknown family 0x41",
      [SIGNATURE .. "\x21\x13\0\0"]                         = "the unknown family 0x13",
      [SIGNATURE .. "\x21\x11\0\x0b" .. ("x"):rep(11)]      = "11 bytes of addresses, fewer than 12",
      [SIGNATURE .. "\x21\x21\0\x0c" .. ("x"):rep(12)]      = "12 bytes of addresses, fewer than 36",
      [SIGNATURE .. "\x21\x31\0\x0c" .. ("x"):rep(12)]      = "12 bytes of addresses, fewer than 216",
      [SIGNATURE .. "\x21\x11\0\x0d" .. ("x"):rep(13)]      = "a TLV that is cut off",
      [SIGNATURE .. "\x21\x11\0\x10" .. ("x"):rep(12) .. "\4\0\2x"] = "a TLV that is cut off",
    } do
      local header, problem = haproxy.parseHeader(bytes)
      assert.is_nil(header, bytes)
      assert.matches(message, problem, 1, true)
    end
  end)

  it("never raises, whatever comes", function()
    math.randomseed(42)
    local starts = { "PROXY ", "PROXY TCP4 1.2.3.4 ", SIGNATURE, SIGNATURE .. "\x21\x11\0\x20",
                     SIGNATURE .. "\x21\x21\0\x28" }
    for _ = 1, 5000 do
      local bytes = {}
      for index = 1, math.random(0, 60) do bytes[index] = string.char(math.random(0, 255)) end
      local header, consumed = haproxy.parseHeader(starts[math.random(#starts)] .. table.concat(bytes))
      assert.is_true(header == nil or math.type(consumed) == "integer")
    end
  end)
end)

describe("makeHeader", function()
  it("makes what parseHeader reads", function()
    for _, version in ipairs { 1, 2 } do
      for _, pair in ipairs { { A4, B4 }, { A6, B6 } } do
        local header = parsed(haproxy.makeHeader(pair[1], pair[2], { version = version }))
        assert.equal(version, header.version)
        assert.equal(pair[1], header.source)
        assert.equal(pair[2], header.destination)
      end
      assert.is_nil(parsed(haproxy.makeHeader(nil, nil, { version = version })).source)
    end
    local path = address.UNIXAddress("/tmp/x")
    assert.equal(path, parsed(haproxy.makeHeader(path, path)).source)
    assert.equal("PROXY UNKNOWN\r\n", haproxy.makeHeader(path, path, { version = 1 }))
    assert.equal("PROXY TCP4 192.0.2.1 192.0.2.2 51000 80\r\n", haproxy.makeHeader(A4, B4, { version = 1 }))
  end)

  it("refuses addresses and versions that there are not", function()
    assert.error_matches(function() haproxy.makeHeader(A4, B6) end, "both addresses must be of the same family")
    assert.error_matches(function() haproxy.makeHeader(A4, nil) end, "both addresses")
    assert.error_matches(function() haproxy.makeHeader({}, {}) end, "Address expected")
    assert.error_matches(function() haproxy.makeHeader(A4, B4, { version = 3 }) end, "version must be 1 or 2, got 3")
    local named = address.IPv4Address("TCP", "example.com", 80)
    assert.error_matches(function() haproxy.makeHeader(named, B4) end, "must be an IP literal")
  end)
end)

describe("HAProxyWrappingFactory", function()
  local clock, inner, factory, wrapper, transport, texts
  local V1 = "PROXY TCP4 192.0.2.1 192.0.2.2 51000 80\r\n"

  local function observer(event) texts[#texts + 1] = event.text end

  before_each(function()
    clock, texts = task.Clock(), {}
    inner = protocol.Factory.forProtocol(test.AccumulatingProtocol)
    factory = haproxy.HAProxyWrappingFactory(inner)
    factory.clock = clock
    wrapper, transport = factory:buildProtocol(), test.StringTransport()
    wrapper:makeConnection(transport)
    log.addObserver(observer)
  end)
  after_each(function() log.removeObserver(observer) end)

  it("begins the protocol when it knows the peer", function()
    local built
    function inner:buildProtocol(addr)
      built = addr
      return protocol.Factory.buildProtocol(self, addr)
    end
    for at = 1, #V1 - 1 do wrapper:dataReceived(V1:sub(at, at)) end
    assert.is_nil(built)
    wrapper:dataReceived("\nhello")
    assert.equal(A4, built)
    local server = wrapper.wrappedProtocol
    assert.equal(1, server.made)
    assert.equal(A4, server.transport:getPeer())
    assert.equal(B4, server.transport:getHost())
    assert.equal(1, server.transport.proxyHeader.version)
    assert.equal("hello", server.data)
    wrapper:dataReceived(", PROXY ")
    assert.equal("hello, PROXY ", server.data)
    server.transport:write("answer")
    assert.equal("answer", transport:value())
    wrapper:connectionLost(Failure(errors.ConnectionDone()))
    assert.equal(1, server.closed)
    assert.same({}, clock:getDelayedCalls())
    assert.same({}, texts)
  end)

  it("reports the socket's addresses where the proxy speaks for itself", function()
    wrapper:dataReceived(haproxy.makeHeader())
    assert.equal(transport:getPeer(), wrapper.wrappedProtocol.transport:getPeer())
    assert.equal(transport:getHost(), wrapper.wrappedProtocol.transport:getHost())
  end)

  it("closes a connection that begins with anything else, and says so", function()
    wrapper:dataReceived("GET / HTTP/1.1\r\n")
    assert.is_true(transport.disconnecting)
    assert.is_nil(wrapper.wrappedProtocol)
    assert.equal("Factory (HAProxyWrappingFactory): the connection from " .. tostring(transport:getPeer())
                 .. " is closed: no header of the PROXY protocol", texts[1])
    wrapper:connectionLost(Failure(errors.ConnectionDone()))
    assert.equal(1, #texts)
    assert.same({}, clock:getDelayedCalls())
  end)

  it("closes a connection whose header does not come in time", function()
    wrapper:dataReceived("PROXY ")
    clock:advance(9.9)
    assert.is_false(transport.disconnecting)
    clock:advance(0.1)
    assert.is_true(transport.disconnecting)
    assert.matches("no complete PROXY header came within 10 seconds", texts[1])
  end)

  it("waits for a header as long as it is told", function()
    local other = haproxy.HAProxyWrappingFactory(inner)
    other.clock, other.headerTimeout = clock, 1
    local late = other:buildProtocol()
    late:makeConnection(test.StringTransport())
    clock:advance(1)
    assert.is_true(late.transport.disconnecting)
    assert.is_false(transport.disconnecting)
  end)

  it("says when a header was cut off, and nothing of a check that sends none", function()
    wrapper:connectionLost(Failure(errors.ConnectionDone()))
    assert.same({}, texts)
    local cut = factory:buildProtocol()
    cut:makeConnection(test.StringTransport())
    cut:dataReceived("PROXY TC")
    cut:connectionLost(Failure(errors.ConnectionDone()))
    assert.matches("ended within the PROXY header", texts[1])
  end)

  it("closes a connection that the factory refuses", function()
    function inner:buildProtocol() return nil end
    wrapper:dataReceived(V1)
    assert.is_true(transport.disconnecting)
    wrapper:connectionLost(Failure(errors.ConnectionDone()))
  end)

  it("keeps what came with the header while the protocol is paused", function()
    local Shy = test.AccumulatingProtocol:extend("Shy")
    function Shy:connectionMade() self.transport:pauseProducing() end
    inner.protocol = Shy
    wrapper:dataReceived(V1 .. "early")
    local shy = wrapper.wrappedProtocol
    assert.equal("", shy.data)
    assert.equal("paused", transport.producerState)
    shy.transport:resumeProducing()
    assert.equal("early", shy.data)
    assert.equal("producing", transport.producerState)
    shy.transport:pauseProducing()
    shy.transport:resumeProducing()
    assert.equal("early", shy.data)
  end)

  it("delivers nothing after loseConnection", function()
    local Brief = test.AccumulatingProtocol:extend("Brief")
    function Brief:connectionMade() self.transport:loseConnection() end
    inner.protocol = Brief
    wrapper:dataReceived(V1 .. "early")
    assert.equal("", wrapper.wrappedProtocol.data)
  end)

  it("half-closes where the protocol does", function()
    wrapper:dataReceived(V1)
    wrapper:readConnectionLost()
    assert.is_true(transport.disconnecting)
    local HalfCloser = test.AccumulatingProtocol:extend("HalfCloser")
    function HalfCloser:readConnectionLost() self.readLost = true end
    inner.protocol = HalfCloser
    local other = factory:buildProtocol()
    other:makeConnection(test.StringTransport())
    other:dataReceived(V1)
    other:readConnectionLost()
    assert.is_true(other.wrappedProtocol.readLost)
    assert.is_false(other.transport.disconnecting)
  end)
end)

describe("proxyEndpoint", function()
  it("listens at the endpoint that it is given", function()
    local listened
    local endpoint = { listen = function(_, factory) listened = factory return "port" end }
    local factory = protocol.Factory()
    assert.equal("port", haproxy.proxyEndpoint(endpoint):listen(factory))
    assert.equal(factory, listened.wrappedFactory)
    assert.is_true(listened:is(haproxy.HAProxyWrappingFactory))
  end)
end)
