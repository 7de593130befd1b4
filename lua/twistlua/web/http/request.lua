-- SPDX-License-Identifier: MIT
-- web/http/request.lua -- a request and the response to it. Nothing of either is made before somebody asks: fields such
-- as `args` are computed when they are first read. Where it came from is in request_place.lua, cookies are in
-- cookies.lua. It knows no version of HTTP: a channel has `respond`, `beginResponse`, `writeBody`, `endResponse`,
-- `registerProducer`, `unregisterProducer`, `pauseBody`, `resumeBody`, `loseConnection`, `takeOver`, `getPeer`,
-- `getHost`, `isSecure` and `factory`.

local core      = require "twistlua.core"
local class     = require "twistlua.class"
local date      = require "twistlua.web.date"
local errors    = require "twistlua.error"
local log       = require "twistlua.log"
local webErrors = require "twistlua.web.error"

local http1 = core.http1
local Object, isA = class.Object, class.isA

---@class twistlua.web.HTTPRequest: twistlua.Object
---@field channel table what it came by
---@field method string "GET", ...
---@field uri string the target, as sent
---@field path string the decoded-once path of it is `prepath` and `postpath`; this is as sent, without the query
---@field clientproto string "HTTP/1.1"
---@field args table<string, string[]> of the query and of a form in the body
---@field parts twistlua.web.multipart.Part[]|nil of a form that was read while it came: see twistlua.web.multipart
---@field content file*|twistlua.StringFile the body
---@field requestHeaders twistlua.Headers
---@field trailers twistlua.Headers what came behind a body in chunks, but for fields that may not stand there
---@field responseHeaders twistlua.Headers
---@field receivedCookies table<string, string>
---@field code integer status of the response
---@field codeMessage string|false its reason phrase, where that is not the standard one
---@field finished boolean
---@field startedWriting boolean the head of the response has been sent, and its body will follow
---@field sentLength integer bytes of the body of the response so far
---@field getHeader fun(self, name: string): string|nil the last value of that name, which is in any case
---@field getHeaders fun(self, name: string): string[] likewise all values, in their order
---@field setHeader fun(self, name: string, value: string|number) of the response: control bytes in the value become
---  spaces; a name that is no token is an error
local Request = Object:extend("Request")

-- Fields that are computed when they are first read.
local LATER = {}

---@param name string
---@return table class
function Request:extend(name)
  local subclass = Object.extend(self, name)
  http1.requestClass(subclass, LATER)
  return subclass
end

http1.requestClass(Request, LATER)

-- Requests are made by core.http1.serve. These members are in C: `channel`, `method`, `uri`, `code`, `finished`,
-- `getHeader`, `getHeaders`, `setHeader`; and what the head says besides. `_more` is set where a member is kept that
-- the usual way of answering leaves out of account; `_store` has the response's fields once somebody looks at them.
for name, member in pairs(http1.requestMembers) do Request[name] = member end

Request.codeMessage    = false
Request.startedWriting = false
Request.disconnected   = false
Request.sentLength     = 0
Request.chunked        = false
Request._resource      = false   -- of a site, where it was looked for before the body
Request._finishers     = false   -- what notifyFinish has returned
Request._buffer        = false   -- of the body
Request._trailers      = false   -- what came behind the body
Request._task          = false   -- what is cancelled when the connection is lost

---Keep a field that most requests do without.
---@param name string
---@param value any
function Request:_keep(name, value)
  self._more = true
  self[name] = value
end

-- ---- What was asked ---------------------------------------------------------------------------

function LATER.clientproto(request) return "HTTP/1." .. request._minor end

function LATER.path(request)
  local path = request.uri:match("^[^?#]*")
  if path:byte() ~= 47 then path = path:match("^%a[%w+.-]*://[^/]*(.*)$") or path end
  return path == "" and "/" or path
end

function LATER.content(request)
  if request._buffer then return request._buffer:content() end
  return require("twistlua.web.http.content").StringFile("")
end

function LATER.trailers(request)
  local head = request._trailers
  return require("twistlua.web.http_headers").Headers.fromFields(head and head:fields() or {})
end

function LATER.args(request)
  return require("twistlua.web.http.form").argsOf(request)
end

function LATER.requestHeaders(request)
  return require("twistlua.web.http_headers").Headers.fromFields(request:_fields())
end

function LATER.responseHeaders(request)
  request._store = request._store or {}
  return require("twistlua.web.http_headers").Headers.over(request._store)
end

function LATER.receivedCookies(request)
  return require("twistlua.web.http.cookies").received(request)
end

