-- SPDX-License-Identifier: MIT
-- cred/error.lua -- why somebody is not let in.

local Error = require("twistlua.error").Error

local UnauthorizedLogin = Error:extend("UnauthorizedLogin")
local LoginFailed       = UnauthorizedLogin:extend("LoginFailed")

return {
  UnauthorizedLogin    = UnauthorizedLogin,                                -- no such user, or not with that password
  LoginFailed          = LoginFailed,                                      -- what was sent is no proof at all
  UnhandledCredentials = UnauthorizedLogin:extend("UnhandledCredentials"), -- no checker takes this kind
}
