-- SPDX-License-Identifier: MIT
-- cred/checkers.lua -- who knows whether credentials are good. requestAvatarId returns the name, or raises
-- UnauthorizedLogin, or returns a Deferred.

local Object  = require("twistlua.class").Object
local digest  = require("twistlua.core").digest
local errors  = require "twistlua.cred.error"
local options = require "twistlua.options"

---The avatar id of those who said no name.
local ANONYMOUS = setmetatable({}, { __tostring = function() return "ANONYMOUS" end })

local function refuse()
  error(errors.UnauthorizedLogin("unable to verify password"), 0)
end

---Lets everybody in as ANONYMOUS.
---@class twistlua.cred.AllowAnonymousAccess: twistlua.Object
---@operator call(...): twistlua.cred.AllowAnonymousAccess
local AllowAnonymousAccess = Object:extend("AllowAnonymousAccess")
AllowAnonymousAccess.credentialInterfaces = { "IAnonymous" }

function AllowAnonymousAccess.requestAvatarId(_, _)
  return ANONYMOUS
end

-- Whoever is not known takes as long as who is.
local NOBODY = require("twistlua.core").random.bytes(16)

local function checked(credentials, password)
  local good = credentials:checkPassword(password or NOBODY)
  if not password or not good then refuse() end
  return credentials.username
end

---Names and passwords in a table, for tests and examples (Twisted: InMemoryUsernamePasswordDatabaseDontUse).
---@class twistlua.cred.InMemoryUsernamePasswordDatabaseDontUse: twistlua.Object
---@operator call(...): twistlua.cred.InMemoryUsernamePasswordDatabaseDontUse
local InMemory = Object:extend("InMemoryUsernamePasswordDatabaseDontUse")
InMemory.credentialInterfaces = { "IUsernamePassword", "IUsernameHashedPassword" }

---@param users? table<string, string>
function InMemory:init(users)
  self.users = {}
  for name, password in pairs(users or {}) do self.users[name] = password end
end

function InMemory:addUser(username, password)
  self.users[username] = password
end

function InMemory:requestAvatarId(credentials)
  return checked(credentials, self.users[credentials.username])
end

local function fields(line, delimiter)
  local list = {}
  for field in (line .. delimiter):gmatch("(.-)" .. delimiter:gsub("%p", "%%%0")) do list[#list + 1] = field end
  return list
end

local FILE = { delim = "string", usernameField = "integer", passwordField = "integer", hash = "function" }

---A file of lines such as "name:password", read anew for each login.
---@class twistlua.cred.FilePasswordDB: twistlua.Object
---@operator call(...): twistlua.cred.FilePasswordDB
local FilePasswordDB = Object:extend("FilePasswordDB")
FilePasswordDB.credentialInterfaces = { "IUsernamePassword", "IUsernameHashedPassword" }

---@param filename string
---@param given? { delim?: string, usernameField?: integer, passwordField?: integer, hash?: function } delim: default
---  ":"; fields count from 1, default 1 and 2; hash(username, password, stored): what must be equal to the stored one
function FilePasswordDB:init(filename, given)
  given = options.check("FilePasswordDB", given, FILE)
  self.filename       = filename
  self._delimiter     = given.delim or ":"
  self._usernameField = given.usernameField or 1
  self._passwordField = given.passwordField or 2
  self._hash          = given.hash
  if given.hash then self.credentialInterfaces = { "IUsernamePassword" } end
end

function FilePasswordDB:_stored(username)
  local file = assert(io.open(self.filename))
  local found
  for line in file:lines() do
    local parts = fields(line, self._delimiter)
    if parts[self._usernameField] == username then
      found = parts[self._passwordField]
      break
    end
  end
  file:close()
  return found
end

function FilePasswordDB:requestAvatarId(credentials)
  local stored = self:_stored(credentials.username)
  if not self._hash then return checked(credentials, stored) end
  local hashed = self._hash(credentials.username, credentials.password, stored or NOBODY)
  if not stored or not digest.equal(hashed, stored) then refuse() end
  return credentials.username
end

---A file that htdigest(1) wrote: "name:realm:MD5 of name:realm:password". It serves digest and basic authentication.
---@class twistlua.cred.HtdigestDB: twistlua.Object
---@operator call(...): twistlua.cred.HtdigestDB
local HtdigestDB = Object:extend("HtdigestDB")
HtdigestDB.credentialInterfaces = { "IUsernameDigestHash", "IUsernamePassword" }

---@param filename string
---@param realm string
function HtdigestDB:init(filename, realm)
  self.filename, self.realm = filename, realm
end

local function hex(bytes)
  return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

function HtdigestDB:_stored(username)
  local file = assert(io.open(self.filename))
  local found
  for line in file:lines() do
    local name, realm, hash = line:match("^([^:]*):([^:]*):(%x+)%s*$")
    if name == username and realm == self.realm and #hash == 32 then
      found = hash:lower()
      break
    end
  end
  file:close()
  return found
end

function HtdigestDB:requestAvatarId(credentials)
  local username = credentials.username
  local stored = self:_stored(username)
  local against = stored or hex(NOBODY)
  local good
  if credentials.checkHash then
    good = credentials:checkHash(against)
  else
    local ours = hex(digest.hash("md5", table.concat({ username, self.realm, credentials.password }, ":")))
    good = digest.equal(ours, against)
  end
  if not stored or not good then refuse() end
  return username
end

return {
  ANONYMOUS                               = ANONYMOUS,
  AllowAnonymousAccess                    = AllowAnonymousAccess,
  InMemoryUsernamePasswordDatabaseDontUse = InMemory,
  FilePasswordDB                          = FilePasswordDB,
  HtdigestDB                              = HtdigestDB,
}
