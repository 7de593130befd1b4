-- SPDX-License-Identifier: MIT
-- web/guard/digest.lua -- Digest authentication (RFC 7616; RFC 2617's clients too).
-- A challenge carries a nonce, and in `opaque` its time and the client it was for, signed: nothing is remembered of who
-- never answers. Which counts were used with a nonce is, so that no answer counts twice (RFC 7616, 3.4): each count is
-- taken once, out of order as connections side by side bring it, among the 64 up to the highest.

local Object = require("twistlua.class").Object
local base64 = require "twistlua.web.http.base64"
local core   = require("twistlua.core").digest
local random = require("twistlua.core").random.bytes
local errors = require "twistlua.cred.error"

local LIFETIME = 15 * 60   -- seconds
local WINDOW = 64          -- counts, as there are bits in an integer
local METHODS = { ["MD5"] = "md5", ["MD5-SESS"] = "md5", ["SHA-256"] = "sha256", ["SHA-256-SESS"] = "sha256" }

local function hex(bytes)
  return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

---An answer to a challenge.
---@class twistlua.cred.DigestedCredentials: twistlua.Object
---@field username string
---@operator call(...): twistlua.cred.DigestedCredentials
local DigestedCredentials = Object:extend("DigestedCredentials")

---@param username string
---@param method string of the request
---@param realm string
---@param fields table<string, string> of the Authorization header
---@param use? fun(): boolean called when the answer is right: whether that is its first use
function DigestedCredentials:init(username, method, realm, fields, use)
  self.username, self.method, self.realm, self.fields = username, method, realm, fields
  self._use = use
  self.algorithm = (fields.algorithm or "MD5"):upper()
  self._hash = METHODS[self.algorithm]
  -- A file of MD5 hashes is of use to nobody who answers by SHA-256.
  self.interfaces = self._hash == "md5" and { "IUsernameDigestHash", "IUsernameHashedPassword" }
    or { "IUsernameHashedPassword" }
end

function DigestedCredentials:_h(...)
  return hex(core.hash(self._hash, table.concat({ ... }, ":")))
end

---@param password string
---@return boolean
function DigestedCredentials:checkPassword(password)
  return self:checkHash(self:_h(self.username, self.realm, password))
end

---@param hash string of name:realm:password, in hexadecimal
---@return boolean
function DigestedCredentials:checkHash(hash)
  local fields = self.fields
  if self.algorithm:sub(-5) == "-SESS" then hash = self:_h(hash, fields.nonce, fields.cnonce) end
  local request = self:_h(self.method, fields.uri)
  local expected
  if fields.qop then
    expected = self:_h(hash, fields.nonce, fields.nc, fields.cnonce, fields.qop, request)
  else
    expected = self:_h(hash, fields.nonce, request)
  end
  if not core.equal(expected, fields.response:lower()) then return false end
  if self._use then self._isFirst, self._use = self._use(), nil end
  return self._isFirst ~= false
end

---@class twistlua.web.guard.DigestCredentialFactory: twistlua.Object
---@operator call(...): twistlua.web.guard.DigestCredentialFactory
local DigestCredentialFactory = Object:extend("DigestCredentialFactory")
DigestCredentialFactory.scheme = "digest"

---@param algorithm "md5"|"sha-256" in any case
---@param realm string shown to the user
function DigestCredentialFactory:init(algorithm, realm)
  local name = type(algorithm) == "string" and algorithm:upper() or algorithm
  if name == "SHA256" then name = "SHA-256" end
  if name ~= "MD5" and name ~= "SHA-256" then
    error("DigestCredentialFactory: algorithm must be \"md5\" or \"sha-256\", got " .. tostring(algorithm), 3)
  end
  self.algorithm, self.authenticationRealm = name, realm
  self._key = random(32)
  self._counts, self._older = {}, {}   -- nonce -> { highest =, mask = } since `_turned`, and of the time before that
  self._turned = 0
end

-- The counts that were used with a nonce. Those of nonces whose time is up are forgotten.
function DigestCredentialFactory:_countsOf(nonce)
  local now = self._now()
  if now - self._turned > LIFETIME then
    self._older = now - self._turned > 2 * LIFETIME and {} or self._counts
    self._counts, self._turned = {}, now
  end
  return self._counts[nonce] or self._older[nonce]
end

function DigestCredentialFactory:_isUsed(nonce, count)
  local counts = self:_countsOf(nonce)
  if not counts or count > counts.highest then return false end
  local behind = counts.highest - count
  return behind >= WINDOW or counts.mask >> behind & 1 == 1
end

-- Whether this is the first use.
function DigestCredentialFactory:_use(nonce, count)
  if self:_isUsed(nonce, count) then return false end
  local counts = self:_countsOf(nonce) or { highest = 0, mask = 0 }
  if count > counts.highest then
    counts.mask, counts.highest = counts.mask << count - counts.highest, count
  end
  counts.mask = counts.mask | 1 << counts.highest - count
  self._counts[nonce] = counts
  return true
end

-- Seconds since 1970; a test may set it.
function DigestCredentialFactory._now() return os.time() end

function DigestCredentialFactory:_sign(nonce, client, time)
  local known = ("%s,%s,%d"):format(nonce, client, time)
  return hex(core.hmac("sha256", self._key, known)) .. "-" .. base64.encode(known)
end

---@param request twistlua.web.HTTPRequest
---@param stale? boolean the last answer was right, but late
---@return table<string, string> challenge
function DigestCredentialFactory:getChallenge(request, stale)
  local nonce = hex(random(16))
  return {
    realm     = self.authenticationRealm,
    nonce     = nonce,
    opaque    = self:_sign(nonce, request:getClientIP() or "", self._now()),
    qop       = "auth",
    algorithm = self.algorithm,
    stale     = stale and "true" or nil,
  }
end

local function fail(message, stale)
  local failure = errors.LoginFailed(message)
  failure.stale = stale
  error(failure, 0)
end

local function checkOpaque(factory, fields, client)
  local signature, known = fields.opaque:match("^(%x+)%-(%S+)$")
  known = known and base64.decode(known)
  if not known or not core.equal(hex(core.hmac("sha256", factory._key, known)), signature) then
    fail("Invalid response, the opaque value is not ours")
  end
  local nonce, from, time = known:match("^([^,]*),([^,]*),(%d+)$")
  if nonce ~= fields.nonce then fail("Invalid response, incompatible opaque/nonce values") end
  if from ~= client then fail("Invalid response, incompatible opaque/client values") end
  if factory._now() - math.tointeger(time) > LIFETIME then fail("Invalid response, nonce too old", true) end
end

-- name=token and name="text" pairs; names in lower case.
local function parse(header)
  local fields, at = {}, 1
  while at <= #header do
    local name, next = header:match("^[%s,]*([%w-]+)%s*=%s*()", at)
    if not name then return header:find("^[%s,]*$", at) and fields or nil end
    local text, after = header:match('^"([^"\\]*)"()', next)
    if not text then
      text, after = header:match('^"(.-[^\\])"()', next)
      text = text and text:gsub("\\(.)", "%1")
    end
    if not text then text, after = header:match("^([^%s,\"]+)()", next) end
    if not text then return nil end
    name = name:lower()
    if fields[name] then return nil end
    fields[name], at = text, after
  end
  return fields
end

local REQUIRED = { "nonce", "opaque", "uri", "response" }

local function checkFields(factory, fields, request)
  if not fields.username or fields.username == "" then fail("Invalid response, no username given.") end
  for _, name in ipairs(REQUIRED) do
    if not fields[name] then fail("Invalid response, no " .. name .. " given.") end
  end
  if fields.qop and (fields.qop ~= "auth" or not fields.nc or not fields.cnonce) then
    fail("Invalid response, not by the quality of protection that was asked for")
  end
  if fields.qop and not fields.nc:find("^%x%x%x%x%x%x%x%x$") then fail("Invalid response, malformed nonce count") end
  local algorithm = (fields.algorithm or "MD5"):upper()
  if METHODS[algorithm] ~= METHODS[factory.algorithm] or algorithm:sub(-5) == "-SESS" and not fields.cnonce then
    fail("Invalid response, not by the algorithm that was asked for")
  end
  -- An answer to another request proves nothing about this one.
  if fields.uri ~= request.uri then fail("Invalid response, for another URI") end
  if fields.realm ~= factory.authenticationRealm then fail("Invalid response, for another realm") end
end

---@param response string what stands behind "Digest" in Authorization
---@param request twistlua.web.HTTPRequest
---@return twistlua.cred.DigestedCredentials credentials raises LoginFailed, with `stale` where only the time was up
function DigestCredentialFactory:decode(response, request)
  local fields = parse(response)
  if not fields then fail("Invalid response, malformed") end
  checkFields(self, fields, request)
  checkOpaque(self, fields, request:getClientIP() or "")
  local use
  if fields.qop then
    local count = tonumber(fields.nc, 16)
    if self:_isUsed(fields.nonce, count) then fail("Invalid response, the nonce count was used already", true) end
    use = function() return self:_use(fields.nonce, count) end
  end
  return DigestedCredentials(fields.username, request.method, self.authenticationRealm, fields, use)
end

return { DigestCredentialFactory = DigestCredentialFactory, DigestedCredentials = DigestedCredentials }
