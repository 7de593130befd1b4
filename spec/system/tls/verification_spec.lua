-- SPDX-License-Identifier: MIT
-- verification_spec.lua -- whose certificates are accepted, by clients and by servers, and how a refusal reads.
local async   = require("twistlua.test").async
local child   = require "system.child"
local meeting = require "system.tls.meeting"
local ssl     = require "twistlua.ssl"

local meet, serving, calling, certificate = meeting.meet, meeting.serving, meeting.calling, meeting.certificate

local function clientOf(given, signer)
  given = given or {}
  given.names = given.names or { "client.example" }
  return certificate(given, signer)
end

describe("a client", function()
  it("accepts a certificate of the host from who is trusted", async(function()
    local outcome = meet(serving(), calling())
    assert.is_nil(outcome.refused)
    assert.equal("TLSv1.3", outcome.version)
    assert.is_true(meeting.server == outcome.certificate)
    assert.is_nil(outcome.server.certificate)
  end))

  it("verifies IP addresses", async(function()
    assert.is_nil(meet(serving(), calling { hostname = "127.0.0.1" }).refused)
    assert.is_nil(meet(serving(), calling { hostname = "::1" }, "::1").refused)
    assert.matches("certificate is not valid for '127.0.0.2'",
      meet(serving(), calling { hostname = "127.0.0.2" }).refused, 1, true)
    local named = certificate { names = { "localhost" } }
    assert.matches("certificate is not valid for '127.0.0.1'",
      meet(serving { certificate = named }, calling { hostname = "127.0.0.1" }).refused, 1, true)
  end))

  it("takes the host that it connects to for the name, unless it is told another", async(function()
    local options = ssl.CertificateOptions { trustRoot = meeting.authority }
    assert.is_nil(meet(serving(), options).refused)   -- connectSSL "127.0.0.1"
    options = ssl.CertificateOptions { trustRoot = meeting.authority, hostname = "example.org" }
    assert.matches("certificate is not valid for 'example.org'", meet(serving(), options).refused, 1, true)
  end))

  it("accepts a wildcard for one label", async(function()
    local wild = serving { certificate = certificate { names = { "*.example.org" } } }
    assert.is_nil(meet(wild, calling { hostname = "www.example.org" }).refused)
    for _, name in ipairs { "example.org", "a.b.example.org" } do
      assert.matches("certificate is not valid for '" .. name, meet(wild, calling { hostname = name }).refused, 1, true)
    end
  end))

  local stranger = ssl.KeyPair.generate():selfSignedCert({ CN = "stranger" }, { authority = true })
  local alone = ssl.KeyPair.generate():selfSignedCert({ CN = "localhost" }, { names = { "localhost" } })

  local REFUSED = {
    ["certificate has expired"] = certificate { validFrom = os.time() - 7200, secondsToExpiry = -3600 },
    ["certificate is not yet valid"] = certificate { validFrom = os.time() + 3600 },
    ["certificate is not valid for 'localhost'"] = certificate { names = { "elsewhere.example" } },
    ["unsuitable certificate purpose"] = certificate { purposes = { "clientAuth" } },
    ["self-signed certificate"] = alone,
    ["unable to get local issuer certificate"] = certificate({}, stranger),
    ["unsuitable CA certificate|invalid CA certificate"] = certificate({}, meeting.server),
  }
  REFUSED["unsuitable CA certificate|invalid CA certificate"].chain = { meeting.server }

  for words, refused in pairs(REFUSED) do
    it("says: " .. words, async(function()
      local outcome = meet(serving { certificate = refused }, calling())
      local found = false
      for word in words:gmatch "[^|]+" do found = found or outcome.refused:find(word, 1, true) end
      assert.is_truthy(found, outcome.refused)
      assert.matches("SSLError", outcome.refused)
      assert.matches("the peer's alert: ", outcome.server.refused, 1, true)
    end))
  end

  it("needs the chain that leads to what it trusts", async(function()
    local between = certificate({ names = { "between" }, authority = true })
    local far = certificate({}, between)
    assert.matches("unable to get local issuer", meet(serving { certificate = far }, calling()).refused)
    assert.is_nil(meet(serving { certificate = far, extraCertChain = { between } }, calling()).refused)
    local path = child.file(far:dumpPEM() .. between:dumpCertificatePEM())
    local fromFile = ssl.CertificateOptions { certificateFile = path, privateKeyFile = path }
    assert.is_nil(meet(fromFile, calling()).refused)
    os.remove(path)
    far.chain = { between }
    assert.is_nil(meet(serving { certificate = far }, calling()).refused)
  end))

  it("trusts a certificate as it is", async(function()
    assert.is_nil(meet(serving(), calling { trustRoot = meeting.server }).refused)
    assert.is_nil(meet(serving { certificate = alone }, calling { trustRoot = alone }).refused)
  end))

  it("skips verification only where it is told to, in as many words", async(function()
    local wrong = serving { certificate = certificate({ names = { "elsewhere.example" } }, stranger) }
    assert.is_nil(meet(wrong, calling { insecurelySkipVerification = true }).refused)
    local elsewhere = serving { certificate = certificate { names = { "elsewhere.example" } } }
    local careless = calling { insecurelySkipHostnameVerification = true }
    assert.is_nil(meet(elsewhere, careless).refused)
    assert.matches("unable to get local issuer", meet(wrong, careless).refused)
  end))

  -- In a child, for the system's trust is the environment's.
  it("trusts what the system does", function()
    local path = child.file(meeting.authority:dumpCertificatePEM())
    local own = child.file(meeting.server:dumpPEM())
    local code = [[
      package.path = "spec/?.lua;" .. package.path
      local async, meeting = require("twistlua.test").async, require "system.tls.meeting"
      local ssl = require "twistlua.ssl"
      local path = ...
      async(function()
        local served = ssl.CertificateOptions { certificateFile = path, privateKeyFile = path }
        for _, root in ipairs { false, ssl.platformTrust() } do
          local options = ssl.optionsForClientTLS("localhost", { trustRoot = root or nil })
          print(meeting.meet(served, options).refused)
        end
      end)()
    ]]
    local outcome = child.run({ child.program, "-e", code, own }, { env = { SSL_CERT_FILE = path } })
    assert.same({ status = 0, stdout = "nil\nnil\n", stderr = "" }, outcome)
    local nobody = { SSL_CERT_FILE = "/dev/null", SSL_CERT_DIR = "/nowhere" }
    outcome = child.run({ child.program, "-e", code, own }, { env = nobody })
    assert.matches("unable to get local issuer.*\n.*unable to get local issuer", outcome.stdout)
    os.remove(path)
    os.remove(own)
  end)
end)

