-- SPDX-License-Identifier: MIT
-- web/client/redirect.lua -- agents that follow redirections (RFC 9110 15.4).

local Object = require("twistlua.class").Object
local URI    = require "twistlua.web.client.uri"
local errors = require "twistlua.web.client.errors"
local fields = require "twistlua.web.client.fields"

-- What another origin must not get.
local SENSITIVE = { authorization = true, cookie = true, cookie2 = true, ["proxy-authorization"] = true,
                    ["www-authenticate"] = true, host = true }

---Follows redirections of GET and HEAD, and 303 with a GET; a redirection of anything else fails (Twisted:
---RedirectAgent). Another origin gets neither Authorization nor Cookie.
---@class twistlua.web.RedirectAgent: twistlua.Object
---@operator call(...): twistlua.web.RedirectAgent
local RedirectAgent = Object:extend("RedirectAgent")

RedirectAgent.SAME = { [301] = true, [302] = true, [307] = true, [308] = true }   -- with the same method
RedirectAgent.GET  = { [303] = true }                                              -- with GET

---@param agent table with request
---@param redirectLimit? integer default 20
function RedirectAgent:init(agent, redirectLimit)
  self._agent = agent
  self._limit = redirectLimit or 20
end

local function refuse(response, class, location)
  response:discard()
  error(errors.ResponseFailed({
    class(("%d %s%s"):format(response.code, response.phrase, location and " to " .. location or ""),
      { status = response.code, location = location }),
  }, response), 0)
end

function RedirectAgent:_redirected(response, sent)
  local same, get = self.SAME[response.code], self.GET[response.code]
  if not same and not get then return response end
  local location = response:getHeader "location"
  if not location then refuse(response, errors.RedirectWithNoLocation) end
  location = sent.uri:resolve(location)
  if sent.redirects >= self._limit then refuse(response, errors.InfiniteRedirection, location) end
  local method = sent.method
  if get and method ~= "HEAD" then
    method = "GET"
  elseif same and not self:_mayRepeat(sent) then
    refuse(response, errors.PageRedirect, location)
  end
  response:discard()
  return self:_follow(response, sent, method, location)
end

-- Whether a request may go somewhere else as it is.
function RedirectAgent:_mayRepeat(sent)
  return (sent.method == "GET" or sent.method == "HEAD") and sent.body == nil
end

function RedirectAgent:_follow(response, sent, method, location)
  local uri = URI.parse(location)
  local elsewhere = not uri or uri:origin() ~= sent.uri:origin()
  local bodiless = method ~= sent.method
  local headers = fields.copy(sent.headers, function(name)
    if bodiless and name:find "^content%-" then return false end
    return not (elsewhere and SENSITIVE[name])
  end)
  return self:_send({
    method = method, uri = uri, headers = headers, body = not bodiless and sent.body or nil,
    redirects = sent.redirects + 1, previous = response,
  }, location)
end

function RedirectAgent:_send(sent, location)
  return self._agent:request(sent.method, location, sent.headers, sent.body):addCallback(function(response)
    if sent.previous then response:setPreviousResponse(sent.previous) end
    return self:_redirected(response, sent)
  end)
end

---As Agent's. It fails with ResponseFailed, whose first reason is PageRedirect, InfiniteRedirection or
---RedirectWithNoLocation, for what it does not follow.
---@return twistlua.Deferred response
function RedirectAgent:request(method, uri, headers, bodyProducer)
  local parsed = type(uri) == "string" and URI.shared(uri)
  if not parsed then return self._agent:request(method, uri, headers, bodyProducer) end
  return self:_send({ method = method, uri = parsed, headers = headers, body = bodyProducer, redirects = 0 }, uri)
end

---Does as browsers do: 301 and 302, too, turn a request into a GET; 307 and 308 repeat it, if its body is a string
---or there is none (Twisted: BrowserLikeRedirectAgent).
---@class twistlua.web.BrowserLikeRedirectAgent: twistlua.web.RedirectAgent
local BrowserLikeRedirectAgent = RedirectAgent:extend("BrowserLikeRedirectAgent")

BrowserLikeRedirectAgent.SAME = { [307] = true, [308] = true }
BrowserLikeRedirectAgent.GET  = { [301] = true, [302] = true, [303] = true }

function BrowserLikeRedirectAgent:_mayRepeat(sent)
  return sent.body == nil or type(sent.body) == "string"
end

return { RedirectAgent = RedirectAgent, BrowserLikeRedirectAgent = BrowserLikeRedirectAgent }
