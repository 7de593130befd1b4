-- SPDX-License-Identifier: MIT
-- agreement_spec.lua -- what a server and a client agree on: protocol, certificate by name, version, ciphers,
-- sessions to resume; and what changes while they are connected.
local async   = require("twistlua.test").async
local child   = require "system.child"
local defer   = require "twistlua.defer"
local errors  = require "twistlua.error"
local meeting = require "system.tls.meeting"
local ssl     = require "twistlua.ssl"
local test    = require "twistlua.test"

local await = defer.await
local meet, serving, calling, certificate = meeting.meet, meeting.serving, meeting.calling, meeting.certificate

describe("ALPN", function()
  it("takes the first of the server's that the client offers", async(function()
    local outcome = meet(serving { acceptableProtocols = { "h2", "http/1.1" } },
      calling { acceptableProtocols = { "http/1.1", "acme", "h2" } })
    assert.equal("h2", outcome.protocol)
    assert.equal("h2", outcome.server.protocol)
  end))

  it("is absent where one side has none", async(function()
    local outcome = meet(serving { acceptableProtocols = { "h2" } }, calling())
    assert.is_nil(outcome.refused)
    assert.is_nil(outcome.protocol)
    outcome = meet(serving(), calling { acceptableProtocols = { "h2" } })
    assert.is_nil(outcome.refused)
    assert.is_nil(outcome.protocol)
  end))

  it("refuses a client with others only", async(function()
    local outcome = meet(serving { acceptableProtocols = { "h2" } }, calling { acceptableProtocols = { "acme" } })
    assert.matches("the peer's alert: no application protocol", outcome.refused, 1, true)
    assert.matches("no application protocol", outcome.server.refused)
  end))
end)

