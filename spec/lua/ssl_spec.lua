-- SPDX-License-Identifier: MIT
-- ssl_spec.lua -- the objects of twistlua.ssl; connections that use them are in spec/system/tls.
local child  = require "system.child"
local errors = require "twistlua.error"
local isA    = require("twistlua.class").isA
local ssl    = require "twistlua.ssl"

local key  = ssl.KeyPair.generate()
local root = key:selfSignedCert({ commonName = "root", O = "Größe" }, { authority = true })

-- The error that a call raises, which must be of the class.
local function refusal(class, f, ...)
  local ok, raised = pcall(f, ...)
  assert.is_false(ok)
  assert.is_true(isA(raised, class), tostring(raised))
  return raised.message
end

local function openssl(stdin, ...)
  local outcome = child.run({ "openssl", ... }, { stdin = stdin })
  assert.equal(0, outcome.status, outcome.stderr)
  return outcome.stdout
end

describe("KeyPair", function()
  it("is generated of several kinds", function()
    assert.equal("<KeyPair EC, 256 bits>", tostring(key))
    assert.equal("<KeyPair RSA, 2048 bits>", tostring(ssl.KeyPair.generate "RSA"))
    assert.equal("<KeyPair RSA, 1024 bits>", tostring(ssl.KeyPair.generate("RSA", 1024)))
    assert.matches("ED25519", tostring(ssl.KeyPair.generate "ED25519"))
  end)

  it("is not generated of a kind or size that there is not", function()
    assert.has_error(function() ssl.KeyPair.generate "DSA" end,
      "KeyPair.generate: DSA of 2048 bits: Invalid argument")
    assert.has_error(function() ssl.KeyPair.generate("RSA", 12) end)
  end)

  it("goes to PEM and DER, and back", function()
    assert.is_true(key:matches(ssl.KeyPair.loadPEM(key:dumpPEM())))
    assert.is_true(key:matches(ssl.KeyPair.load(key:dump())))
    assert.is_true(key:matches(ssl.KeyPair.load(key:dump "pem", "pem")))
    assert.is_false(key:matches(ssl.KeyPair.generate()))
  end)

  it("is encrypted with a passphrase", function()
    local pem = key:dumpPEM "secret"
    assert.matches("BEGIN ENCRYPTED PRIVATE KEY", pem)
    assert.is_true(key:matches(ssl.KeyPair.loadPEM(pem, "secret")))
    assert.equal("KeyPair.loadPEM: wrong passphrase",
      refusal(errors.CertificateError, ssl.KeyPair.loadPEM, pem, "wrong"))
    assert.equal("KeyPair.loadPEM: it is encrypted, and no passphrase was given",
      refusal(errors.CertificateError, ssl.KeyPair.loadPEM, pem))
  end)

  it("takes what openssl makes", function()
    for _, kind in ipairs { "RSA", "ED25519", "ED448" } do
      ssl.KeyPair.loadPEM(openssl("", "genpkey", "-algorithm", kind))
    end
    ssl.KeyPair.loadPEM(openssl("", "ecparam", "-name", "secp384r1", "-genkey"))
    assert.equal("Key is valid\n", openssl(key:dumpPEM(), "pkey", "-check", "-noout"))
  end)

  it("says what is no key", function()
    assert.equal("KeyPair.loadPEM: no private key in PEM in it",
      refusal(errors.CertificateError, ssl.KeyPair.loadPEM, "garbage"))
    assert.equal("KeyPair.loadPEM: no private key in PEM in it",
      refusal(errors.CertificateError, ssl.KeyPair.loadPEM, root:dumpCertificatePEM()))
    assert.equal("KeyPair.load: no private key in DER", refusal(errors.CertificateError, ssl.KeyPair.load, ""))
  end)

  it("tells about its public part only", function()
    assert.matches("Public%-Key: %(256 bit%)", key:inspect())
    assert.is_nil(key:inspect():find "[Pp]riv")
  end)
end)

