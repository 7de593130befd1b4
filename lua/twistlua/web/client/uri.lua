-- SPDX-License-Identifier: MIT
-- web/client/uri.lua -- URIs of http and https (RFC 9110 4.2), taken apart, and references resolved (RFC 3986 5.2).

local Object = require("twistlua.class").Object
local http1  = require("twistlua.core").http1

local PORTS = { http = 80, https = 443 }

---@class twistlua.web.URI: twistlua.Object
---@field scheme string in lower case
---@field host string in lower case, without brackets
---@field port integer
---@field netloc string host and, unless it is the scheme's own, port: what Host says
---@field path string at least "/"
---@field query string|nil without "?"
---@field fragment string|nil without "#"
---@field originForm string path and query: what is sent
---@field userinfo string|nil
---@operator call(...): twistlua.web.URI
local URI = Object:extend("URI")

local function splitAuthority(authority)
  local userinfo, rest = authority:match "^(.*)@([^@]*)$"
  rest = rest or authority
  local host, port = rest:match "^%[([%x:.]+)%]:?(%d*)$"
  if not host then host, port = rest:match "^([^:%[%]]+):?(%d*)$" end
  return host, port, userinfo
end

---@param text string absolute
---@return twistlua.web.URI|nil
---@return string|nil message what is wrong with it
function URI.parse(text)
  local scheme, authority, target, fragment = text:match "^(%a[%w+.-]*)://([^/?#]*)([^#]*)#?(.*)$"
  if not scheme then return nil, ("'%s' has no scheme and host"):format(text) end
  local host, port, userinfo = splitAuthority(authority)
  if not host then return nil, ("'%s' has no valid host"):format(text) end
  local self = URI()
  self.scheme = scheme:lower()
  self.host = host:lower()
  self.port = port ~= "" and tonumber(port) or PORTS[self.scheme]
  if not self.port then return nil, nil, self.scheme end
  if self.port < 1 or self.port > 65535 then return nil, ("'%s' has a port that is none"):format(text) end
  local shown = host:find(":", 1, true) and "[" .. self.host .. "]" or self.host
  self.netloc = self.port == PORTS[self.scheme] and shown or ("%s:%d"):format(shown, self.port)
  if not http1.isHost(self.netloc) then return nil, ("'%s' has no valid host"):format(text) end
  if target:byte() ~= 47 then target = "/" .. target end
  if not http1.isTarget(target) then
    return nil, ("'%s' has a character that must be percent-encoded"):format(text)
  end
  self.originForm = target
  self.path, self.query = target:match "^([^?]*)%??(.*)$"
  if #self.path == #target then self.query = nil end
  self.fragment = #text > #scheme + 3 + #authority + #target and text:find("#", 1, true) and fragment or nil
  self.userinfo = userinfo
  return self
end

-- What nobody uses goes with the garbage.
local shared = setmetatable({}, { __mode = "v" })

---As parse, with one object for the same text: not to be changed. Programs ask for the same things again and again.
---@param text string
---@return twistlua.web.URI|nil
---@return string|nil message
function URI.shared(text)
  local known = shared[text]
  if known then return known end
  local uri, message, scheme = URI.parse(text)
  if uri then shared[text] = uri end
  return uri, message, scheme
end

---@return string whom a request is for: where it is different, so is whom to trust
function URI:origin()
  local origin = self._origin
  if not origin then
    origin = ("%s://%s:%d"):format(self.scheme, self.host, self.port)
    self._origin = origin
  end
  return origin
end

function URI:__tostring()
  return ("%s://%s%s%s"):format(self.scheme, self.netloc, self.originForm, self.fragment and "#" .. self.fragment or "")
end

-- RFC 3986 5.2.4
local function removeDotSegments(path)
  local segments, trailing = {}, path:find "/%.?%.?$" ~= nil
  for segment in path:gmatch "[^/]*" do segments[#segments + 1] = segment end
  local kept = {}
  for i = 2, #segments do
    local segment = segments[i]
    if segment == ".." then
      kept[#kept] = nil
    elseif segment ~= "." and not (segment == "" and i == #segments) then
      kept[#kept + 1] = segment
    end
  end
  local joined = "/" .. table.concat(kept, "/")
  return trailing and joined ~= "/" and joined .. "/" or joined
end

---What `reference`, such as a Location, means in a document of this URI. A fragment is inherited (RFC 9110 10.2.2).
---@param reference string
---@return string absolute
function URI:resolve(reference)
  local rest, fragment = reference:match "^([^#]*)(#?.*)$"
  if fragment == "" and self.fragment then fragment = "#" .. self.fragment end
  if rest:find "^%a[%w+.-]*:" then return rest .. fragment end
  if rest:find "^//" then return self.scheme .. ":" .. rest .. fragment end
  local path, query = rest:match "^([^?]*)(.*)$"
  if path == "" then
    path = self.path
    if query == "" and self.query then query = "?" .. self.query end
  elseif path:byte() == 47 then
    path = removeDotSegments(path)
  else
    path = removeDotSegments(self.path:match "^.*/" .. path)
  end
  return ("%s://%s%s%s%s"):format(self.scheme, self.netloc, path, query, fragment)
end

return URI
