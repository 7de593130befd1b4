-- SPDX-License-Identifier: MIT
-- twistlua_tls_server.lua CERTIFICATE KEY
local reactor = require "twistlua.reactor"
local protocol = require "twistlua.protocol"
local ssl = require "twistlua.ssl"

local Echo = protocol.Protocol:extend("Echo")

function Echo:dataReceived(data)
  self.transport:write(data)
end

local options = ssl.CertificateOptions { certificateFile = arg[1], privateKeyFile = arg[2] }
local port = reactor:listenSSL(0, protocol.Factory.forProtocol(Echo), options,
  { backlog = 4096, interface = "127.0.0.1" })
print(port:getHost().port)
io.stdout:flush()
reactor:run()
