-- SPDX-License-Identifier: MIT
-- web/proxy/fields.lua -- which headers go on to the other side of a proxy (RFC 9110, 7.6.1), and what is added.

local http1 = require("twistlua.core").http1

-- Of one connection only; with those that Connection names. What frames the body is ours to choose.
local HOP_BY_HOP = {
  connection = true, ["keep-alive"] = true, ["proxy-authenticate"] = true, ["proxy-authorization"] = true,
  ["proxy-connection"] = true, te = true, trailer = true, ["transfer-encoding"] = true, upgrade = true,
}
-- A server answers these itself.
local OURS = { expect = true, ["content-length"] = true }

local fields = {}

local function named(list, wanted)
  for index = 1, #list, 2 do
    if list[index]:lower() == "connection" then
      for word in list[index + 1]:gmatch("[^%s,]+") do wanted[word:lower()] = true end
    end
  end
  return wanted
end

---Call add(name, value) for each field that goes on.
---@param list string[] name, value, name, value, ...
---@param add fun(name: string, value: string)
function fields.forward(list, add)
  local dropped = named(list, {})
  for index = 1, #list, 2 do
    local lower = list[index]:lower()
    if not HOP_BY_HOP[lower] and not OURS[lower] and not dropped[lower] then add(list[index], list[index + 1]) end
  end
end

---The value of a field of the response, with the address in it, if there is one, mapped.
---@param name string
---@param value string
---@param map fun(url: string): string
---@return string
function fields.mapped(name, value, map)
  local lower = name:lower()
  if lower == "location" or lower == "content-location" then return map(value) end
  if lower ~= "refresh" then return value end
  local before, url = value:match("^(%s*[%d.]+%s*[;,]%s*[Uu][Rr][Ll]%s*=%s*)(.*)$")
  if not before then return value end
  local quote = url:match("^(['\"]).*%1$")
  return before .. (quote and quote .. map(url:sub(2, -2)) .. quote or map(url))
end

local FORWARDED = { ["x-forwarded-for"] = true, ["x-forwarded-host"] = true, ["x-forwarded-proto"] = true }

---The headers for the server behind a reverse proxy. It learns who asked, for what host, by what scheme; what the
---client itself says of that counts only where [trusted], as when it is a proxy, too.
---@param request twistlua.web.HTTPRequest
---@param host string for Host
---@param trusted boolean
---@return twistlua.Headers
function fields.forServer(request, host, trusted)
  local headers = require("twistlua.web.http_headers").Headers()
  headers:setHeader("host", host)
  fields.forward(request:_fields(), function(name, value)
    local lower = name:lower()
    if lower ~= "host" and (trusted or not FORWARDED[lower]) then headers:addRawHeader(name, value) end
  end)
  local from = headers:getRawHeaders("x-forwarded-for", {})
  from[#from + 1] = request:getClientIP()
  if from[1] then headers:setHeader("x-forwarded-for", table.concat(from, ", ")) end
  if not headers:hasHeader("x-forwarded-host") and request:getHeader("host") then
    headers:setHeader("x-forwarded-host", request:getHeader("host"))
  end
  if not headers:hasHeader("x-forwarded-proto") then
    headers:setHeader("x-forwarded-proto", request:isSecure() and "https" or "http")
  end
  return headers
end

---@param request twistlua.web.HTTPRequest
---@return string|nil protocol that the client wants the connection to become
function fields.upgradeOf(request)
  local connection = request:getHeader("connection")
  local upgrade = connection and http1.hasWord(connection, "upgrade") and request:getHeader("upgrade")
  return upgrade or nil
end

return fields