---@return table<string, string> each name, in lower case, with its last value
function Request:getAllHeaders()
  local all, fields = {}, self:_fields()
  for index = 1, #fields, 2 do all[fields[index]:lower()] = fields[index + 1] end
  return all
end

---@param name string
---@return string|nil
function Request:getCookie(name)
  return self.receivedCookies[name]
end

-- ---- The body -----------------------------------------------------------------------------------

-- The channel calls these: the body begins (a length, or nil), data of it, its end.

---A body is about to come. To be overridden by who wants to see it before it is complete: what is returned gets
---`write(data)` for each piece, and `content` stays empty.
---@param _length integer|nil bytes; nil when they are not known yet
---@return table|nil sink
function Request:bodyBegins(_length) end

---The body is complete, with fields behind it.
---@param head table as core.http1.head
function Request:trailersCame(head)
  self:_keep("_trailers", head)
  self.trailers = nil
end

---All of the request is there: answer it.
function Request:process()
  self:setResponseCode(404)
  self:finish()
end

---Keep data of the body.
---@param data string
---@param memory integer bytes that are not in a file
function Request:bufferBody(data, memory)
  if not self._buffer then
    self:_keep("_buffer", require("twistlua.web.http.content").ContentBuffer(memory))
  end
  self._buffer:write(data)
end

---Read no more of the body for now.
function Request:pauseProducing() self.channel:pauseBody() end

function Request:resumeProducing() self.channel:resumeBody() end

---Give up: the rest of the body is not wanted.
function Request:stopProducing() self.channel:loseConnection() end

-- ---- The response: its head ---------------------------------------------------------------------

---@param code integer
---@param message? string reason phrase
function Request:setResponseCode(code, message)
  if math.type(code) ~= "integer" or code < 100 or code > 999 then
    error(("setResponseCode: a status between 100 and 999 expected, got %s"):format(tostring(code)), 2)
  end
  if message and not http1.isValue(message) then error("setResponseCode: invalid reason phrase", 2) end
  self.code = code
  if message or self._more then self:_keep("codeMessage", message or false) end
end

---Answer that the resource is elsewhere: 302, unless another 3xx was set.
---@param url string
function Request:redirect(url)
  if self.code < 300 or self.code > 399 then self:setResponseCode(302) end
  self:setHeader("location", url)
end

---@param name string
---@param value string
---@param given? { expires?: string|number, domain?: string, path?: string, max_age?: integer, comment?: string,
---  secure?: boolean, httpOnly?: boolean, sameSite?: "lax"|"strict"|"none" } expires: a date or seconds since 1970
function Request:addCookie(name, value, given)
  require("twistlua.web.http.cookies").add(self, name, value, given)
end

-- Whether one of the entity-tags of a list is `tag`.
local function matches(list, tag)
  if list:match("^%s*%*%s*$") then return true end
  for candidate in list:gmatch('(W?/?"[^"]*")') do
    if candidate:gsub("^W/", "") == tag:gsub("^W/", "") then return true end
  end
  return false
end

local function isSafe(request)
  return request.method == "GET" or request.method == "HEAD"
end

---Tell the entity-tag of the response, quotes included; where the request has it already, the status becomes 304, or
---412 for methods that change something.
---@param tag string
---@return string|nil CACHED where the body is not needed
function Request:setETag(tag)
  self:setHeader("etag", tag)
  local condition = self:getHeader("if-none-match")
  if not condition or not matches(condition, tag) then return nil end
  self:setResponseCode(isSafe(self) and 304 or 412)
  return "cached"
end

---Tell when what the response shows last changed; where the request asks for what is newer, the status becomes 304.
---The latest of several calls counts.
---@param seconds number since 1970
---@return string|nil CACHED where the body is not needed
function Request:setLastModified(seconds)
  seconds = math.ceil(seconds)
  if not self._lastModified or seconds > self._lastModified then
    self._lastModified = seconds
    self:setHeader("last-modified", date.format(seconds))
  end
  local since = isSafe(self) and not self:getHeader("if-none-match") and self:getHeader("if-modified-since")
  since = since and date.parse(since)
  if not since then return nil end
  if since >= self._lastModified then
    self._notModified = self._notModified or self.code
    self:setResponseCode(304)
    return "cached"
  elseif self._notModified then   -- an earlier call took it for unchanged
    self:setResponseCode(self._notModified)
  end
end

-- ---- The response: its body -----------------------------------------------------------------------

---Send the head, if that was not done, and a piece of the body. After the connection is lost this does nothing.
---@param data string
function Request:write(data)
  if type(data) ~= "string" then error("write: data must be a string, got " .. type(data), 2) end
  if self.finished then error("write: the response is finished already", 2) end
  if self.disconnected then return end
  if not self.startedWriting then
    self:_keep("startedWriting", true)
    self.channel:beginResponse(self)
  end
  if data ~= "" then self.channel:writeBody(self, data) end