describe("DN", function()
  it("has its parts by long names, whatever they were given by", function()
    local name = ssl.DN { commonName = "example.org", O = "Example", C = "DE" }
    assert.equal("example.org", name.commonName)
    assert.equal("Example", name.organizationName)
    assert.equal("C=DE, O=Example, CN=example.org", tostring(name))
    assert.equal("countryName: DE\norganizationName: Example\ncommonName: example.org", name:inspect())
  end)

  it("is equal to one of the same parts", function()
    assert.equal(ssl.DN { CN = "a" }, ssl.DN { commonName = "a" })
    assert.not_equal(ssl.DN { CN = "a" }, ssl.DN { CN = "b" })
  end)

  it("refuses what is no part", function()
    assert.has_error(function() ssl.DN { nonsense = "a" } end,
      "DN: there is no attribute 'nonsense'")
    assert.has_error(function() ssl.DN { CN = "a\0b" } end)
    assert.has_error(function() ssl.DN { CN = 1 } end)
  end)

  it("is refused where X.509 does", function()
    assert.equal("KeyPair:selfSignedCert: string too long",
      refusal(errors.CertificateError, key.selfSignedCert, key, { C = "Deutschland" }))
  end)
end)

describe("Certificate", function()
  it("tells its names", function()
    assert.equal("Größe", root:getSubject().organizationName)
    assert.equal(root:getSubject(), root:getIssuer())
    assert.equal("<PrivateCertificate O=Größe, CN=root>", tostring(root))
  end)

  it("tells its attributes that we have no word for", function()
    local config = child.file "oid_section = new\n[req]\ndistinguished_name = n\n[n]\n[new]\nours = 1.2.3.4\n"
    local pem = openssl("", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", "/dev/null",
      "-config", config, "-subj", "/CN=a/street=Main/ours=b")
    os.remove(config)
    local subject = ssl.Certificate.loadPEM(pem):getSubject()
    assert.equal("Main", subject.street)
    assert.equal("b", subject["1.2.3.4"])
    assert.equal("CN=a, street=Main, 1.2.3.4=b", tostring(subject))
  end)

  it("goes to DER and PEM, and back", function()
    local certificate = ssl.Certificate.load(root:dump())
    assert.equal(root:dump(), certificate:dump())
    assert.is_true(certificate == ssl.Certificate.loadPEM(certificate:dumpPEM()))
  end)

  it("has the digest that openssl has", function()
    local printed = openssl(root:dumpCertificatePEM(), "x509", "-noout", "-fingerprint", "-sha256")
    assert.equal(printed:match "=(.-)\n", root:digest())
    printed = openssl(root:dumpCertificatePEM(), "x509", "-noout", "-fingerprint", "-sha1")
    assert.equal(printed:match "=(.-)\n", root:digest "sha1")
    assert.has_error(function() root:digest "nonsense" end,
      "digest: there is no method 'nonsense'")
  end)

  it("has a random serial number, or the one given", function()
    assert.not_equal(root:serialNumber(), key:selfSignedCert({ CN = "a" }):serialNumber())
    assert.equal(32, #root:serialNumber())
    assert.equal("2A", key:selfSignedCert({ CN = "a" }, { serialNumber = 42 }):serialNumber())
  end)

  it("is valid from now on for a year, or as it is told", function()
    local from, till = root:getValidity()
    assert.equal(365 * 86400, till - from)
    assert.is_true(math.abs(from - os.time()) < 60)
    local old = key:selfSignedCert({ CN = "a" }, { validFrom = 1e9, secondsToExpiry = -3600 })
    from, till = old:getValidity()
    assert.equal(1e9, from)
    assert.is_true(till < os.time())
  end)

  it("says all for people", function()
    assert.matches("Subject: O=Gr.*CN=root", root:inspect())
    assert.matches("CA:TRUE", root:inspect())
  end)

  it("is read from a text with several", function()
    local other = key:selfSignedCert { CN = "other" }
    local chain = ssl.Certificate.loadChainPEM("words\n" .. root:dumpPEM() .. "more" .. other:dumpPEM())
    assert.equal(2, #chain)
    assert.equal("other", chain[2]:getSubject().commonName)
  end)

  it("says what is none", function()
    assert.equal("Certificate.loadPEM: nothing of that kind in PEM in it",
      refusal(errors.CertificateError, ssl.Certificate.loadPEM, key:dumpPEM()))
    assert.matches("^Certificate.load: ", refusal(errors.CertificateError, ssl.Certificate.load, "garbage"))
    assert.matches("^Certificate.load: ",
      refusal(errors.CertificateError, ssl.Certificate.load, root:dump():sub(1, -9)))
    assert.equal("Certificate.loadChainPEM: no certificate in it",
      refusal(errors.CertificateError, ssl.Certificate.loadChainPEM, ""))
  end)

  it("comes from a transport", function()
    local transport = { getPeerCertificate = function() return root end }
    assert.equal(root, ssl.Certificate.peerFromTransport(transport))
    transport.getPeerCertificate = function() end
    assert.equal("Certificate.peerFromTransport: the peer showed no certificate",
      refusal(errors.CertificateError, ssl.Certificate.peerFromTransport, transport))
  end)
end)

describe("PrivateCertificate", function()
  it("goes to PEM with its key, and back", function()
    local again = ssl.PrivateCertificate.loadPEM(root:dumpPEM())
    assert.is_true(again == root)
    assert.is_true(again.privateKey:matches(key))
    again = ssl.PrivateCertificate.loadPEM(root:dumpPEM "secret", "secret")
    assert.is_true(again.privateKey:matches(key))
    again = ssl.PrivateCertificate.load(root:dump(), key)
    assert.is_true(again == root)
  end)

  it("keeps the chain that it came with", function()
    local other = key:selfSignedCert { CN = "other" }
    local both = ssl.PrivateCertificate.loadPEM(
      root.privateKey:dumpPEM() .. root:dumpCertificatePEM() .. other:dumpCertificatePEM())
    assert.is_true(both == root)
    assert.equal(1, #both.chain)
    assert.equal(2, #ssl.Certificate.loadChainPEM(both:dumpPEM()))
    assert.equal(1, #ssl.Certificate.loadChainPEM(both:dumpCertificatePEM()))
  end)

  it("is made of a certificate and its key only", function()
    assert.equal("PrivateCertificate.fromCertificateAndKeyPair: it is not the key of the certificate",
      refusal(errors.CertificateError, ssl.PrivateCertificate.fromCertificateAndKeyPair, root, ssl.KeyPair.generate()))
    assert.is_true(root == ssl.PrivateCertificate.fromCertificateAndKeyPair(ssl.Certificate.load(root:dump()), key))
  end)

  it("makes options", function()
    assert.is_userdata(root:options():getContext())
    assert.is_userdata(root:options(root):getContext())
  end)
end)

describe("CertificateRequest", function()
  local other = ssl.KeyPair.generate()
  local request = other:requestObject({ CN = "localhost" }, { names = { "localhost", "127.0.0.1", "::1", "a@b.org" } })

  it("is signed by an authority, with the names that it wishes", function()
    local certificate = root:signRequestObject(ssl.CertificateRequest.load(request:dump()))
    assert.equal("localhost", certificate:getSubject().commonName)
    assert.equal(root:getSubject(), certificate:getIssuer())
    assert.same({ "localhost", "127.0.0.1", "::1", "a@b.org" }, certificate:getAlternativeNames())
    assert.is_true(certificate:getPublicKey():matches(other:getPublicKey()))
  end)

  it("is signed with the names, purposes and lifetime that the authority says", function()
    local certificate = root:signRequestObject(request,
      { names = { "*.example.org" }, purposes = { "serverAuth", "clientAuth" }, secondsToExpiry = 60 })
    assert.same({ "*.example.org" }, certificate:getAlternativeNames())
    assert.matches("TLS Web Server Authentication, TLS Web Client Authentication", certificate:inspect())
    local from, till = certificate:getValidity()
    assert.equal(60, till - from)
  end)

  it("makes certificates that openssl verifies", function()
    for _, signer in ipairs { "EC", "RSA", "ED25519" } do
      local authority = ssl.KeyPair.generate(signer):selfSignedCert({ CN = "authority" }, { authority = true })
      local path = child.file(authority:dumpCertificatePEM())
      local leaf = authority:signRequestObject(request)
      assert.equal("stdin: OK\n",
        openssl(leaf:dumpPEM(), "verify", "-x509_strict", "-verify_hostname", "localhost", "-verify_ip", "::1",
          "-CAfile", path))
      os.remove(path)
    end
  end)

  it("is understood by openssl, and openssl's by us", function()
    assert.matches("CN *= *localhost", openssl(request:dump "pem", "req", "-noout", "-subject", "-verify"))
    local pem = openssl("", "req", "-new", "-newkey", "ed25519", "-nodes", "-keyout", "/dev/null",
      "-subj", "/CN=theirs")
    local theirs = ssl.CertificateRequest.load(pem, "pem")
    assert.equal("theirs", theirs:getSubject().commonName)
    assert.same({}, theirs:getAlternativeNames())
    assert.matches("Certificate Request", theirs:inspect())
  end)

  it("is refused with a signature that is not its key's", function()
    local der = request:dump()
    local spoilt = der:sub(1, -2) .. string.char(der:byte(-1) ~ 1)
    assert.matches("^CertificateRequest.load: ", refusal(errors.CertificateError, ssl.CertificateRequest.load, spoilt))
  end)

  it("is signed as bytes, if a function of ours agrees", function()
    local asked
    local der = root:signCertificateRequest(request:dump(), function(subject)
      asked = subject.commonName
      return true
    end)
    assert.equal("localhost", asked)
    assert.equal("localhost", ssl.Certificate.load(der):getSubject().commonName)
    assert.is_nil(root:signCertificateRequest(request:dump(), function() return false end))
    assert.matches("^%-%-%-%-%-BEGIN CERTIFICATE REQUEST", other:certificateRequest({ CN = "a" }, "pem"))
  end)

  it("is made again of a certificate", function()
    local again = key:selfSignedCert({ CN = "a" }, { names = { "a.org" } }):certificateRequest()
    assert.equal("a", again:getSubject().commonName)
    assert.same({ "a.org" }, again:getAlternativeNames())
  end)

  it("refuses names that are none", function()
    for _, name in ipairs { "", "a b", "a,DNS:b", "ü.de", 1 } do
      assert.has_error(function() key:requestObject({ CN = "a" }, { names = { name } }) end,
        ("'%s' is not a host name or IP address"):format(name))
    end
    assert.matches("invalid digest",
      refusal(errors.CertificateError, key.requestObject, key, { CN = "a" }, { digestAlgorithm = "nonsense" }))
    assert.matches("^KeyPair:selfSignedCert: ",
      refusal(errors.CertificateError, key.selfSignedCert, key, { CN = "a" }, { purposes = { "nonsense" } }))
  end)
end)

describe("CertificateOptions", function()
  local function rejected(given)
    return refusal(errors.TLSOptionsError, ssl.CertificateOptions, given)
  end

  it("takes objects, PEM and files", function()
    local path = child.file(root:dumpPEM())
    ssl.CertificateOptions { certificate = root }
    ssl.CertificateOptions { certificate = ssl.Certificate.load(root:dump()), privateKey = key }
    ssl.CertificateOptions { certificate = root:dumpPEM() }
    ssl.CertificateOptions { certificateFile = path, privateKeyFile = path }
    ssl.CertificateOptions { certificate = root, extraCertChain = { root }, trustRoot = ssl.trustRootFromFile(path) }
    ssl.DefaultOpenSSLContextFactory(path, path)
    ssl.ClientContextFactory()
    os.remove(path)
  end)

  it("says at once what is wrong, and where", function()
    assert.equal("certificate /nowhere.pem: No such file or directory",
      rejected { certificateFile = "/nowhere.pem", privateKeyFile = "/nowhere.key" })
    assert.equal("private key: it is not the key of the certificate",
      rejected { certificate = root, privateKey = ssl.KeyPair.generate() })
    assert.equal("certificate: no certificate in PEM in it", rejected { certificate = "garbage", privateKey = key })
    assert.equal("extra chain: no certificate in PEM in it", rejected { certificate = root, extraCertChain = "" })
    assert.equal("a private key or a chain needs a certificate", rejected { privateKey = key })
    assert.equal("trust roots: no certificate in PEM in it", rejected { trustRoot = "garbage" })
    assert.equal("DH parameters: no DH parameters in PEM in it",
      rejected { dhParameters = ssl.DiffieHellmanParameters "garbage" })
    local raised = select(2, pcall(ssl.CertificateOptions, { certificateFile = "/nowhere.pem" }))
    assert.equal("ENOENT", raised.code)
    assert.equal(2, raised.errno)
  end)

  it("reads a folder of trust roots, and says when it has none", function()
    local folder = os.tmpname()
    os.remove(folder)
    assert.is_true(os.execute("mkdir " .. folder))
    assert.equal(("trust roots %s: no file *.pem or *.crt in it"):format(folder),
      rejected { trustRoot = ssl.trustRootFromDirectory(folder) })
    local file <close> = assert(io.open(folder .. "/root.pem", "w"))
    file:write(root:dumpCertificatePEM()):flush()
    ssl.CertificateOptions { trustRoot = ssl.trustRootFromDirectory(folder) }
    file:seek "set"
    file:write(("x"):rep(40)):flush()
    assert.equal(("trust roots %s/root.pem: no certificate in PEM in it"):format(folder),
      rejected { trustRoot = ssl.trustRootFromDirectory(folder) })
    os.execute("rm -r " .. folder)
    assert.equal(("trust roots %s: No such file or directory"):format(folder),
      rejected { trustRoot = ssl.trustRootFromDirectory(folder) })
  end)

  it("takes Diffie-Hellman parameters", function()
    local path = child.file(openssl("", "genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048"))
    ssl.CertificateOptions { dhParameters = ssl.DiffieHellmanParameters.fromFile(path) }
    os.remove(path)
  end)

  it("takes ciphers of both kinds", function()
    local acceptable = ssl.AcceptableCiphers.fromOpenSSLCipherString "TLS_AES_128_GCM_SHA256:ECDHE+AESGCM:!AES128"
    assert.equal("ECDHE+AESGCM:!AES128", acceptable.ciphers)
    assert.equal("TLS_AES_128_GCM_SHA256", acceptable.suites)
    ssl.CertificateOptions { acceptableCiphers = acceptable }
    assert.equal("ciphers 'nonsense': no cipher match",
      rejected { acceptableCiphers = ssl.AcceptableCiphers.fromOpenSSLCipherString "nonsense" })
    assert.equal("suites 'TLS_NONSENSE': no cipher match",
      rejected { acceptableCiphers = ssl.AcceptableCiphers.fromOpenSSLCipherString "TLS_NONSENSE" })
  end)

  it("lowers the version only by a parameter that says so", function()
    local versions = ssl.TLSVersion
    ssl.CertificateOptions { insecurelyLowerMinimumTo = versions.TLSv1_0 }
    ssl.CertificateOptions { raiseMinimumTo = versions.TLSv1_0 }   -- the default is higher
    assert.equal("the highest TLS version is below the lowest", rejected { lowerMaximumSecurityTo = versions.TLSv1_1 })
    assert.equal("the highest TLS version is below the lowest",
      rejected { raiseMinimumTo = versions.TLSv1_3, lowerMaximumSecurityTo = versions.TLSv1_2 })
  end)

  it("blames the line that has a mistake", function()
    local function blamed(given)
      local _, message = pcall(function() ssl.CertificateOptions(given) end)
      return message:match "^spec/lua/ssl_spec%.lua:%d+: (.*)"
    end
    assert.equal("CertificateOptions: raiseMinimumTo must be one of ssl.TLSVersion, not '1.4'",
      blamed { raiseMinimumTo = "1.4" })
    assert.equal("CertificateOptions: raiseMinimumTo and insecurelyLowerMinimumTo exclude each other",
      blamed { raiseMinimumTo = "1.3", insecurelyLowerMinimumTo = "1.1" })
    assert.equal("CertificateOptions: requireCertificate needs a trustRoot to verify with",
      blamed { requireCertificate = true })
    assert.matches("unknown option 'privatekey'", blamed { privatekey = key })
    assert.has_error(function() ssl.CertificateOptions { acceptableProtocols = { "h2", 1 } } end)
    assert.has_error(function() ssl.CertificateOptions { certificate = 1 } end)
  end)

  it("shares ticket keys, and changes them", function()
    local one, other = root:options(), root:options()
    assert.equal(80, #one:getTicketKeys())
    assert.not_equal(one:getTicketKeys(), other:getTicketKeys())
    other:setTicketKeys(one:getTicketKeys())
    assert.equal(one:getTicketKeys(), other:getTicketKeys())
    one:rotateTicketKeys()
    assert.equal(other:getTicketKeys(), one:getTicketKeys():sub(81))
    local third = ssl.CertificateOptions { certificate = root, ticketKeys = one:getTicketKeys() }
    assert.equal(one:getTicketKeys(), third:getTicketKeys())
    assert.has_error(function() one:setTicketKeys "short" end)
  end)

  it("stays as it was when it cannot be reloaded", function()
    local path = child.file(root:dumpPEM())
    local options = ssl.CertificateOptions { certificateFile = path }
    options:reload()
    options:reload { certificateFile = path, passphrase = "unused" }
    os.remove(path)
    assert.matches("No such file", refusal(errors.TLSOptionsError, options.reload, options))
    assert.is_userdata(options:getContext())
    assert.has_error(function() options:reload { nonsense = 1 } end)
  end)
end)

describe("optionsForClientTLS", function()
  it("keeps the host name", function()
    assert.equal("example.org", ssl.optionsForClientTLS("example.org").hostname)
    local options = ssl.optionsForClientTLS("::1", {
      trustRoot = root, clientCertificate = root, acceptableProtocols = { "h2" },
      extraCertificateOptions = { raiseMinimumTo = ssl.TLSVersion.TLSv1_3 },
    })
    assert.equal("::1", options.hostname)
  end)

  it("wants a name that can be sent", function()
    for _, name in ipairs { "", "müller.de", "a b", "a\0b" } do
      assert.has_error(function() ssl.optionsForClientTLS(name) end)
    end
    assert.has_error(function() ssl.optionsForClientTLS() end,
      "optionsForClientTLS: the host name must be an IP address or a name in ASCII"
      .. " (xn--...), got nil")
    assert.has_error(function() ssl.optionsForClientTLS("a", { verify = false }) end)
  end)
end)

describe("trust roots", function()
  it("are made of certificates, PEM, files and the system", function()
    for _, trustRoot in ipairs {
      root, root:dumpCertificatePEM(), { root, root:dumpCertificatePEM() },
      ssl.trustRootFromCertificates { root }, ssl.platformTrust(),
    } do
      ssl.CertificateOptions { trustRoot = trustRoot }
    end
  end)

  it("are not made of nothing", function()
    assert.has_error(function() ssl.trustRootFromCertificates {} end)
    assert.has_error(function() ssl.trustRootFromCertificates { 1 } end)
  end)
end)
