local address = require "twistlua.address"

describe("IPv4Address", function()
  it("prints as Twisted's does", function()
    assert.equal("IPv4Address(type='TCP', host='127.0.0.1', port=80)",
      tostring(address.IPv4Address("TCP", "127.0.0.1", 80)))
  end)

  it("fits into a format string", function()
    assert.equal("<IPv4Address(type='UDP', host='1.2.3.4', port=5)>",
      ("<%s>"):format(address.IPv4Address("UDP", "1.2.3.4", 5)))
  end)

  it("is equal by value", function()
    local here = address.IPv4Address("TCP", "127.0.0.1", 80)
    assert.is_true(here == address.IPv4Address("TCP", "127.0.0.1", 80))
    assert.is_false(here == address.IPv4Address("TCP", "127.0.0.1", 81))
    assert.is_false(here == address.IPv4Address("TCP", "127.0.0.2", 80))
    assert.is_false(here == address.IPv4Address("UDP", "127.0.0.1", 80))
  end)
end)

describe("IPv6Address", function()
  it("keeps the scope in the host", function()
    assert.equal("IPv6Address(type='TCP', host='fe80::1%eth0', port=80)",
      tostring(address.IPv6Address("TCP", "fe80::1%eth0", 80)))
  end)

  it("never equals an IPv4Address", function()
    assert.is_false(address.IPv6Address("TCP", "x", 1) == address.IPv4Address("TCP", "x", 1))
  end)
end)

describe("UNIXAddress", function()
  it("prints its path", function()
    assert.equal("UNIXAddress('/tmp/x')", tostring(address.UNIXAddress("/tmp/x")))
    assert.equal("UNIXAddress('/tmp/it\\'s')", tostring(address.UNIXAddress("/tmp/it's")))
    assert.equal("UNIXAddress('\\0name')", tostring(address.UNIXAddress("\0name")))
    assert.equal("UNIXAddress(nil)", tostring(address.UNIXAddress()))
  end)

  it("is equal by path, and unlike any other when it has none", function()
    assert.is_true(address.UNIXAddress("/a") == address.UNIXAddress("/a"))
    assert.is_false(address.UNIXAddress("/a") == address.UNIXAddress("/b"))
    assert.is_false(address.UNIXAddress() == address.UNIXAddress())
  end)
end)

describe("HostnameAddress", function()
  it("prints and compares by name and port", function()
    local there = address.HostnameAddress("example.com", 80)
    assert.equal("HostnameAddress(hostname='example.com', port=80)", tostring(there))
    assert.is_true(there == address.HostnameAddress("example.com", 80))
    assert.is_false(there == address.HostnameAddress("example.com", 443))
  end)
end)
