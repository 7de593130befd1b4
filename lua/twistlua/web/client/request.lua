-- SPDX-License-Identifier: MIT
-- web/client/request.lua -- one request: checked when it is made, so that nothing a program was given from
-- elsewhere can become a second header, or a second request.

local Object  = require("twistlua.class").Object
local URI     = require "twistlua.web.client.uri"
local fields  = require "twistlua.web.client.fields"
local body    = require "twistlua.web.client.body"
local errors  = require "twistlua.web.client.errors"
local http1   = require("twistlua.core").http1

local isToken, isValue = http1.isToken, http1.isValue
local setmetatable = setmetatable

local SMALL = 16384   -- bytes of a body that are copied to go out in one piece with the head

-- RFC 9110 9.2.2: what may be sent twice.
local IDEMPOTENT = { GET = true, HEAD = true, OPTIONS = true, TRACE = true, DELETE = true }
-- Methods whose requests say that they have no body.
local WITH_BODY = { POST = true, PUT = true, PATCH = true }

-- What the body decides, and how long the connection lasts, is not for headers to say.
local OURS = { ["content-length"] = true, ["transfer-encoding"] = true, ["keep-alive"] = true, te = true,
               trailer = true }

---@class twistlua.web.Request: twistlua.Object
---@field method string
---@field absoluteURI string
---@field uri twistlua.web.URI
---@field headers table|nil as given
---@field bodyProducer string|table|nil
---@field length integer|false|nil of the body; nil: there is none; false: unknown
---@field head string once it is composed: what is sent first, with the body if that is a small string
---@field headTimeout number seconds from when it is sent to the head of the response; the agent's
---@field upload string|table|nil the body, if it is not in `head`
---@field plain boolean there is none, and the connection may go on
local Request = Object:extend("Request")

Request.persistent = true   -- the connection is to go on

local function invalid(class, ...)
  error(class((...):format(select(2, ...))), 0)
end

-- The URIs that may be asked for. Each has the heads that were sent to it by the methods above, where there was nothing
-- but the URI to tell, and other text that each request needs.
local parsed = setmetatable({}, { __mode = "v" })

local function parse(text)
  local known = text and parsed[text]
  if known then return known end
  if type(text) ~= "string" then
    error("request: the URI must be a string, got " .. type(text), 0)
  end
  local uri, message, scheme = URI.shared(text)
  if not uri then
    if scheme then invalid(errors.SchemeNotSupported, "'%s'", scheme) end
    invalid(errors.InvalidURI, "%s", message)
  end
  if uri.userinfo then
    invalid(errors.InvalidURI, "'%s' has credentials in it: send them in a header", uri.netloc)
  end
  parsed[text], uri._heads = uri, {}
  uri._origin, uri._hostLine = uri:origin(), "Host: " .. uri.netloc .. "\r\n"
  return uri
end

-- One table of the size that it will have: to grow it would cost as much as all the rest here.

---A request of this class; there is a subclass for what becomes of it. Raises an error object for what cannot be sent.
---@param method string
---@param uri string
---@param headers? twistlua.Headers|table<string, string|string[]>
---@param bodyProducer? string|table
---@return twistlua.web.Request
function Request:make(method, uri, headers, bodyProducer)
  if not (IDEMPOTENT[method] or isToken(method)) then
    invalid(errors.InvalidRequest, "'%s' is no method", tostring(method))
  end
  return setmetatable({
    method       = method,
    absoluteURI  = uri,
    uri          = parse(uri),
    headers      = headers,
    bodyProducer = bodyProducer,
    length       = body.lengthOf(bodyProducer),
    head         = false,
    headTimeout  = false,
    plain        = false,
    _connection  = false,
    _result      = false,
  }, self)
end

---A composed request with neither headers nor body that is as one before: what was checked then is good now.
---@param method string
---@param uri string
---@param headTimeout number
---@return twistlua.web.Request|nil
function Request:again(method, uri, headTimeout)
  local known = parsed[uri]
  local head = known and known._heads[method]
  if not head then return nil end
  return setmetatable({
    method      = method,
    absoluteURI = uri,
    uri         = known,
    head        = head,
    headTimeout = headTimeout,
    plain       = true,
    _connection = false,
    _result     = false,
  }, self)
end

---Whether it may be sent twice.
---@return boolean
function Request:isRetriable()
  return self.bodyProducer == nil and IDEMPOTENT[self.method] or false
end

local function addField(lines, name, value)
  if type(value) == "number" then value = tostring(value) end
  if not isToken(name) then invalid(errors.InvalidRequest, "'%s' is no header's name", tostring(name)) end
  if not isValue(value) then
    invalid(errors.InvalidRequest, "the header %s has a value with a control character, or that is no string", name)
  end
  lines[#lines + 1] = name .. ": " .. value .. "\r\n"
end

-- Take note of what headers say that the rest depends on.
local function noteField(self, name, value, seen)
  local lower = name:lower()
  if OURS[lower] then invalid(errors.InvalidRequest, "%s is for the client to send", name) end
  if lower == "host" then
    if seen.host or not http1.isHost(value) then invalid(errors.InvalidRequest, "'%s' is no Host", value) end
    seen.host = true
  elseif lower == "connection" then
    seen.connection = true
    if http1.hasWord(value, "close") then self.persistent = false end
  end
end

local function addValues(self, lines, seen, name, values)
  if type(values) ~= "table" then
    addField(lines, name, values)
    return noteField(self, name, values, seen)
  end
  for _, value in ipairs(values) do
    addField(lines, name, value)
    noteField(self, name, value, seen)
  end
end

local NOTHING = {}

-- The headers as lines, and what was seen in them. Of most there is nothing to note.
local function headerLines(self)
  local headers = self.headers
  if not headers then return "", NOTHING end
  local usual = http1.lines(headers)
  if usual then return usual, NOTHING end
  local lines, seen = {}, {}
  for name, values in fields.each(headers) do addValues(self, lines, seen, name, values) end
  return table.concat(lines), seen
end

local function framing(self)
  local length = self.length
  if length == false then return "Transfer-Encoding: chunked\r\n" end
  if length then return "Content-Length: " .. length .. "\r\n" end
  return WITH_BODY[self.method] and "Content-Length: 0\r\n" or ""
end

---Make the head, once; raises an error object for what cannot be sent.
---@param persistent boolean the connection is to go on
---@param absolute? boolean for a proxy: the target is the whole URI
---@param extra? string more lines, as they are
function Request:compose(persistent, absolute, extra)
  local uri, method, producer = self.uri, self.method, self.bodyProducer
  local target = absolute and ("%s://%s%s"):format(uri.scheme, uri.netloc, uri.originForm) or uri.originForm
  local lines, seen = headerLines(self)
  if not persistent then self.persistent = false end
  local host = seen.host and "" or uri._hostLine
  local close = not self.persistent and not seen.connection and "Connection: close\r\n" or ""
  local small = type(producer) == "string" and #producer <= SMALL and producer
  self.head = method .. " " .. target .. " HTTP/1.1\r\n" .. host .. lines .. close .. (extra or "") .. framing(self)
    .. "\r\n" .. (small or "")
  if producer and not small then self.upload = producer end
  self.plain = self.persistent and not self.upload
  if self.plain and not (producer or self.headers or absolute or extra) and IDEMPOTENT[method] then
    uri._heads[method] = self.head
  end
end

return Request