describe("SNI", function()
  local one, wild = certificate { names = { "one.example" } }, certificate { names = { "*.two.example" } }

  local function chosen(options, name)
    local outcome = meet(options, calling { hostname = name })
    return outcome.refused or outcome.certificate
  end

  it("picks the certificate from a table", async(function()
    local options = serving {
      chooseCertificate = { ["one.example"] = one:options(), ["*.two.example"] = wild:options() },
    }
    assert.is_true(one == chosen(options, "one.example"))
    assert.is_true(one == chosen(options, "ONE.example."))
    assert.is_true(wild == chosen(options, "a.two.example"))
    assert.is_true(meeting.server == chosen(options, "localhost"))
    assert.is_true(meeting.server == chosen(options, "127.0.0.1"))   -- an address is no name
    assert.matches("not valid for 'two.example'", chosen(options, "two.example"), 1, true)
  end))

  it("asks a function, which may refuse", async(function()
    local asked = {}
    local ones = one:options()
    local options = serving { chooseCertificate = function(name)
      asked[#asked + 1] = name
      if name == "refused.example" then return false end
      return name == "one.example" and ones or nil
    end }
    assert.is_true(one == chosen(options, "one.example"))
    assert.is_true(meeting.server == chosen(options, "localhost"))
    assert.matches("the peer's alert: unrecognized name", chosen(options, "refused.example"), 1, true)
    assert.same({ "one.example", "localhost", "refused.example" }, asked)
  end))

  it("serves without a certificate of its own", async(function()
    local options = ssl.CertificateOptions { chooseCertificate = { ["one.example"] = one:options() } }
    assert.is_true(one == chosen(options, "one.example"))
    assert.matches("alert", chosen(options, "other.example"))
  end))

  it("refuses the client whose name makes the function fail, and logs it", async(function()
    local options = serving { chooseCertificate = function() error "boom" end }
    assert.matches("the peer's alert: unrecognized name", chosen(options, "localhost"), 1, true)
    options:reload { chooseCertificate = function() return { getContext = function() return 1 end } end }
    assert.matches("the peer's alert: unrecognized name", chosen(options, "localhost"), 1, true)
    local logged = test.flushLoggedErrors()
    assert.equal(2, #logged)
    assert.matches("boom", tostring(logged[1].value))
  end))

  it("counts with the trust and the protocols of what it picks", async(function()
    local strict = serving { trustRoot = meeting.authority, acceptableProtocols = { "strict" } }
    local options = serving { chooseCertificate = { localhost = strict }, acceptableProtocols = { "mild" } }
    local client = { acceptableProtocols = { "mild", "strict" } }
    assert.matches("certificate required", meet(options, calling(client)).refused)
    client.hostname = "127.0.0.1"
    assert.equal("mild", meet(options, calling(client)).protocol)
    client.hostname, client.clientCertificate = "localhost", certificate { names = { "client" } }
    local outcome = meet(options, calling(client))
    assert.equal("strict", outcome.protocol)
    assert.is_true(client.clientCertificate == outcome.server.certificate)
  end))

  it("does not resume with one name what was verified for another", async(function()
    local strict = serving { trustRoot = meeting.authority }
    local options = serving { chooseCertificate = { localhost = strict } }
    local client = calling { clientCertificate = certificate { names = { "client" } } }
    assert.is_false(meet(options, client).resumed)
    assert.is_true(meet(options, client).resumed)
    options:reload { chooseCertificate = {} }
    assert.is_false(meet(options, client).resumed)
  end))
end)

describe("versions and ciphers", function()
  it("are the best of both", async(function()
    assert.equal("TLSv1.3", meet(serving(), calling()).version)
    local outcome = meet(serving { lowerMaximumSecurityTo = ssl.TLSVersion.TLSv1_2 }, calling())
    assert.equal("TLSv1.2", outcome.version)
    assert.matches("^ECDHE%-ECDSA%-.*", outcome.cipher)
  end))

  it("are refused below the minimum", async(function()
    local old = { extraCertificateOptions = {
      insecurelyLowerMinimumTo = ssl.TLSVersion.TLSv1_0, lowerMaximumSecurityTo = ssl.TLSVersion.TLSv1_1,
    } }
    local outcome = meet(serving(), calling(old))
    assert.matches("the peer's alert: protocol version", outcome.refused, 1, true)
    assert.matches("unsupported protocol", outcome.server.refused)
    assert.equal("TLSv1.1", meet(serving { insecurelyLowerMinimumTo = ssl.TLSVersion.TLSv1_1 }, calling(old)).version)
    outcome = meet(serving { raiseMinimumTo = ssl.TLSVersion.TLSv1_3 },
      calling { extraCertificateOptions = { lowerMaximumSecurityTo = ssl.TLSVersion.TLSv1_2 } })
    assert.matches("protocol version", outcome.refused)
  end))

  it("are those that were asked for", async(function()
    local only = ssl.AcceptableCiphers.fromOpenSSLCipherString(
      "TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-AES256-GCM-SHA384")
    assert.equal("TLS_CHACHA20_POLY1305_SHA256", meet(serving { acceptableCiphers = only }, calling()).cipher)
    local two = { acceptableCiphers = only, lowerMaximumSecurityTo = ssl.TLSVersion.TLSv1_2 }
    assert.equal("ECDHE-ECDSA-AES256-GCM-SHA384", meet(serving(two), calling()).cipher)
    local other = ssl.AcceptableCiphers.fromOpenSSLCipherString "ECDHE-ECDSA-AES128-GCM-SHA256"
    local outcome = meet(serving(two), calling { extraCertificateOptions = {
      acceptableCiphers = other, lowerMaximumSecurityTo = ssl.TLSVersion.TLSv1_2,
    } })
    assert.matches("no shared cipher", outcome.server.refused)
  end))
end)

describe("resumption", function()
  for _, version in ipairs { ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3 } do
    it("happens whenever a client comes again, with TLS " .. version, async(function()
      local options = serving { lowerMaximumSecurityTo = version }
      local client = calling()
      assert.is_false(meet(options, client).resumed)
      for _ = 1, 3 do
        local outcome = meet(options, client)
        assert.is_true(outcome.resumed)
        assert.is_true(outcome.server.resumed)
        assert.is_true(meeting.server == outcome.certificate)
      end
      assert.is_false(meet(options, calling()).resumed)
    end))
  end

  it("is the business of servers that share keys", async(function()
    local one, other, client = serving(), serving(), calling()
    meet(one, client)
    assert.is_false(meet(other, client).resumed)
    other:setTicketKeys(one:getTicketKeys())
    assert.is_true(meet(one, client).resumed == false)   -- the last session is the other's
    assert.is_true(meet(other, client).resumed)
    assert.is_true(meet(one, client).resumed)
  end))

  it("goes on after the keys changed, three times", async(function()
    local options, client = serving(), calling()
    meet(options, client)
    local first = options:getTicketKeys()
    for _ = 1, 5 do
      options:rotateTicketKeys()
      assert.is_true(meet(options, client).resumed)   -- which brings a ticket of the new key
    end
    local late = serving { ticketKeys = first }
    assert.is_false(meet(late, client).resumed)
    for _ = 1, 3 do late:rotateTicketKeys() end
    assert.is_true(meet(late, client).resumed)
    for _ = 1, 4 do late:rotateTicketKeys() end
    assert.is_false(meet(late, client).resumed)
  end))

  it("can be turned off", async(function()
    local client = calling()
    local options = serving { enableSessions = false }
    for _ = 1, 2 do assert.is_false(meet(options, client).resumed) end
    client = calling { extraCertificateOptions = { enableSessions = false } }
    options = serving()
    for _ = 1, 2 do assert.is_false(meet(options, client).resumed) end
  end))
end)

describe("reload", function()
  it("gives new connections the new certificate, and leaves the old ones alone", async(function()
    local path = child.file(meeting.server:dumpPEM())
    local fresh = certificate()
    local options = ssl.CertificateOptions { certificateFile = path, privateKeyFile = path }
    local port = meeting.listen(options)
    local old = meeting.call(port, calling())
    assert.is_true(old.transport:getPeerCertificate() == meeting.server)
    local file <close> = assert(io.open(path, "w"))
    file:write(fresh:dumpPEM()):flush()
    options:reload()
    local new = meeting.call(port, calling())
    assert.is_true(new.transport:getPeerCertificate() == fresh)
    local served = port.factory.made[1]
    served.transport:write " again"
    await(old:whenReceived(11))
    assert.equal("hello again", old:data())
    file:seek "set"
    file:write(("x"):rep(100)):flush()
    assert.has_error(function() options:reload() end)
    local newer = meeting.call(port, calling())
    assert.is_true(newer.transport:getPeerCertificate() == fresh)
    for _, client in ipairs { old, new, newer } do meeting.part(client) end
    for _, server in ipairs(port.factory.made) do server:awaitLost() end
    await(port:stopListening())
    os.remove(path)
  end))
end)

describe("an encrypted key", function()
  it("serves with its passphrase", async(function()
    local options = ssl.CertificateOptions {
      certificate = meeting.server:dumpCertificatePEM(), privateKey = meeting.server.privateKey:dumpPEM "secret",
      passphrase = "secret",
    }
    assert.is_nil(meet(options, calling()).refused)
  end))
end)

describe("listenSSL", function()
  it("raises at once without a certificate", function()
    local _, raised = pcall(meeting.listen, ssl.CertificateOptions())
    assert.is_true(raised:is(errors.SSLError))
    assert.matches("certificate", tostring(raised))
  end)
end)