end

---The response is complete. Raises if the connection was lost: see notifyFinish.
function Request:finish()
  if self.disconnected then
    error("finish: the connection was lost before the response was finished; notifyFinish tells of that", 2)
  elseif self.finished then
    error("finish: the response is finished already", 2)
  end
  if not self.startedWriting then return self:respond("") end
  self.finished = true
  self.channel:endResponse(self)
end

---The whole response at once.
---@param body string
function Request:respond(body)
  if self.finished then error("respond: the response is finished already", 2) end
  if self.disconnected then return end
  self.finished = true
  self.channel:respond(self, body)
end

---A Deferred that fires with nil when the response is finished, or fails when the connection is lost before.
---@return twistlua.Deferred
function Request:notifyFinish()
  if self.finished then return core.deferred.succeed(nil) end
  local d = core.deferred.new()
  if not self._finishers then self:_keep("_finishers", {}) end
  table.insert(self._finishers, d)
  return d
end

-- The channel calls this when the response has been sent.
function Request:_over()
  if self._buffer then self:_forgetContent() end
  local finishers = self._finishers
  if not finishers then return end
  self._finishers = false
  for _, d in ipairs(finishers) do d:callback(nil) end
end

function Request:_forgetContent()
  local content = self:_own "content"
  if content and io.type(content) == "file" then content:close() end
  self._buffer = false
end

---The connection is gone before the response was finished: the handler is cancelled, notifyFinish fails.
---@param reason twistlua.Failure
function Request:connectionLost(reason)
  self:_keep("disconnected", true)
  local finishers, task = self._finishers, self._task
  self._finishers, self._task = false, false
  if finishers then
    for _, d in ipairs(finishers) do d:errback(reason) end
  end
  if task then task:cancel() end
  if self._buffer then self:_forgetContent() end
end

---Have a producer write the body.
---@param producer table
---@param streaming boolean whether it is a push producer
function Request:registerProducer(producer, streaming)
  if self.disconnected then return producer:stopProducing() end
  self._producing = true
  self.channel:registerProducer(producer, streaming)
end

function Request:unregisterProducer()
  if not self._producing then return end
  self._producing = nil
  self.channel:unregisterProducer()
end

---Close the connection: now, what was not sent is lost with it.
function Request:loseConnection()
  if self.channel then self.channel:loseConnection() end
end

---The connection becomes another protocol's, which gets all events from now on. A response head of a status 101, or
---2xx to CONNECT, is sent first. `protocol:makeConnection(transport)` is left to the caller.
---@param protocol twistlua.Protocol
---@return twistlua.Transport transport
---@return string data that has come already
function Request:takeOver(protocol)
  if self.disconnected then error(errors.ConnectionLost("there is nothing to take over"), 2) end
  if self.finished then error("takeOver: the response is finished already", 2) end
  return self.channel:takeOver(self, protocol)
end

-- The response becomes another. Who may see it stays as it is, or the pages that ask could not see the error.
function Request:_dropFields()
  local store = self._store or {}
  self._store = false
  self.responseHeaders = nil
  for _, name in ipairs(store) do
    if name == "vary" or name:find("^access%-control%-") then
      local values = store[name]
      self.responseHeaders:setRawHeaders(name, type(values) == "table" and values or { values })
    end
  end
end

---An error in a handler: the page for it if nothing was sent yet, else the end of the connection. An error of
---twistlua.web.error has the status to answer with; any other is logged, and answered by 500.
---@param failure twistlua.Failure
function Request:processingFailed(failure)
  local known = isA(failure.value, webErrors.Error)
  if not known then log.err(failure, ("Unhandled error in %s %s"):format(self.method, self.uri)) end
  if self.disconnected or self.finished then return end
  if self.startedWriting then return self.channel:loseConnection() end
  self:_dropFields()
  self:setResponseCode(known and failure.value.status or 500)
  if known and failure.value.allowed then self:setHeader("allow", table.concat(failure.value.allowed, ", ")) end
  self:setHeader("content-type", "text/html; charset=utf-8")
  local errorPage = require "twistlua.web.http.error_page"
  if known then return self:respond(errorPage.statusPage(failure.value.status, failure.value.message)) end
  self:respond(errorPage.failurePage(failure, self.channel.factory.displayTracebacks))
end

for _, part in ipairs { "twistlua.web.http.request_place" } do
  for name, method in pairs(require(part)) do Request[name] = method end
end

return { Request = Request, LATER = LATER }
