-- SPDX-License-Identifier: MIT
-- ssl/key.lua -- private keys, and what they sign.

local core    = require "twistlua.core"
local errors  = require "twistlua.error"
local check   = require("twistlua.options").check
local naming  = require "twistlua.ssl.name"
local Object  = require("twistlua.class").Object
local certificates = require "twistlua.ssl.certificate"

local YEAR = 365 * 24 * 60 * 60   -- seconds

local function formOf(form)
  return form and form:lower() or "der"
end

local function made(what, object, message, code, errno)
  if object then return object end
  error(errors.CertificateError(what .. ": " .. message, { code = code, errno = errno }), 3)
end

---@class twistlua.ssl.KeyPair: twistlua.Object
local KeyPair = Object:extend("KeyPair")

function KeyPair:init(core_key)
  self._key = core_key
end

---@param kind? "EC"|"RSA"|"ED25519" default "EC", on P-256, which every client takes and no other is faster to use
---@param size? integer bits of an RSA key; default 2048
---@return twistlua.ssl.KeyPair
function KeyPair.generate(kind, size)
  kind = kind or "EC"
  local key, message = core.x509.generateKey(kind, size or 2048)
  if not key then error(("KeyPair.generate: %s of %d bits: %s"):format(kind, size or 2048, message), 2) end
  return KeyPair(key)
end

---@param data string
---@param form? "der"|"pem"
---@param passphrase? string of a PEM that is encrypted
---@return twistlua.ssl.KeyPair
function KeyPair.load(data, form, passphrase)
  return KeyPair((made("KeyPair.load", core.x509.loadKey(data, formOf(form), passphrase))))
end

---@param pem string
---@param passphrase? string
---@return twistlua.ssl.KeyPair
function KeyPair.loadPEM(pem, passphrase)
  return KeyPair((made("KeyPair.loadPEM", core.x509.loadKey(pem, "pem", passphrase))))
end

---@param form? "der"|"pem"
---@param passphrase? string encrypts PEM
---@return string secret
function KeyPair:dump(form, passphrase)
  return made("KeyPair:dump", self._key:dump(formOf(form), passphrase))
end

---@param passphrase? string
---@return string pem PKCS #8
function KeyPair:dumpPEM(passphrase)
  return self:dump("pem", passphrase)
end

---@return twistlua.ssl.PublicKey
function KeyPair:getPublicKey()
  return certificates.PublicKey(self._key:public())
end

---@param other twistlua.ssl.KeyPair|twistlua.ssl.Certificate
---@return boolean same it is of the same key
function KeyPair:matches(other)
  return self:getPublicKey():matches(other:getPublicKey())
end

---@return string text about the public part, for people
function KeyPair:inspect()
  return made("KeyPair:inspect", self._key:dump "text")
end

function KeyPair:__tostring()
  return ("<KeyPair %s, %d bits>"):format(self._key:kind())
end

local REQUEST_OPTIONS = { names = "table", digestAlgorithm = "string" }

---@param distinguishedName twistlua.ssl.DN|table
---@param given? { names?: string[], digestAlgorithm?: string } hosts that it is for; default "sha256"
---@return twistlua.ssl.CertificateRequest
function KeyPair:requestObject(distinguishedName, given)
  given = check("requestObject", given, REQUEST_OPTIONS)
  return certificates.CertificateRequest((made("KeyPair:requestObject", core.x509.newRequest(
    naming.DN.of(distinguishedName):toList(), self._key, given.digestAlgorithm or "sha256",
    naming.alternativeNames(given.names, 3)))))
end

---@param distinguishedName twistlua.ssl.DN|table
---@param form? "der"|"pem"
---@param given? { names?: string[], digestAlgorithm?: string }
---@return string
function KeyPair:certificateRequest(distinguishedName, form, given)
  return self:requestObject(distinguishedName, given):dump(form)
end

---@class twistlua.ssl.KeyPair.issue
---@field serialNumber? integer default: random
---@field secondsToExpiry? number from now; default a year
---@field validFrom? number seconds since 1970; default now
---@field digestAlgorithm? string default "sha256"
---@field names? string[] hosts that it is for; default: those of the request
---@field authority? boolean it may sign other certificates; default false
---@field purposes? string[] such as { "serverAuth" } or { "clientAuth" }; default: any
local ISSUE_OPTIONS = {
  serialNumber = "integer", secondsToExpiry = "number", validFrom = "number", digestAlgorithm = "string",
  names = "table", authority = "boolean", purposes = "table",
}

local function issue(what, key, fields, given)
  local now = os.time()
  fields.key = key._key
  fields.issuedBy = fields.issuedBy and fields.issuedBy._certificate
  fields.serial, fields.authority = given.serialNumber, given.authority
  fields.digest = given.digestAlgorithm or "sha256"
  fields.from, fields["until"] = given.validFrom or now, now + (given.secondsToExpiry or YEAR)
  fields.names = naming.alternativeNames(given.names or fields.wished, 4)
  fields.usage = given.purposes and table.concat(given.purposes, ",")
  return certificates.Certificate((made(what, core.x509.issue(fields))))
end

---Certify what a request wishes.
---@param issuer twistlua.ssl.PrivateCertificate|twistlua.ssl.DN|table the key's owner, or only the name
---@param request twistlua.ssl.CertificateRequest
---@param given? twistlua.ssl.KeyPair.issue
---@return twistlua.ssl.Certificate
function KeyPair:signRequestObject(issuer, request, given)
  local owner = issuer.getSubject and issuer
  given = check("signRequestObject", given, ISSUE_OPTIONS)
  return issue("KeyPair:signRequestObject", self, {
    issuer = naming.DN.of(owner and owner:getSubject() or issuer):toList(), issuedBy = owner,
    request = request._request, wished = request:getAlternativeNames(),
  }, given)
end

---A certificate that vouches for itself: for tests, and as the root of an authority.
---@param distinguishedName twistlua.ssl.DN|table
---@param given? twistlua.ssl.KeyPair.issue
---@return twistlua.ssl.PrivateCertificate
function KeyPair:selfSignedCert(distinguishedName, given)
  given = check("selfSignedCert", given, ISSUE_OPTIONS)
  local name = naming.DN.of(distinguishedName):toList()
  return certificates.PrivateCertificate(
    issue("KeyPair:selfSignedCert", self, { issuer = name, subject = name }, given), self)
end

return { KeyPair = KeyPair }
