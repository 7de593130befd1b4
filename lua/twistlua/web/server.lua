-- SPDX-License-Identifier: MIT
-- web/server.lua -- Site: serves a tree of resources by HTTP.

local core     = require "twistlua.core"
local http     = require "twistlua.web.http"
local request  = require "twistlua.web.server.request"
local resource = require "twistlua.web.resource"

---A factory that answers from a tree of resources (Twisted: server.Site).
---`endpoints.serverFromString(reactor, "tcp:8080"):listen(server.Site(root))`
---@class twistlua.web.Site: twistlua.web.HTTPFactory
---@field resource twistlua.web.Resource
---@field sessions table<string, twistlua.web.Session> by id
---@field sessionFactory fun(site: twistlua.web.Site, uid: string): twistlua.web.Session
---@operator call(...): twistlua.web.Site
local Site = http.HTTPFactory:extend("Site")

Site.requestFactory = request.Request

---@param root twistlua.web.Resource
---@param given? table as for HTTPFactory: logPath, timeout, displayTracebacks, limits, ...
function Site:init(root, given)
  if type(root) ~= "table" or not root.render then
    error("Site: a resource expected, got " .. type(root), 3)
  end
  http.HTTPFactory.init(self, given)
  self.resource = root
  self.sessions = {}
end

---The resource for a request. Called for each whose root is no leaf, or that has a body.
---@param asked twistlua.web.Request
---@return twistlua.web.Resource
function Site:getResourceFor(asked)
  return resource.getChildForRequest(self.resource, asked)
end

---A session with a new id that nobody can guess.
---@return twistlua.web.Session
function Site:makeSession()
  local uid = core.random.hex(32)
  local session = self.sessionFactory(self, uid)
  self.sessions[uid] = session
  session:startCheckingExpiration()
  return session
end

---@param uid string
---@return twistlua.web.Session|nil
function Site:findSession(uid)
  return self.sessions[uid]
end

---Raises KeyError-like if there is none.
---@param uid string
---@return twistlua.web.Session
function Site:getSession(uid)
  return self.sessions[uid] or error("getSession: there is no session " .. tostring(uid), 2)
end

function Site:stopFactory()
  for _, session in pairs(self.sessions) do session:expire() end
  http.HTTPFactory.stopFactory(self)
end

function Site.sessionFactory(...)
  return require("twistlua.web.server.session").Session(...)
end

return {
  Site         = Site,
  Request      = request.Request,
  NOT_DONE_YET = request.Request.NOT_DONE_YET,
}
