-- SPDX-License-Identifier: MIT
-- web/http/cookies.lua -- cookies as requests bring them and responses set them.

local http1   = require("twistlua.core").http1
local date    = require "twistlua.web.date"
local options = require "twistlua.options"

local cookies = {}

---@param request twistlua.web.HTTPRequest
---@return table<string, string> the first of each name, which is the most specific
function cookies.received(request)
  local found = {}
  for _, line in ipairs(request:getHeaders("cookie")) do
    for name, value in line:gmatch("%s*([^=;]+)=([^;]*)") do
      name = name:gsub("%s+$", "")
      if found[name] == nil then found[name] = value:gsub("^%s+", ""):gsub("%s+$", "") end
    end
  end
  return found
end

local GIVEN = {
  expires = "any", domain = "string", path = "string", max_age = "integer", comment = "string",
  secure = "boolean", httpOnly = "boolean", sameSite = "string",
}

local SAME_SITE = { lax = "Lax", strict = "Strict", none = "None" }

-- What could end the cookie, or the line, becomes a space.
local function sanitise(text)
  return (tostring(text):gsub("[%c;\127]+", " "))
end

---@param request twistlua.web.HTTPRequest
---@param name string
---@param value string
---@param given? table
function cookies.add(request, name, value, given)
  given = options.check("addCookie", given, GIVEN, 4)
  if not http1.isToken(name) then error(("addCookie: invalid name '%s'"):format(tostring(name)), 3) end
  local parts = { name .. "=" .. sanitise(value) }
  local function add(label, what)
    if what ~= nil then parts[#parts + 1] = label .. sanitise(what) end
  end
  local expires = given.expires
  if type(expires) == "number" then expires = date.format(expires) end
  add("Expires=", expires)
  add("Domain=", given.domain)
  add("Path=", given.path)
  add("Max-Age=", given.max_age)
  add("Comment=", given.comment)
  if given.secure then add("Secure", "") end
  if given.httpOnly then add("HttpOnly", "") end
  if given.sameSite then
    local kind = SAME_SITE[given.sameSite:lower()]
    if not kind then error(("addCookie: sameSite is lax, strict or none, not '%s'"):format(given.sameSite), 3) end
    add("SameSite=", kind)
  end
  request.responseHeaders:addRawHeader("set-cookie", table.concat(parts, "; "))
end

return cookies
