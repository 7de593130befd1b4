-- SPDX-License-Identifier: MIT
-- web/server/request.lua -- a request to a site: finds its resource, and answers with what that renders.

local core     = require "twistlua.core"
local http     = require "twistlua.web.http.request"

---@class twistlua.web.Request: twistlua.web.HTTPRequest
---@field site twistlua.web.Site
---@field prepath string[] decoded segments of the path that led to the resource
---@field postpath string[] those that are left
---@field session twistlua.web.Session|nil after getSession
---@operator call(...): twistlua.web.Request
local Request = http.Request:extend("Request")

---What a handler returns that finishes the response later. core.http1.serve knows it, too.
Request.NOT_DONE_YET = 1

function http.LATER.site(request) return request.channel.factory end

function http.LATER.prepath() return {} end

function http.LATER.postpath(request)
  local uri = request.uri
  return core.http1.segments(uri:byte() == 47 and uri or request.path)
end

-- ---- Answering ----------------------------------------------------------------------------------

local function settle(request, body)
  if request.finished or request.disconnected then return end
  if type(body) == "string" then
    if not request.startedWriting then return request:respond(body) end
    request:write(body)
    return request:finish()
  elseif body == nil then
    return request:finish()
  elseif body ~= Request.NOT_DONE_YET then
    error(("a Deferred of a string expected, got one of %s"):format(type(body)), 0)
  end
end

local function isCancelled(request, failure)
  return request.disconnected and failure:check("CancelledError")
end

local function wait(request, d)
  request:_keep("_task", d)
  d:addCallback(function(body)
    request._task = false
    return settle(request, body)
  end):addErrback(function(failure)
    request._task = false
    if not isCancelled(request, failure) then request:processingFailed(failure) end
  end)
end

-- Answer with `body`, which `target` has rendered, and which may have been written at once.
local function answer(request, target, body, written)
  if written then
    return request.channel:wasSent(request, #body)
  elseif type(body) == "string" then
    return settle(request, body)
  elseif body == Request.NOT_DONE_YET then
    return
  elseif core.deferred.isDeferred(body) then
    return wait(request, body)
  elseif body ~= nil or not (request.startedWriting or request.finished or request.disconnected) then
    error(("%s:render_%s returned %s; it must return a string, a Deferred or NOT_DONE_YET, or write to the request")
      :format(target.__name, request.method, type(body)), 0)
  end
end

---Answer with what `target` renders.
---@param target twistlua.web.Resource
function Request:render(target)
  local body = target:render(self)
  local over = self.channel:respondPlainly(self, body)
  if not over then return answer(self, target, body, over == false) end
end

function Request:process()
  return self:render(self._resource or self.channel.factory:getResourceFor(self))
end

-- By these core.http1.serve sees that requests are processed as above, which it then does by itself, but for answers
-- that are more than to write a string.
Request._process = Request.process
Request._answer  = answer

---The resource is found before the body is read, so that it may take that as it comes.
function Request:bodyBegins(_)
  local target = self.channel.factory:getResourceFor(self)
  self:_keep("_resource", target)
  if target.onBody then return target:onBody(self) end
end

-- ---- What it brings -----------------------------------------------------------------------------

---@return table<string, string> query name → value, the last of several; `args` has all. Raises a BadRequest
function Request:query()
  return require("twistlua.web.request_body").query(self)
end

---The form in the body, urlencoded or multipart. Raises errors that are answered: 400 for a malformed one, 415 for a
---body that is none.
---@return table<string, string> form name → value, the last of several; `args` has all
function Request:form()
  return require("twistlua.web.request_body").form(self)
end

---What the body, which must be application/json, stands for. Raises errors that are answered: 400 with what is wrong
---and where, 413, 415.
---@param given? { max: integer } bytes, default 1 MiB
---@return any
function Request:json(given)
  return require("twistlua.web.request_body").json(self, given)
end

-- ---- Sessions -----------------------------------------------------------------------------------

---The session of this client, made if need be. Raises when the response has begun and there is none.
---@return twistlua.web.Session
function Request:getSession()
  if self.session then
    self.session:touch()
    return self.session
  end
  local secure = self:isSecure()
  local name = secure and "TWISTED_SECURE_SESSION" or "TWISTED_SESSION"
  local uid = self:getCookie(name)
  local session = uid and self.site:findSession(uid)
  if not session then
    if self.startedWriting then error("getSession: the response has begun, so no session can be made", 2) end
    session = self.site:makeSession()
    self:addCookie(name, session.uid, { path = "/", secure = secure, httpOnly = true, sameSite = "lax" })
  end
  self.session = session
  session:touch()
  return session
end


return { Request = Request }
