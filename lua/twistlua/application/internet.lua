-- SPDX-License-Identifier: MIT
-- application/internet.lua -- services that hold connections and ports.

local client = require "twistlua.application.client_service"

return {
  ClientService = client.ClientService,
  backoffPolicy = client.backoffPolicy,
}
