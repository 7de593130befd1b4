-- SPDX-License-Identifier: MIT
-- web/client/cookie_agent.lua -- an agent that keeps cookies. Around it goes the agent that follows redirections, so
-- that each of their requests gets its own.

local Object = require("twistlua.class").Object
local URI    = require "twistlua.web.client.uri"
local fields = require "twistlua.web.client.fields"

---Keeps cookies in a jar (Twisted: CookieAgent).
---@class twistlua.web.CookieAgent: twistlua.Object
---@operator call(...): twistlua.web.CookieAgent
local CookieAgent = Object:extend("CookieAgent")

---@param agent table with request
---@param jar twistlua.web.CookieJar
function CookieAgent:init(agent, jar)
  self._agent = agent
  self._jar = jar
end

---As Agent's. A Cookie header that is given is sent as it is, without those of the jar.
---@return twistlua.Deferred response
function CookieAgent:request(method, uri, headers, bodyProducer)
  local parsed = type(uri) == "string" and URI.shared(uri)
  if not parsed then return self._agent:request(method, uri, headers, bodyProducer) end
  local cookies = not fields.get(headers, "cookie") and self._jar:header(parsed)
  if cookies then
    headers = fields.copy(headers)
    headers.Cookie = cookies
  end
  return self._agent:request(method, uri, headers, bodyProducer):addCallback(function(response)
    for _, line in ipairs(response:getHeaders "set-cookie") do self._jar:setCookie(parsed, line) end
    return response
  end)
end

return CookieAgent