describe("a server", function()
  it("asks for no certificate without a trust root", async(function()
    local outcome = meet(serving(), calling { clientCertificate = clientOf() })
    assert.is_nil(outcome.refused)
    assert.is_nil(outcome.server.certificate)
  end))

  it("requires a certificate with one", async(function()
    local strict = serving { trustRoot = meeting.authority }
    local shown = clientOf()
    local outcome = meet(strict, calling { clientCertificate = shown })
    assert.is_nil(outcome.refused)
    assert.is_true(outcome.server.certificate == shown)
    outcome = meet(strict, calling())
    assert.matches("peer did not return a certificate", outcome.server.refused)
    assert.matches("the peer's alert: certificate required", outcome.refused, 1, true)
  end))

  it("takes none or a good one where it is optional", async(function()
    local mild = serving { trustRoot = meeting.authority, requireCertificate = false }
    assert.is_nil(meet(mild, calling()).refused)
    assert.is_nil(meet(mild, calling { clientCertificate = clientOf() }).refused)
    local stranger = ssl.KeyPair.generate():selfSignedCert({ CN = "stranger" }, { authority = true })
    local outcome = meet(mild, calling { clientCertificate = clientOf({}, stranger) })
    assert.matches("unable to get local issuer certificate", outcome.server.refused)
    assert.matches("the peer's alert: unknown CA", outcome.refused, 1, true)
    outcome = meet(mild, calling { clientCertificate = clientOf { purposes = { "serverAuth" } } })
    assert.matches("unsuitable certificate purpose", outcome.server.refused)
    outcome = meet(mild, calling {
      clientCertificate = clientOf { validFrom = os.time() - 7200, secondsToExpiry = -3600 },
    })
    assert.matches("certificate has expired", outcome.server.refused)
    assert.matches("the peer's alert: certificate expired", outcome.refused, 1, true)
  end))
end)
