-- SPDX-License-Identifier: MIT
-- web/guard.lua -- resources for those who are let in: HTTP authentication on top of twistlua.cred.

local Object   = require("twistlua.class").Object
local Resource = require("twistlua.web.resource").Resource
local core     = require "twistlua.core"
local credentials = require "twistlua.cred.credentials"
local errors   = require "twistlua.cred.error"
local log      = require "twistlua.log"

---@class twistlua.web.guard.BasicCredentialFactory: twistlua.Object
---@operator call(...): twistlua.web.guard.BasicCredentialFactory
local BasicCredentialFactory = Object:extend("BasicCredentialFactory")
BasicCredentialFactory.scheme = "basic"

---@param realm string shown to the user
function BasicCredentialFactory:init(realm)
  self.authenticationRealm = realm
end

---@return table<string, string> challenge
function BasicCredentialFactory:getChallenge(_)
  return { realm = self.authenticationRealm, charset = "UTF-8" }
end

---@param response string what stands behind "Basic" in Authorization
---@return twistlua.cred.UsernamePassword credentials raises LoginFailed
function BasicCredentialFactory.decode(_, response, _)
  local plain = require("twistlua.web.http.base64").decode(response)
  local username, password = (plain or ""):match("^([^:]*):(.*)$")
  if not username then error(errors.LoginFailed("Invalid credentials"), 0) end
  return credentials.UsernamePassword(username, password)
end

-- realm="x", nonce="y": the realm first, the others by name.
local UNQUOTED = { algorithm = true, stale = true }

local function describe(scheme, challenge)
  local names, parts = {}, {}
  for name in pairs(challenge) do names[#names + 1] = name end
  table.sort(names, function(a, b)
    if (a == "realm") ~= (b == "realm") then return a == "realm" end
    return a < b
  end)
  for index, name in ipairs(names) do
    local value = tostring(challenge[name])
    parts[index] = name .. "=" .. (UNQUOTED[name] and value or '"' .. value:gsub('[\\"]', "\\%0") .. '"')
  end
  return scheme .. " " .. table.concat(parts, ", ")
end

---Says 401 and how to answer that (Twisted: UnauthorizedResource).
---@class twistlua.web.guard.UnauthorizedResource: twistlua.Resource
local UnauthorizedResource = Resource:extend("UnauthorizedResource")
UnauthorizedResource.isLeaf = true

function UnauthorizedResource:init(factories, stale)
  Resource.init(self)
  self._factories, self._stale = factories, stale
end

function UnauthorizedResource:render(request)
  request:setResponseCode(401)
  for _, factory in ipairs(self._factories) do
    local scheme = factory.scheme:gsub("^%l", string.upper)
    request.responseHeaders:addRawHeader("www-authenticate",
      describe(scheme, factory:getChallenge(request, self._stale)))
  end
  request:setHeader("content-type", "text/plain; charset=utf-8")
  return request.method == "HEAD" and "" or "Unauthorized"
end

---Shows everybody the resource that is theirs, or asks who they are (Twisted: HTTPAuthSessionWrapper).
---@class twistlua.web.guard.HTTPAuthSessionWrapper: twistlua.Resource
---@operator call(...): twistlua.web.guard.HTTPAuthSessionWrapper
local HTTPAuthSessionWrapper = Resource:extend("HTTPAuthSessionWrapper")

---@param portal twistlua.cred.Portal whose realm makes avatars that are "IResource"
---@param factories table[] of credentials: what is offered, the best first
function HTTPAuthSessionWrapper:init(portal, factories)
  Resource.init(self)
  self._portal, self._factories = portal, factories
end

function HTTPAuthSessionWrapper:_unauthorized(stale)
  return UnauthorizedResource(self._factories, stale)
end

function HTTPAuthSessionWrapper:_factoryFor(header)
  local scheme, rest = header:match("^%s*([%w-]+)%s+(.-)%s*$")
  for _, factory in ipairs(self._factories) do
    if scheme and factory.scheme == scheme:lower() then return factory, rest end
  end
end

local function isRefusal(failure)
  return core.failure.isFailure(failure) and failure:check(errors.UnauthorizedLogin) ~= nil
end

-- The resource of who logs in by these credentials, in a Deferred.
function HTTPAuthSessionWrapper:_login(shown, request)
  local login = self._portal:login(shown, nil, "IResource")
  return login:addCallbacks(function(made)
    if made.logout then request:notifyFinish():addBoth(function() made.logout() end) end
    return made.avatar
  end, function(failure)
    if isRefusal(failure) then return self:_unauthorized() end
    log.err(failure, "HTTPAuthSessionWrapper: login failed")
    return failure
  end)
end

function HTTPAuthSessionWrapper:_authorized(request)
  local header = request:getHeader("authorization")
  local shown = credentials.Anonymous()
  if header then
    local factory, rest = self:_factoryFor(header)
    if not factory then return self:_unauthorized() end
    local ok, result = pcall(factory.decode, factory, rest, request)
    if not ok then
      if not require("twistlua.class").isA(result, errors.UnauthorizedLogin) then error(result, 0) end
      return self:_unauthorized(result.stale)
    end
    shown = result
  end
  return require("twistlua.web.util").DeferredResource(self:_login(shown, request))
end

---The avatar is not known yet, so it sees the whole path that is left.
function HTTPAuthSessionWrapper:getChildWithDefault(_, request)
  table.insert(request.postpath, 1, table.remove(request.prepath))
  return self:_authorized(request)
end

function HTTPAuthSessionWrapper:render(request)
  return self:_authorized(request):render(request)
end

return setmetatable({
  HTTPAuthSessionWrapper = HTTPAuthSessionWrapper,
  UnauthorizedResource   = UnauthorizedResource,
  BasicCredentialFactory = BasicCredentialFactory,
}, {
  __index = function(_, name)
    if name == "DigestCredentialFactory" then return require("twistlua.web.guard.digest").DigestCredentialFactory end
  end,
})
