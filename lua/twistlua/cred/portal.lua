-- SPDX-License-Identifier: MIT
-- cred/portal.lua -- from credentials to an avatar: what somebody sees of a program, once known.

local Object = require("twistlua.class").Object
local defer  = require "twistlua.defer"
local errors = require "twistlua.cred.error"

---Brings checkers and a realm together (Twisted: cred.portal.Portal).
---@class twistlua.cred.Portal: twistlua.Object
---@operator call(...): twistlua.cred.Portal
local Portal = Object:extend("Portal")

---@class twistlua.cred.Realm
---@field requestAvatar fun(self, avatarId: any, mind: any, ...: string): twistlua.cred.Login returns it, or a Deferred

---@class twistlua.cred.Login
---@field interface string which of those that were asked for
---@field avatar any
---@field logout fun()|nil called when it is no longer needed

---@param realm twistlua.cred.Realm
---@param checkers? table[] objects with `credentialInterfaces` and `requestAvatarId(credentials)`
function Portal:init(realm, checkers)
  self.realm = realm
  self._checkers = {}   -- interface → checker
  for _, checker in ipairs(checkers or {}) do self:registerChecker(checker) end
end

---@param checker table
---@param ... string interfaces of credentials; none: what the checker says itself
function Portal:registerChecker(checker, ...)
  local interfaces = select("#", ...) > 0 and { ... } or checker.credentialInterfaces
  for _, interface in ipairs(interfaces) do self._checkers[interface] = checker end
end

---@return string[] interfaces that credentials may have
function Portal:listCredentialsInterfaces()
  local list = {}
  for interface in pairs(self._checkers) do list[#list + 1] = interface end
  table.sort(list)
  return list
end

---@param credentials table with `interfaces`
---@param mind any handed to the realm
---@param ... string what the avatar is to be, such as "IResource"
---@return twistlua.Deferred login a twistlua.cred.Login; fails with UnauthorizedLogin
function Portal:login(credentials, mind, ...)
  for _, interface in ipairs(credentials.interfaces) do
    local checker = self._checkers[interface]
    if checker then
      local d = defer.maybeDeferred(checker.requestAvatarId, checker, credentials)
      local asked = { ... }
      return d:addCallback(function(avatarId)
        return self.realm:requestAvatar(avatarId, mind, table.unpack(asked))
      end)
    end
  end
  return defer.fail(errors.UnhandledCredentials("No checker for " .. table.concat(credentials.interfaces, ", ")))
end

return { Portal = Portal }
