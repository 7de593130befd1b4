-- SPDX-License-Identifier: MIT
-- ssl/options.lua -- what a connection is to be secured with, as listenSSL, connectSSL and startTLS take it:
-- an object with `getContext()` and, for a client, the host name that the certificate must have.

local core    = require "twistlua.core"
local errors  = require "twistlua.error"
local check   = require("twistlua.options").check
local trust   = require "twistlua.ssl.trust"
local Object  = require("twistlua.class").Object

---The versions of TLS, for the limits of CertificateOptions (Twisted: TLSVersion).
---@enum twistlua.ssl.TLSVersion
local TLSVersion = { TLSv1_0 = "1.0", TLSv1_1 = "1.1", TLSv1_2 = "1.2", TLSv1_3 = "1.3" }

local LOWEST = TLSVersion.TLSv1_2   -- unless lowered insecurely

---Ciphers by OpenSSL's names (Twisted: IAcceptableCiphers).
---@class twistlua.ssl.AcceptableCiphers: twistlua.Object
---@field ciphers string|nil OpenSSL's list for TLS 1.2 and below; nil: ours
---@field suites string|nil those of TLS 1.3; nil: ours
local AcceptableCiphers = Object:extend("AcceptableCiphers")

function AcceptableCiphers:init(ciphers, suites)
  self.ciphers, self.suites = ciphers, suites
end

