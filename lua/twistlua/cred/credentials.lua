-- SPDX-License-Identifier: MIT
-- cred/credentials.lua -- what somebody shows to be let in. `interfaces` says what a checker can do with it.

local Object = require("twistlua.class").Object
local digest = require("twistlua.core").digest

---Nobody in particular.
---@class twistlua.cred.Anonymous: twistlua.Object
---@operator call(...): twistlua.cred.Anonymous
local Anonymous = Object:extend("Anonymous")
Anonymous.interfaces = { "IAnonymous" }

---@class twistlua.cred.UsernamePassword: twistlua.Object
---@field username string
---@field password string
---@operator call(...): twistlua.cred.UsernamePassword
local UsernamePassword = Object:extend("UsernamePassword")
UsernamePassword.interfaces = { "IUsernamePassword", "IUsernameHashedPassword" }

function UsernamePassword:init(username, password)
  self.username, self.password = username, password
end

---In a time that does not depend on where they differ.
---@param password string
---@return boolean
function UsernamePassword:checkPassword(password)
  -- Of equal length for everybody: the length is a secret, too.
  return digest.equal(digest.hash("sha256", self.password), digest.hash("sha256", password))
end

return { Anonymous = Anonymous, UsernamePassword = UsernamePassword }
