-- SPDX-License-Identifier: MIT
-- web/client.lua -- the client of HTTP: agents, pools, responses; and requests in one line. What is not used is
-- not loaded.

local client = {}

-- A name → the module in web/client/ that has it; a module without that field is the value itself.
local MODULES = {
  Agent = "agent", BrowserLikePolicyForHTTPS = "agent",
  HTTPConnectionPool = "pool",
  HTTP11ClientProtocol = "connection",
  Request = "request", URI = "uri",
  Response = "response", readBody = "response",
  FileBodyProducer = "body", UNKNOWN_LENGTH = "body",
  RedirectAgent = "redirect", BrowserLikeRedirectAgent = "redirect",
  CookieAgent = "cookie_agent", CookieJar = "cookie_jar",
  ContentDecoderAgent = "decoder",
  ProxyAgent = "proxy",
  get = "short", head = "short", post = "short", put = "short", patch = "short", delete = "short", request = "short",
}

setmetatable(client, { __index = function(self, name)
  local module, value = MODULES[name]
  if module then
    local loaded = require("twistlua.web.client." .. module)
    value = loaded[name] or loaded
  else
    value = require("twistlua.web.client.errors")[name]
  end
  self[name] = value
  return value
end })

return client
