-- SPDX-License-Identifier: MIT
-- ssl/certificate.lua -- certificates, alone and with their private keys, and requests for them.
-- Forms are "pem" and "der"; `load` and `dump` without one mean DER, as with Twisted.

local core   = require "twistlua.core"
local errors = require "twistlua.error"
local naming = require "twistlua.ssl.name"
local Object = require("twistlua.class").Object

local DN = naming.DN

-- "DER" and "PEM" are as good.
local function formOf(form)
  return form and form:lower() or "der"
end

-- The core's result, or the error of a function that is two calls down.
local function made(what, object, message, code, errno)
  if object then return object end
  error(errors.CertificateError(what .. ": " .. message, { code = code, errno = errno }), 3)
end

---The public part of a key pair.
---@class twistlua.ssl.PublicKey: twistlua.Object
local PublicKey = Object:extend("PublicKey")

function PublicKey:init(der)
  self._der = der
end

---@return string der a SubjectPublicKeyInfo
function PublicKey:dump()
  return self._der
end

---@param other twistlua.ssl.PublicKey
---@return boolean
function PublicKey:matches(other)
  return self._der == other:dump()
end

PublicKey.__eq = PublicKey.matches

---What somebody says about himself, or a host about itself, signed by somebody who is trusted.
---@class twistlua.ssl.Certificate: twistlua.Object
local Certificate = Object:extend("Certificate")

function Certificate:init(core_certificate)
  self._certificate = core_certificate
end

---@param data string
---@param form? "der"|"pem"
---@return twistlua.ssl.Certificate
function Certificate.load(data, form)
  return Certificate((made("Certificate.load", core.x509.loadCertificate(data, formOf(form)))))
end

---@param pem string its first certificate is taken
---@return twistlua.ssl.Certificate
function Certificate.loadPEM(pem)
  return Certificate((made("Certificate.loadPEM", core.x509.loadCertificate(pem, "pem"))))
end

