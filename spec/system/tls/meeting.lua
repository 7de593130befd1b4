-- SPDX-License-Identifier: MIT
-- meeting.lua -- a server and a client with options of twistlua.ssl that shake hands over a socket, and an
-- authority that makes their certificates.

local defer   = require "twistlua.defer"
local pairs_  = require "system.streams.pairs"
local reactor = require "twistlua.reactor"
local ssl     = require "twistlua.ssl"

local await = defer.await

local meeting = {}

local LOCAL = { "localhost", "127.0.0.1", "::1" }

---A certificate that signs the others.
meeting.authority = ssl.KeyPair.generate():selfSignedCert({ commonName = "authority" }, { authority = true })

---A certificate with its key.
---@param given? table as for signRequestObject; names are those of this host by default
---@param signer? twistlua.ssl.PrivateCertificate
---@return twistlua.ssl.PrivateCertificate
function meeting.certificate(given, signer)
  local fields = { names = LOCAL }
  for name, value in pairs(given or {}) do fields[name] = value end
  local key = ssl.KeyPair.generate()
  local request = key:requestObject { commonName = fields.names[1] }
  return ssl.PrivateCertificate.fromCertificateAndKeyPair(
    (signer or meeting.authority):signRequestObject(request, fields), key)
end

---One that is good, made once.
meeting.server = meeting.certificate()

---@param given? table CertificateOptions; the certificate is `meeting.server` by default
function meeting.serving(given)
  local all = { certificate = meeting.server }
  for name, value in pairs(given or {}) do all[name] = value end
  return ssl.CertificateOptions(all)
end

---@param given? table of optionsForClientTLS, with the `hostname`; the authority is trusted by default
function meeting.calling(given)
  local all, hostname = { trustRoot = meeting.authority }, "localhost"
  for name, value in pairs(given or {}) do
    if name == "hostname" then hostname = value else all[name] = value end
  end
  return ssl.optionsForClientTLS(hostname, all)
end

local Greeter = pairs_.Recorder:extend("Greeter")

-- The client has read the tickets when it has read this.
function Greeter:handshakeCompleted()
  self:note("secured")
  self.transport:write("hello")
end

local Greeted = pairs_.Recorder:extend("Greeted")

function Greeted:handshakeCompleted() self:note("secured") end

meeting.Greeter, meeting.Greeted = Greeter, Greeted

---@async
---Listen, and return the port.
function meeting.listen(options, interface)
  return reactor:listenSSL(0, pairs_.factory(Greeter), options, { interface = interface or "127.0.0.1" })
end

---@async
---Connect, and wait until greeted or refused.
---@return table client
function meeting.call(port, options)
  local factory = pairs_.factory(Greeted)
  local place = port:getHost()
  reactor:connectSSL(place.host, place.port, factory, options)
  local client = await(factory:protocolMade(1))
  await(client:when(function() return client.length == 5 or client.reason end))
  return client
end

---@async
---The answer of an HTTP server on that port of this host.
function meeting.get(port, options)
  local factory = pairs_.factory(Greeted)
  reactor:connectSSL("127.0.0.1", port, factory, options)
  local client = await(factory:protocolMade(1))
  client.transport:write "GET / HTTP/1.0\r\n\r\n"
  client:awaitLost()
  return client:data()
end

---@async
---End a connection well.
function meeting.part(client)
  client.transport:loseConnection()
  client:awaitLost()
end

local function textOf(reason)
  return reason and tostring(reason.value) or nil
end

---@async
---A server and a client meet, and part. What each saw of the other, or why it ended.
---@return table outcome refused: why the client was not greeted; else version, cipher, protocol, resumed and
---certificate as the client saw them; server: the same as the server did
function meeting.meet(serverOptions, clientOptions, interface)
  local serving = pairs_.factory(Greeter)
  local port = reactor:listenSSL(0, serving, serverOptions, { interface = interface or "127.0.0.1" })
  local client = meeting.call(port, clientOptions)
  local server = await(serving:protocolMade(1))
  local outcome = { server = {} }
  if client.length == 5 then
    for side, recorder in pairs { [outcome] = client, [outcome.server] = server } do
      local transport = recorder.transport
      side.version, side.cipher = transport:getTLSVersion(), transport:getTLSCipher()
      side.protocol, side.resumed = transport.negotiatedProtocol, transport:isTLSResumed()
      side.certificate = transport:getPeerCertificate()
    end
    meeting.part(client)
  else
    outcome.refused = textOf(client.reason)
  end
  server:awaitLost()
  if outcome.refused then outcome.server.refused = textOf(server.reason) end
  await(port:stopListening())
  return outcome
end

return meeting
