-- SPDX-License-Identifier: MIT
-- web/client/short.lua -- a request in one call: agents as most programs want them, and the body with the response.

local Object   = require("twistlua.class").Object
local client   = require "twistlua.web.client"
local defer    = require "twistlua.defer"
local fields   = require "twistlua.web.client.fields"
local options  = require "twistlua.options"

local TIMEOUT = 30   -- seconds for all of it

local short = {}

---What a request in one call results in.
---@class twistlua.web.Result: twistlua.Object
---@field code integer
---@field phrase string
---@field headers twistlua.Headers
---@field body string
---@field url string of the last request, after redirections
---@field previousResponse twistlua.web.Response|nil the redirection that led here
local Result = Object:extend("Result")

function Result.__index(self, name)
  if name ~= "headers" then return Result[name] end
  self.headers = self._response.headers
  return self.headers
end

function Result:init(response, body)
  self.code, self.phrase, self.body = response.code, response.phrase, body
  self.url = response.request.absoluteURI
  self.previousResponse = response.previousResponse
  self._response = response
end

---The body as JSON; raises an error if it is none.
---@return any
function Result:json()
  local value, message = require("twistlua.web.json").decode(self.body)
  if message then error(("%s: %s"):format(self.url, message), 2) end
  return value
end

-- ---- Bodies and queries ----------------------------------------------------------------------------

local function escape(text)
  return (tostring(text):gsub("[^%w%-._~]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

local function addPair(list, name, value)
  list[#list + 1] = escape(name) .. "=" .. escape(value)
end

-- By name, so that the same table is always the same text.
local function urlencode(given)
  local names, list = {}, {}
  for name in pairs(given) do names[#names + 1] = name end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for _, name in ipairs(names) do
    local value = given[name]
    if type(value) == "table" then
      for _, one in ipairs(value) do addPair(list, name, one) end
    else
      addPair(list, name, value)
    end
  end
  return table.concat(list, "&")
end

local function withQuery(url, query)
  if not query then return url end
  local before, fragment = url:match "^([^#]*)(.*)$"
  return before .. (before:find("?", 1, true) and "&" or "?") .. urlencode(query) .. fragment
end

local function bodyOf(what, given, headers)
  local count, body, kind = 0, given.body, nil
  for _, name in ipairs { "body", "json", "form" } do
    if given[name] ~= nil then count = count + 1 end
  end
  if count > 1 then error(what .. ": only one of body, json and form can be sent", 4) end
  if given.json ~= nil then body, kind = require("twistlua.web.json").encode(given.json), "application/json" end
  if given.form then body, kind = urlencode(given.form), "application/x-www-form-urlencoded" end
  if kind and not fields.get(headers, "content-type") then headers["Content-Type"] = kind end
  return body
end

-- ---- Agents ----------------------------------------------------------------------------------------

local own = setmetatable({}, { __mode = "k" })   -- pool, or reactor → the agents of requests that bring none

-- They stay, and so does what was loaded to know whom to trust.
local function ownAgents(reactor, pool)
  local agents = own[pool or reactor]
  if not agents or agents.reactor ~= reactor then
    local plain = client.Agent(reactor, { pool = pool })
    agents = { reactor = reactor, plain = plain, decoding = client.ContentDecoderAgent(plain) }
    own[pool or reactor] = agents
  end
  return agents
end

local function decodingAgent(reactor, given)
  local agent = given.agent
  if not agent then
    local agents = ownAgents(reactor, given.pool)
    if not given.cookies then return agents.decoding end
    agent = agents.plain
  end
  if given.cookies then agent = client.CookieAgent(agent, given.cookies) end
  return client.ContentDecoderAgent(agent)
end

local function agentOf(reactor, given)
  local agent = decodingAgent(reactor, given)
  return given.followRedirects == false and agent or client.BrowserLikeRedirectAgent(agent)
end

local OPTIONS = {
  headers = "table", query = "table", body = "any", json = "any", form = "table", timeout = "number",
  followRedirects = "boolean", maxBody = "number", auth = "table", agent = "table", pool = "table", cookies = "table",
  reactor = "any",
}

local function basic(auth)
  return "Basic " .. require("twistlua.web.http.base64").encode(("%s:%s"):format(auth[1], auth[2]))
end

---@class twistlua.web.short.given
---@field headers? twistlua.Headers|table<string, string|string[]>
---@field query? table<string, any> is added to the URL; a list gives several
---@field body? string|table
---@field json? any is sent as JSON
---@field form? table<string, any> is sent as from a form
---@field timeout? number seconds for all of it, default 30; 0 for any time
---@field followRedirects? boolean default true
---@field maxBody? number bytes, default 64 MiB
---@field auth? string[] user and password, for the first origin only
---@field agent? table that makes the requests
---@field pool? twistlua.web.HTTPConnectionPool of the connections; without one each is closed after its response
---@field cookies? twistlua.web.CookieJar
---@field reactor? twistlua.Reactor

---Make a request, follow where it leads, read and decode the body. Any status is a result.
---@param method string
---@param url string
---@param given? twistlua.web.short.given
---@return twistlua.Deferred result a twistlua.web.Result
function short.request(method, url, given)
  given = options.check("request", given, OPTIONS)
  local reactor = given.reactor or require "twistlua.reactor"
  local headers = fields.copy(given.headers)
  if given.auth then headers.Authorization = basic(given.auth) end
  if not fields.get(headers, "user-agent") then
    headers["User-Agent"] = "twistlua/" .. require("twistlua.core").version
  end
  local body = bodyOf("request", given, headers)
  local result = defer.maybeDeferred(function()
    return agentOf(reactor, given):request(method, withQuery(url, given.query), headers, body)
  end):addCallback(function(response)
    return client.readBody(response, { maxSize = given.maxBody }):addCallback(function(whole)
      return Result(response, whole)
    end)
  end)
  local timeout = given.timeout or TIMEOUT
  return timeout > 0 and result:addTimeout(timeout, reactor) or result
end

for _, method in ipairs { "get", "head", "post", "put", "patch", "delete" } do
  short[method] = function(url, given) return short.request(method:upper(), url, given) end
end

return short