---@param text string as of `openssl ciphers`; what begins with TLS_ is a suite of TLS 1.3. Of a list without such
---ones, or with nothing else, the other version's ciphers stay ours
---@return twistlua.ssl.AcceptableCiphers
function AcceptableCiphers.fromOpenSSLCipherString(text)
  local ciphers, suites = {}, {}
  for name in text:gmatch "[^:, ]+" do
    local list = name:find "^TLS_" and suites or ciphers
    list[#list + 1] = name
  end
  return AcceptableCiphers(ciphers[1] and table.concat(ciphers, ":"), suites[1] and table.concat(suites, ":"))
end

---Parameters for Diffie-Hellman, where the default, chosen by the strength of the key, will not do.
---@class twistlua.ssl.DiffieHellmanParameters: twistlua.Object
local DiffieHellmanParameters = Object:extend("DiffieHellmanParameters")

---@param pem string
function DiffieHellmanParameters:init(pem)
  self.pem, self.file = pem, nil
end

---@param path string a file as of `openssl dhparam`
---@return twistlua.ssl.DiffieHellmanParameters
function DiffieHellmanParameters.fromFile(path)
  local parameters = DiffieHellmanParameters()
  parameters.file = path
  return parameters
end

local OPTIONS = {
  privateKey = "any", certificate = "any", extraCertChain = "any",
  privateKeyFile = "string", certificateFile = "string", extraCertChainFile = "string",
  passphrase = "string",
  trustRoot = "any", requireCertificate = "boolean",
  raiseMinimumTo = "string", lowerMaximumSecurityTo = "string", insecurelyLowerMinimumTo = "string",
  dhParameters = "table", acceptableCiphers = "table", acceptableProtocols = "table",
  enableSessions = "boolean", sessionTimeout = "number", ticketKeys = "string",
  chooseCertificate = "any",
  hostname = "string",
  insecurelySkipVerification = "boolean", insecurelySkipHostnameVerification = "boolean",
}

local VERSIONS = { ["1.0"] = true, ["1.1"] = true, ["1.2"] = true, ["1.3"] = true }

-- What is wrong with a combination of options, or nil.
local function mistakeIn(given)
  for _, name in ipairs { "raiseMinimumTo", "lowerMaximumSecurityTo", "insecurelyLowerMinimumTo" } do
    if given[name] and not VERSIONS[given[name]] then
      return ("%s must be one of ssl.TLSVersion, not '%s'"):format(name, given[name])
    end
  end
  if given.raiseMinimumTo and given.insecurelyLowerMinimumTo then
    return "raiseMinimumTo and insecurelyLowerMinimumTo exclude each other"
  end
  if given.requireCertificate ~= nil and not given.trustRoot then
    return "requireCertificate needs a trustRoot to verify with"
  end
end

local function minimumOf(given)
  local raised = given.raiseMinimumTo
  if raised and raised < LOWEST then raised = LOWEST end
  return raised or given.insecurelyLowerMinimumTo
end

local function keyPEM(key)
  if type(key) == "table" and key.dumpPEM then return key:dumpPEM() end
  return key
end

local function certificatePEM(certificate)
  if type(certificate) ~= "table" then return certificate end
  return certificate.dumpChainPEM and certificate:dumpChainPEM() or certificate:dumpCertificatePEM()
end

local function chainPEM(chain)
  if type(chain) ~= "table" or chain.dumpCertificatePEM then return certificatePEM(chain) end
  local texts = {}
  for i, certificate in ipairs(chain) do texts[i] = certificatePEM(certificate) end
  return table.concat(texts, "\n")
end

-- The key of a PrivateCertificate comes with it.
local function keyOf(given)
  local certificate = given.certificate
  if given.privateKey or given.privateKeyFile then return keyPEM(given.privateKey) end
  return type(certificate) == "table" and certificate.privateKey and keyPEM(certificate.privateKey) or nil
end

local function lifetimeOf(given)
  if given.enableSessions == false then return 0 end
  return given.sessionTimeout
end

-- What the core makes a context of. `level` is that of the user's line, seen from here.
local function configure(given, level)
  local mistake = mistakeIn(given)
  if mistake then error("CertificateOptions: " .. mistake, level) end
  local root = given.trustRoot and trust.rootOf(given.trustRoot)
  local ciphers, dh = given.acceptableCiphers or {}, given.dhParameters or {}
  return {
    certificate = certificatePEM(given.certificate), certificateFile = given.certificateFile,
    key = keyOf(given), keyFile = given.privateKeyFile, passphrase = given.passphrase,
    extraChain = chainPEM(given.extraCertChain), extraChainFile = given.extraCertChainFile,
    trust = root and root.pem, trustFile = root and root.file, trustDirectory = root and root.directory,
    trustSystem = not root or root.system,
    clients = root and (given.requireCertificate == false and "optional" or "required") or nil,
    minimum = minimumOf(given), maximum = given.lowerMaximumSecurityTo,
    insecurelyOld = given.insecurelyLowerMinimumTo ~= nil,
    ciphers = ciphers.ciphers, suites = ciphers.suites,
    dhParameters = dh.pem, dhParametersFile = dh.file,
    protocols = given.acceptableProtocols,
    insecurelySkipVerification = given.insecurelySkipVerification,
    insecurelySkipHostname = given.insecurelySkipHostnameVerification,
    sessionLifetime = lifetimeOf(given),
  }
end

-- A function from names to core contexts, of a function or a table from names to options.
local function chooser(choose)
  local function contextOf(options)
    return options and options:getContext()
  end
  if type(choose) ~= "table" then
    return function(name) return contextOf(choose(name)) end
  end
  return function(name)
    return contextOf(choose[name] or choose["*." .. (name:match "^[^.]+%.(.+)$" or "")])
  end
end

local function failed(message, code, errno)
  error(errors.TLSOptionsError(message, { code = code, errno = errno }), 0)
end

---What a connection is secured with, in either role (Twisted: CertificateOptions). The context is made at once:
---a certificate or key of no use raises TLSOptionsError here.
---@class twistlua.ssl.CertificateOptions: twistlua.Object
---@field hostname string|nil the name that a server's certificate must have, when used by a client
local CertificateOptions = Object:extend("CertificateOptions")

---@class twistlua.ssl.CertificateOptions.given
---@field privateKey? twistlua.ssl.KeyPair|string a string is PEM; or use privateKeyFile
---@field certificate? twistlua.ssl.Certificate|string our certificate, and in PEM its chain; or use certificateFile
---@field extraCertChain? twistlua.ssl.Certificate[]|string what leads to a root; or use extraCertChainFile
---@field privateKeyFile? string a path; read again by reload()
---@field certificateFile? string
---@field extraCertChainFile? string
---@field passphrase? string of an encrypted key
---@field trustRoot? any whom to trust: a server asks its clients for certificates then; without it a client trusts
---the system's roots, and a server asks for none
---@field requireCertificate? boolean a server refuses clients without a certificate; default true with a trustRoot
---@field raiseMinimumTo? twistlua.ssl.TLSVersion the default is TLS 1.2
---@field lowerMaximumSecurityTo? twistlua.ssl.TLSVersion
---@field insecurelyLowerMinimumTo? twistlua.ssl.TLSVersion
---@field dhParameters? twistlua.ssl.DiffieHellmanParameters
---@field acceptableCiphers? twistlua.ssl.AcceptableCiphers default: Mozilla's intermediate list
---@field acceptableProtocols? string[] ALPN, best first
---@field enableSessions? boolean sessions are resumed; default true
---@field sessionTimeout? number seconds for which they can be; default a day
---@field ticketKeys? string what another one's getTicketKeys() returned
---@field chooseCertificate? table|fun(name: string): twistlua.ssl.CertificateOptions|false|nil by the name, in lower
---case, that a client asks for (SNI); false refuses it, nil is these options. A table may have "*.example.org", too
---@field hostname? string whom a client expects
---@field insecurelySkipVerification? boolean a client accepts any certificate: it may talk to anybody
---@field insecurelySkipHostnameVerification? boolean a client accepts a trusted certificate of any host

---@param given? twistlua.ssl.CertificateOptions.given
function CertificateOptions:init(given)
  given = check("CertificateOptions", given, OPTIONS, 4)
  local copy = {}
  for name, value in pairs(given) do copy[name] = value end
  local context, message, code, errno = core.tls.context(configure(copy, 4))
  if not context then failed(message, code, errno) end
  self.hostname = copy.hostname
  self._given = copy
  self._context = context
  if copy.ticketKeys then context:setTicketKeys(copy.ticketKeys) end
  if copy.chooseCertificate then context:choose(chooser(copy.chooseCertificate)) end
end

---@return twistlua.core.tls_context
function CertificateOptions:getContext()
  return self._context
end

---Read files again, and take what `changes` has in place of what was given before, for the connections to come;
---those that are open keep what they have. Raises TLSOptionsError, and then all stays as it was.
---@param changes? twistlua.ssl.CertificateOptions.given
function CertificateOptions:reload(changes)
  local given = {}
  for name, value in pairs(self._given) do given[name] = value end
  for name, value in pairs(check("reload", changes, OPTIONS)) do given[name] = value end
  local ok, message, code, errno = self._context:reload(configure(given, 3))
  if not ok then failed(message, code, errno) end
  self._given = given
  self.hostname = given.hostname
  if given.ticketKeys then self._context:setTicketKeys(given.ticketKeys) end
  self._context:choose(given.chooseCertificate and chooser(given.chooseCertificate))
end

---The keys of the tickets by which clients resume their sessions. Servers that have the same ones, such as workers
---that share a port, resume each other's.
---@return string keys secret bytes
function CertificateOptions:getTicketKeys()
  return self._context:ticketKeys()
end

---@param keys string
function CertificateOptions:setTicketKeys(keys)
  self._context:setTicketKeys(keys)
end

---Encrypt with a new key from now on; tickets of the three keys before it are still taken.
function CertificateOptions:rotateTicketKeys()
  local ok, message, code, errno = self._context:rotateTicketKeys()
  if not ok then failed(message, code, errno) end
end

local CLIENT_OPTIONS = {
  trustRoot = "any", clientCertificate = "any", acceptableProtocols = "table", extraCertificateOptions = "table",
  insecurelySkipVerification = "boolean", insecurelySkipHostnameVerification = "boolean",
}

---@class twistlua.ssl.ClientTLS.given
---@field trustRoot? any whom to trust; default: platformTrust()
---@field clientCertificate? twistlua.ssl.PrivateCertificate to show when the server asks
---@field acceptableProtocols? string[] ALPN
---@field extraCertificateOptions? table more of CertificateOptions
---@field insecurelySkipVerification? boolean accept any certificate: whoever answers may be anybody
---@field insecurelySkipHostnameVerification? boolean accept a trusted certificate of any host

---For a client: send the host's name, verify its certificate, and that it is the host's (Twisted:
---optionsForClientTLS).
---@param hostname string a name, internationalised ones in their xn-- form, or an IP address
---@param given? twistlua.ssl.ClientTLS.given
---@return twistlua.ssl.CertificateOptions
local function optionsForClientTLS(hostname, given)
  if type(hostname) ~= "string" or hostname == "" or hostname:find "[^\x21-\x7e]" then
    error("optionsForClientTLS: the host name must be an IP address or a name in ASCII (xn--...), got "
      .. (type(hostname) == "string" and ("'%s'"):format(hostname) or type(hostname)), 2)
  end
  given = check("optionsForClientTLS", given, CLIENT_OPTIONS)
  local all = { hostname = hostname }
  for name, value in pairs(given.extraCertificateOptions or {}) do all[name] = value end
  for name, value in pairs(given) do
    if name ~= "clientCertificate" and name ~= "extraCertificateOptions" then all[name] = value end
  end
  all.certificate = given.clientCertificate or all.certificate
  return CertificateOptions(all)
end

---A server's options from two files in PEM (Twisted: DefaultOpenSSLContextFactory).
---@param privateKeyFileName string
---@param certificateFileName string
---@return twistlua.ssl.CertificateOptions
local function DefaultOpenSSLContextFactory(privateKeyFileName, certificateFileName)
  return CertificateOptions { privateKeyFile = privateKeyFileName, certificateFile = certificateFileName }
end

---A client's options without a host name of their own (Twisted: ClientContextFactory). Other than Twisted's they
---verify: connectSSL takes the host that it connects to for the name.
---@return twistlua.ssl.CertificateOptions
local function ClientContextFactory()
  return CertificateOptions()
end

return {
  TLSVersion = TLSVersion,
  AcceptableCiphers = AcceptableCiphers,
  DiffieHellmanParameters = DiffieHellmanParameters,
  CertificateOptions = CertificateOptions,
  optionsForClientTLS = optionsForClientTLS,
  DefaultOpenSSLContextFactory = DefaultOpenSSLContextFactory,
  ClientContextFactory = ClientContextFactory,
}
