-- SPDX-License-Identifier: MIT
-- web/server/session.lua -- what a site remembers of a client for a while.

local Object = require("twistlua.class").Object
local guard  = require "twistlua.guard"

---A table for the program's own fields, with an id and an end (Twisted: server.Session).
---@class twistlua.web.Session: twistlua.Object
---@field uid string
---@field site twistlua.web.Site
---@field sessionTimeout number seconds without a request after which it expires
---@field lastModified number on the reactor's clock
---@operator call(...): twistlua.web.Session
local Session = Object:extend("Session")

Session.sessionTimeout = 900

---@param site twistlua.web.Site
---@param uid string
function Session:init(site, uid)
  self.site = site
  self.uid = uid
  self.lastModified = site:clock():seconds()
  self._callbacks = {}
  self._timer = nil
end

---Begin to count.
function Session:startCheckingExpiration()
  self._timer = self.site:clock():callLater(self.sessionTimeout, self._timedOut, self)
end

-- One timer, not moved at each request: when it is due it looks when the last was.
function Session:_timedOut()
  self._timer = nil
  local left = self.lastModified + self.sessionTimeout - self.site:clock():seconds()
  if left <= 0 then return self:expire() end
  self._timer = self.site:clock():callLater(left, self._timedOut, self)
end

---The client is still there.
function Session:touch()
  self.lastModified = self.site:clock():seconds()
end

---Have `f()` called when the session expires.
---@param f fun()
function Session:notifyOnExpire(f)
  self._callbacks[#self._callbacks + 1] = f
end

---End it now.
function Session:expire()
  if self.site.sessions[self.uid] ~= self then return end
  self.site.sessions[self.uid] = nil
  if self._timer then
    self._timer:cancel()
    self._timer = nil
  end
  local callbacks = self._callbacks
  self._callbacks = {}
  for _, f in ipairs(callbacks) do guard.run("Unhandled error as a session expired", f) end
end

return { Session = Session }
