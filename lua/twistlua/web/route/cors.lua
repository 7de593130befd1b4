-- SPDX-License-Identifier: MIT
-- web/route/cors.lua -- middleware that tells browsers which pages from elsewhere may use an App (the Fetch standard,
-- "CORS protocol"). What the App itself refuses is not its business: a browser is all that obeys these headers.

local response = require "twistlua.web.route.response"
local options  = require "twistlua.options"

local METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"

-- A function that tells whether pages of an origin are welcome.
local function judge(origins)
  if origins == "*" then return function() return true end end
  if type(origins) == "function" then return origins end
  local welcome = {}
  for _, origin in ipairs(type(origins) == "table" and origins or { origins }) do welcome[origin] = true end
  return function(origin) return welcome[origin] end
end

local function joined(list)
  return type(list) == "table" and table.concat(list, ", ") or list
end

local function preflight(request, given)
  local wanted = request:getHeader("access-control-request-headers")
  return response.Response(204, {
    ["access-control-allow-methods"] = joined(given.methods) or METHODS,
    ["access-control-allow-headers"] = joined(given.headers) or wanted,
    ["access-control-max-age"]       = given.maxAge,
  })
end

---@class twistlua.web.CORS
---@field origins? string|string[]|fun(origin: string): any such as "https://example.org"; default "*", all
---@field methods? string|string[] that those pages may use
---@field headers? string|string[] that they may send; by default all that they ask for
---@field exposedHeaders? string|string[] of responses, that they may see
---@field credentials? boolean cookies and passwords are sent along
---@field maxAge? integer seconds that a browser may remember all this

---@param given? twistlua.web.CORS
---@return twistlua.web.Middleware
return function(given)
  given = options.check("cors", given, {
    origins = "any", methods = "any", headers = "any", exposedHeaders = "any", credentials = "boolean",
    maxAge = "integer",
  }, 4)
  local origins = given.origins or "*"
  if given.credentials and origins == "*" then
    error("cors: with credentials, the origins must be named: any page could act as the user", 3)
  end
  local isWelcome = judge(origins)

  return function(request, next)
    local origin = request:getHeader("origin")
    if origins ~= "*" then request.responseHeaders:addRawHeader("vary", "Origin") end
    if not origin or not isWelcome(origin) then return next() end
    request:setHeader("access-control-allow-origin", origins == "*" and "*" or origin)
    if given.credentials then request:setHeader("access-control-allow-credentials", "true") end
    if request.method == "OPTIONS" and request:getHeader("access-control-request-method") then
      return preflight(request, given)
    end
    if given.exposedHeaders then
      request:setHeader("access-control-expose-headers", joined(given.exposedHeaders))
    end
    return next()
  end
end