---All certificates in a text.
---@param pem string
---@return twistlua.ssl.Certificate[]
function Certificate.loadChainPEM(pem)
  local chain = {}
  for block in pem:gmatch "%-%-%-%-%-BEGIN [%u ]*CERTIFICATE%-%-%-%-%-.-%-%-%-%-%-END [%u ]*CERTIFICATE%-%-%-%-%-" do
    chain[#chain + 1] = Certificate((made("Certificate.loadChainPEM", core.x509.loadCertificate(block, "pem"))))
  end
  if #chain == 0 then made("Certificate.loadChainPEM", nil, "no certificate in it") end
  return chain
end

---The certificate that the peer of a TLS connection showed. Raises CertificateError where it showed none.
---@param transport twistlua.Transport
---@return twistlua.ssl.Certificate
function Certificate.peerFromTransport(transport)
  return made("Certificate.peerFromTransport", transport:getPeerCertificate(), "the peer showed no certificate")
end

---@param form? "der"|"pem"
---@return string
function Certificate:dump(form)
  return made("Certificate:dump", self._certificate:dump(formOf(form)))
end

---@return string pem
function Certificate:dumpPEM()
  return self:dump "pem"
end

---This certificate alone, also where it comes with more.
---@return string pem
function Certificate:dumpCertificatePEM()
  return Certificate.dump(self, "pem")
end

---@return twistlua.ssl.DN
function Certificate:getSubject()
  return DN.fromList(self._certificate:subject())
end

---@return twistlua.ssl.DN
function Certificate:getIssuer()
  return DN.fromList(self._certificate:issuer())
end

---@return string[] names the hosts, IP addresses and such that it is for
function Certificate:getAlternativeNames()
  return naming.valuesOf(self._certificate:names())
end

---@return twistlua.ssl.PublicKey
function Certificate:getPublicKey()
  return PublicKey(self._certificate:public())
end

---@return string digits hexadecimal
function Certificate:serialNumber()
  return self._certificate:serial()
end

---@return number from, number until seconds since 1970
function Certificate:getValidity()
  return self._certificate:validity()
end

---@param method? string default "sha256"
---@return string hexadecimal digits, in pairs with colons between them
function Certificate:digest(method)
  local bytes = self._certificate:digest(method or "sha256")
  if not bytes then error(("digest: there is no method '%s'"):format(method), 2) end
  return (bytes:gsub(".", function(byte) return ("%02X:"):format(byte:byte()) end):sub(1, -2))
end

---@return string text all that it says, for people
function Certificate:inspect()
  return made("Certificate:inspect", self._certificate:dump "text")
end

---Options of a connection that trusts this certificate, and the other ones.
---@param ... twistlua.ssl.Certificate
---@return twistlua.ssl.CertificateOptions
function Certificate:options(...)
  return require("twistlua.ssl.options").CertificateOptions { trustRoot = { self, ... } }
end

function Certificate:__eq(other)
  return Certificate.dump(self) == Certificate.dump(other)
end

function Certificate:__tostring()
  return ("<%s %s>"):format(self.__name, tostring(self:getSubject()))
end

---Somebody's wish to have a name and a key certified.
---@class twistlua.ssl.CertificateRequest: twistlua.Object
local CertificateRequest = Object:extend("CertificateRequest")

function CertificateRequest:init(core_request)
  self._request = core_request
end

---Its signature is checked: who made it has the key.
---@param data string
---@param form? "der"|"pem"
---@return twistlua.ssl.CertificateRequest
function CertificateRequest.load(data, form)
  return CertificateRequest((made("CertificateRequest.load", core.x509.loadRequest(data, formOf(form)))))
end

---@param form? "der"|"pem"
---@return string
function CertificateRequest:dump(form)
  return made("CertificateRequest:dump", self._request:dump(formOf(form)))
end

---@return twistlua.ssl.DN
function CertificateRequest:getSubject()
  return DN.fromList(self._request:subject())
end

---@return string[] names that it wishes to have
function CertificateRequest:getAlternativeNames()
  return naming.valuesOf(self._request:names())
end

---@return string text for people
function CertificateRequest:inspect()
  return made("CertificateRequest:inspect", self._request:dump "text")
end

---A certificate with its private key, and with what leads from it to a root.
---@class twistlua.ssl.PrivateCertificate: twistlua.ssl.Certificate
---@field privateKey twistlua.ssl.KeyPair
---@field chain twistlua.ssl.Certificate[] more certificates, for a server to send
local PrivateCertificate = Certificate:extend("PrivateCertificate")
PrivateCertificate.__eq, PrivateCertificate.__tostring = Certificate.__eq, Certificate.__tostring

function PrivateCertificate:init(certificate, privateKey, chain)
  self._certificate = certificate._certificate
  self.privateKey = privateKey
  self.chain = chain or {}
end

local function private(what, certificate, privateKey, chain)
  if not certificate:getPublicKey():matches(privateKey:getPublicKey()) then
    made(what, nil, "it is not the key of the certificate")
  end
  return PrivateCertificate(certificate, privateKey, chain)
end

---@param certificate twistlua.ssl.Certificate
---@param privateKey twistlua.ssl.KeyPair
---@return twistlua.ssl.PrivateCertificate
function PrivateCertificate.fromCertificateAndKeyPair(certificate, privateKey)
  return private("PrivateCertificate.fromCertificateAndKeyPair", certificate, privateKey)
end

---@param data string the certificate
---@param privateKey twistlua.ssl.KeyPair
---@param form? "der"|"pem"
---@return twistlua.ssl.PrivateCertificate
function PrivateCertificate.load(data, privateKey, form)
  return private("PrivateCertificate.load", Certificate.load(data, form), privateKey)
end

---@param pem string certificate, chain and key, in any order
---@param passphrase? string of the key
---@return twistlua.ssl.PrivateCertificate
function PrivateCertificate.loadPEM(pem, passphrase)
  local chain = Certificate.loadChainPEM(pem)
  local key = require("twistlua.ssl.key").KeyPair.loadPEM(pem, passphrase)
  return private("PrivateCertificate.loadPEM", table.remove(chain, 1), key, chain)
end

---@return string pem the certificate, then its chain
function PrivateCertificate:dumpChainPEM()
  local texts = { self:dumpCertificatePEM() }
  for _, certificate in ipairs(self.chain) do texts[#texts + 1] = certificate:dumpPEM() end
  return table.concat(texts)
end

---@param passphrase? string encrypts the key
---@return string pem certificate, chain and key
function PrivateCertificate:dumpPEM(passphrase)
  return self:dumpChainPEM() .. self.privateKey:dumpPEM(passphrase)
end

---Options of a connection with this certificate, which takes peers that lead to the authorities, if there are any.
---@param ... twistlua.ssl.Certificate
---@return twistlua.ssl.CertificateOptions
function PrivateCertificate:options(...)
  local authorities = { ... }
  return require("twistlua.ssl.options").CertificateOptions {
    certificate = self, trustRoot = authorities[1] and authorities or nil,
  }
end

---A request for a new certificate of the same name and key.
---@return twistlua.ssl.CertificateRequest
function PrivateCertificate:certificateRequest()
  return self.privateKey:requestObject(self:getSubject(), { names = self:getAlternativeNames() })
end

---Certify what a request wishes, as this certificate's owner.
---@param request twistlua.ssl.CertificateRequest
---@param given? twistlua.ssl.KeyPair.issue
---@return twistlua.ssl.Certificate
function PrivateCertificate:signRequestObject(request, given)
  return self.privateKey:signRequestObject(self, request, given)
end

---The same for the bytes of a request, if `verify` says so.
---@param data string DER
---@param verify fun(subject: twistlua.ssl.DN, request: twistlua.ssl.CertificateRequest): boolean
---@param given? twistlua.ssl.KeyPair.issue
---@return string|nil der the certificate; nil where `verify` refused
function PrivateCertificate:signCertificateRequest(data, verify, given)
  local request = CertificateRequest.load(data)
  if not verify(request:getSubject(), request) then return nil end
  return self:signRequestObject(request, given):dump()
end

return {
  Certificate = Certificate,
  PrivateCertificate = PrivateCertificate,
  CertificateRequest = CertificateRequest,
  PublicKey = PublicKey,
}
