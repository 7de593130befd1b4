-- SPDX-License-Identifier: MIT
-- web/error.lua -- errors of web programs. One that a handler raises answers with its status.

local Object = require("twistlua.class").Object

---An error with a status and a text for the client.
---@class twistlua.web.Error: twistlua.Object
---@field status integer
---@field message string
---@operator call(...): twistlua.web.Error
local Error = Object:extend("Error")

---@param status integer
---@param message? string
function Error:init(status, message)
  self.status = status
  self.message = message or require("twistlua.core").http1.reason(status) or "Error"
end

function Error:__tostring()
  return ("%d %s"):format(self.status, self.message)
end

---What the client has sent makes no sense.
---@class twistlua.web.BadRequest: twistlua.web.Error
local BadRequest = Error:extend("BadRequest")

---@param message string
function BadRequest:init(message)
  Error.init(self, 400, message)
end

---A resource has no method for a request: 405 for GET, HEAD and POST, 501 for others.
---@class twistlua.web.UnsupportedMethod: twistlua.web.Error
---@field allowed string[]
local UnsupportedMethod = Error:extend("UnsupportedMethod")

local USUAL = { GET = true, HEAD = true, POST = true }

---@param allowed string[]
---@param method? string that was asked for
function UnsupportedMethod:init(allowed, method)
  Error.init(self, (not method or USUAL[method]) and 405 or 501)
  self.allowed = allowed
end

return { Error = Error, BadRequest = BadRequest, UnsupportedMethod = UnsupportedMethod }
