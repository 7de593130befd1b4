-- SPDX-License-Identifier: MIT
-- ssl.lua -- TLS as programs see it: options for connections, certificates, keys, and whom to trust.

local certificate = require "twistlua.ssl.certificate"
local trust   = require "twistlua.ssl.trust"
local options = require "twistlua.ssl.options"

return {
  Certificate = certificate.Certificate,
  PrivateCertificate = certificate.PrivateCertificate,
  CertificateRequest = certificate.CertificateRequest,
  PublicKey = certificate.PublicKey,
  KeyPair = require("twistlua.ssl.key").KeyPair,
  DN = require("twistlua.ssl.name").DN,

  TLSVersion = options.TLSVersion,
  AcceptableCiphers = options.AcceptableCiphers,
  DiffieHellmanParameters = options.DiffieHellmanParameters,
  CertificateOptions = options.CertificateOptions,
  optionsForClientTLS = options.optionsForClientTLS,
  DefaultOpenSSLContextFactory = options.DefaultOpenSSLContextFactory,
  ClientContextFactory = options.ClientContextFactory,

  TrustRoot = trust.TrustRoot,
  platformTrust = trust.platformTrust,
  trustRootFromCertificates = trust.trustRootFromCertificates,
  trustRootFromFile = trust.trustRootFromFile,
  trustRootFromDirectory = trust.trustRootFromDirectory,
}
