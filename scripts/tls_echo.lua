-- tls_echo.lua: sends back what it receives, over TLS:  tls_echo.lua [PORT [CERTIFICATE KEY]]
-- Without a certificate it makes one for localhost, which is gone when the program ends.
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"
local ssl      = require "twistlua.ssl"

local port, certificateFile, keyFile = math.tointeger(tonumber(arg[1] or 8443)), arg[2], arg[3]

if not port or #arg == 2 or #arg > 3 then
  io.stderr:write "usage: tls_echo.lua [PORT [CERTIFICATE KEY]]\n"
  os.exit(2)
end

local Echo = protocol.Protocol:extend("Echo")

function Echo:dataReceived(data)
  self.transport:write(data)
end

local options, trusted
if certificateFile then
  options = ssl.DefaultOpenSSLContextFactory(keyFile, certificateFile)
else
  local names = { "localhost", "127.0.0.1", "::1" }
  local own = ssl.KeyPair.generate():selfSignedCert({ commonName = "localhost" }, { names = names })
  options, trusted = own:options(), own:dumpCertificatePEM()
end

local listening = reactor:listenSSL(port, protocol.Factory.forProtocol(Echo), options)
local try = ("openssl s_client -connect localhost:%d -servername localhost -verify_return_error")
  :format(listening:getHost().port)

if trusted then
  print("Save this as localhost.pem, and try:  " .. try .. " -CAfile localhost.pem")
  print(trusted)
else
  print("Try:  " .. try)
end
io.stdout:flush()
reactor:run()
