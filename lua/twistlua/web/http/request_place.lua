-- SPDX-License-Identifier: MIT
-- web/http/request_place.lua -- where a request came from and what it is addressed to: methods of Request.

local Request = {}

local function base64(text)
  return require("twistlua.web.http.base64").decode(text)
end

-- The name and password of a Basic Authorization, or two empty strings.
local function credentials(request)
  local kind, coded = (request:getHeader("authorization") or ""):match("^(%a+) +(%S+)%s*$")
  local plain = kind and kind:lower() == "basic" and base64(coded)
  local user, password = (plain or ""):match("^([^:]*):(.*)$")
  return user or "", password or ""
end

---@return string name of HTTP Basic authentication, or ""; nobody has checked it
function Request:getUser()
  return (credentials(self))
end

---@return string password of HTTP Basic authentication, or ""; nobody has checked it
function Request:getPassword()
  return (select(2, credentials(self)))
end

---@return table address of the other side of the connection
function Request:getClientAddress()
  return self._client or self.channel:getPeer()
end

---@return string|nil host literal of the other side; nil where that has none
function Request:getClientIP()
  return self:getClientAddress().host
end

---@return table address of this side
function Request:getHost()
  return self._host or self.channel:getHost()
end

---Say where the request was sent to, for a server behind a proxy.
---@param host string
---@param port integer
---@param secure? boolean
function Request:setHost(host, port, secure)
  local standard = secure and 443 or 80
  self._forced = { authority = port == standard and host or host .. ":" .. port, secure = secure or false }
  self._host = require("twistlua.address").IPv4Address("TCP", host, port)
end

---@return boolean the connection is encrypted, or was until the proxy
function Request:isSecure()
  if self._forced then return self._forced.secure end
  return self.channel:isSecure()
end

-- Host and port as the client spells them.
local function authority(request)
  if request._forced then return request._forced.authority end
  local sent = request._authority
  if sent ~= "" then return sent end
  local host = request:getHost()
  return host.port and ("%s:%d"):format(host.host, host.port) or ""
end

---@return string host that the client has asked, without the port
function Request:getRequestHostname()
  local sent = authority(self)
  return sent:match("^(%[[^]]*%])") or sent:match("^[^:]*")
end

local function escape(segment)
  return (segment:gsub("[^%w%-._~!$&'()*+,;=:@]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

local function joined(segments)
  local escaped = {}
  for index, segment in ipairs(segments) do escaped[index] = escape(segment) end
  return table.concat(escaped, "/")
end

local function base(request)
  local secure = request:isSecure()
  local place = authority(request):gsub(secure and ":443$" or ":80$", "")
  return (secure and "https://" or "http://") .. place .. "/"
end

---@return string url of what `prepath` leads to
function Request:prePathURL()
  return base(self) .. joined(self.prepath)
end

---@return string url of the request, without the query
function Request:URLPath()
  return base(self) .. self.path:gsub("^/", "")
end

---@param name string
---@return string reference relative to this request's URL, of its resource's child `name`
function Request:childLink(name)
  local last = self.postpath[1] == nil and self.prepath[#self.prepath]
  if not last or last == "" then return escape(name) end
  return escape(last) .. "/" .. escape(name)
end

return Request
