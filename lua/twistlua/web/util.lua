-- SPDX-License-Identifier: MIT
-- web/util.lua -- resources that lead elsewhere, or are not there yet.

local Resource = require("twistlua.web.resource").Resource
local escape   = require("twistlua.web.http.error_page").escape

local PAGE = [[
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="0;URL=%s"><title>Redirect</title></head>
<body><a href="%s">click here</a></body></html>
]]

local util = {}

-- A URL goes into a header and a page: what cannot be part of one is coded.
local function clean(url)
  if type(url) ~= "string" then error("redirectTo: the URL must be a string, got " .. type(url), 3) end
  return (url:gsub('[%c "<>\\^`{|}\127-\255]', function(byte) return ("%%%02X"):format(byte:byte()) end))
end

---Send the client elsewhere: 302, unless a 3xx was set (Twisted: util.redirectTo).
---@param url string
---@param request twistlua.web.Request
---@return string page for the body
function util.redirectTo(url, request)
  url = clean(url)
  request:setHeader("content-type", "text/html; charset=utf-8")
  request:redirect(url)
  local escaped = escape(url)
  return PAGE:format(escaped, escaped)
end

---Leads elsewhere, for every method (Twisted: util.Redirect).
---@class twistlua.web.Redirect: twistlua.web.Resource
---@field url string
---@operator call(...): twistlua.web.Redirect
local Redirect = Resource:extend("Redirect")
Redirect.isLeaf = true

---@param url string
---@param code? integer a 3xx, default 302
function Redirect:init(url, code)
  if code ~= nil and (math.type(code) ~= "integer" or code < 300 or code > 399) then
    error("Redirect: a status between 300 and 399 expected, got " .. tostring(code), 3)
  end
  Resource.init(self)
  self.url, self._code = clean(url), code
end

function Redirect:render(request)
  if self._code then request:setResponseCode(self._code) end
  return util.redirectTo(self.url, request)
end

function Redirect:getChild() return self end

---Leads to its parent in the tree (Twisted: util.ParentRedirect).
---@class twistlua.web.ParentRedirect: twistlua.web.Resource
---@operator call(): twistlua.web.ParentRedirect
local ParentRedirect = Resource:extend("ParentRedirect")
ParentRedirect.isLeaf = true

function ParentRedirect.render(_, request)
  return util.redirectTo((request:prePathURL():gsub("/[^/]*$", "/")), request)
end

---A resource that is known later: requests wait for it (Twisted: util.DeferredResource).
---@class twistlua.web.DeferredResource: twistlua.web.Resource
---@operator call(...): twistlua.web.DeferredResource
local DeferredResource = Resource:extend("DeferredResource")
DeferredResource.isLeaf = true

---@param d twistlua.Deferred of a resource; for one request
function DeferredResource:init(d)
  Resource.init(self)
  self.d = d
end

---What the resource, then what is found below it, renders.
function DeferredResource:render(request)
  return self.d:addCallback(function(resource)
    local found = require("twistlua.web.resource").getChildForRequest(resource, request)
    local body = found:render(request)
    -- Where the resource has written the response itself, it is not for us to finish.
    if body == nil then return require("twistlua.web.server").NOT_DONE_YET end
    return body
  end)
end

util.Redirect         = Redirect
util.ParentRedirect   = ParentRedirect
util.DeferredResource = DeferredResource

return util
