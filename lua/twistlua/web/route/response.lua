-- SPDX-License-Identifier: MIT
-- web/route/response.lua -- what a handler answers with, as a value: a status, headers and a body. Nothing is sent
-- until the App does so, so what is around the handler can still change it.

local core    = require("twistlua.core")
local classes = require "twistlua.class"
local errors  = require "twistlua.web.error"

local HTML = "text/html; charset=utf-8"
local TEXT = "text/plain; charset=utf-8"

local NOT_DONE_YET = 1   -- as server.NOT_DONE_YET

---@class twistlua.web.route.Response: twistlua.Object
---@field status integer|nil nil leaves that of the request, which is 200 unless the handler has set another
---@field headers table<string, string|number|string[]> names in lower case
---@field body string
---@operator call(...): twistlua.web.route.Response
local Response = classes.Object:extend("Response")

---@param status integer|nil
---@param headers table|nil
---@param body string|nil
function Response:init(status, headers, body)
  self.status = status
  self.headers = headers or {}
  self.body = body or ""
end

---Answer `request` with this.
---@param request twistlua.web.Request
function Response:send(request)
  if request.finished or request.disconnected then return end
  if not request.startedWriting then
    self:sendHead(request)
    return request:respond(self.body)
  end
  request:write(self.body)
  request:finish()
end

---@protected
function Response:sendHead(request)
  if self.status then request:setResponseCode(self.status) end
  for name, value in pairs(self.headers) do
    if type(value) == "table" then
      request.responseHeaders:setRawHeaders(name, value)
    else
      request:setHeader(name, value)
    end
  end
end

---A string that a handler has returned: HTML, unless the handler has set another type.
---@class twistlua.web.PlainResponse: twistlua.web.route.Response
local PlainResponse = Response:extend("PlainResponse")

function PlainResponse:sendHead(request)
  Response.sendHead(self, request)
  if not request.responseHeaders:hasHeader("content-type") then request:setHeader("content-type", HTML) end
end

---What a resource makes of the request.
---@class twistlua.web.ResourceResponse: twistlua.web.route.Response
local ResourceResponse = Response:extend("ResourceResponse")

function ResourceResponse:init(resource)
  Response.init(self)
  self._resource = resource
end

function ResourceResponse:send(request)
  self:sendHead(request)
  request:render(self._resource)
end

local response = { Response = Response }

---@param value any see web/json.lua; raises for what JSON has no word for
---@param status? integer
---@return twistlua.web.route.Response
function response.json(value, status)
  return Response(status, { ["content-type"] = "application/json" }, require("twistlua.web.json").encode(value))
end

---@param text string
---@param status? integer
---@return twistlua.web.route.Response
function response.text(text, status)
  return Response(status, { ["content-type"] = TEXT }, text)
end

---@param html string
---@param status? integer
---@return twistlua.web.route.Response
function response.html(html, status)
  return Response(status, { ["content-type"] = HTML }, html)
end

---@param url string
---@param status? integer default 302
---@return twistlua.web.route.Response
function response.redirect(url, status)
  return Response(status or 302, { location = url })
end

---A status and a line of text about it; by default its own name. 204 and 304 have no body.
---@param code integer
---@param body? string
---@return twistlua.web.route.Response
function response.status(code, body)
  if code == 204 or code == 304 then return Response(code) end
  return response.text(body or ("%d %s\n"):format(code, core.http1.reason(code) or "Error"), code)
end

---A file as static.File serves it: its type by its name, ranges, 304; 404 where there is none.
---@param path string
---@return twistlua.web.route.Response
function response.file(path)
  return ResourceResponse(require("twistlua.web.static").File(path))
end

---The response for a raised value that stands for one, or nil for any other.
---@param value any
---@return twistlua.web.route.Response|nil
function response.ofRaised(value)
  if classes.isA(value, Response) then return value end
  if not classes.isA(value, errors.Error) then return nil end
  local answer = response.text(value.message:gsub("\n*$", "\n") .. "", value.status)
  if value.allowed then answer.headers.allow = table.concat(value.allowed, ", ") end
  return answer
end

local function refuse(value)
  error(("a handler must return a string, a table, a response, a Deferred of one of these, or nil where it has written "
    .. "to the request; it returned %s"):format(type(value) == "table" and value.__name or type(value)), 0)
end

---What a handler returned as a Response. May await.
---@param value any
---@return twistlua.web.route.Response|integer|nil response NOT_DONE_YET and nil pass
function response.ofReturned(value)
  local kind = type(value)
  if kind == "string" then return PlainResponse(nil, nil, value) end
  if value == nil or value == NOT_DONE_YET then return value end
  if core.deferred.isDeferred(value) then return response.ofReturned(core.deferred.await(value)) end
  if kind ~= "table" then refuse(value) end
  local class = classes.classOf(value)
  if not class then return response.json(value) end
  if not value:is(Response) then refuse(value) end
  return value
end

return response
