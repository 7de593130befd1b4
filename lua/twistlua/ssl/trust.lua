-- SPDX-License-Identifier: MIT
-- ssl/trust.lua -- whose certificates are believed.

local Object = require("twistlua.class").Object
local isA    = require("twistlua.class").isA

---What a certificate must lead back to.
---@class twistlua.ssl.TrustRoot: twistlua.Object
---@field system boolean the system's roots, too
---@field pem string|nil certificates in PEM
---@field file string|nil the path of such ones, read whenever a context is made
---@field directory string|nil the path of a folder of files *.pem and *.crt with such ones
local TrustRoot = Object:extend("TrustRoot")

---@param given? { system?: boolean, pem?: string, file?: string, directory?: string }
function TrustRoot:init(given)
  given = given or {}
  self.system, self.pem, self.file, self.directory =
    given.system or false, given.pem, given.file, given.directory
end

local trust = { TrustRoot = TrustRoot }

---The roots that the system trusts (Twisted: platformTrust). OpenSSL looks where it was built to, or where the
---environment variables SSL_CERT_FILE and SSL_CERT_DIR say.
---@return twistlua.ssl.TrustRoot
function trust.platformTrust()
  return TrustRoot { system = true }
end

local function pemOf(certificate)
  if type(certificate) == "string" then return certificate end
  if type(certificate) == "table" and certificate.dumpCertificatePEM then return certificate:dumpCertificatePEM() end
  error("a trust root is made of certificates, or PEM strings", 0)
end

---Trust these certificates, and no others (Twisted: trustRootFromCertificates). Each is trusted as it is; it
---need not be a root.
---@param certificates (twistlua.ssl.Certificate|string)[] objects, or strings of PEM
---@return twistlua.ssl.TrustRoot
function trust.trustRootFromCertificates(certificates)
  local texts = {}
  for i, certificate in ipairs(certificates) do texts[i] = pemOf(certificate) end
  if #texts == 0 then error("trustRootFromCertificates: no certificate", 2) end
  return TrustRoot { pem = table.concat(texts, "\n") }
end

---@param path string a file with certificates in PEM
---@return twistlua.ssl.TrustRoot
function trust.trustRootFromFile(path)
  return TrustRoot { file = path }
end

---@param path string a folder with files *.pem and *.crt
---@return twistlua.ssl.TrustRoot
function trust.trustRootFromDirectory(path)
  return TrustRoot { directory = path }
end

---A trust root of what somebody gave as one: a TrustRoot, a certificate, PEM text, or a list of those two.
---@param given any
---@return twistlua.ssl.TrustRoot
function trust.rootOf(given)
  if isA(given, TrustRoot) then return given end
  if type(given) == "string" or type(given) == "table" and given.dumpCertificatePEM then given = { given } end
  return trust.trustRootFromCertificates(given)
end

return trust
