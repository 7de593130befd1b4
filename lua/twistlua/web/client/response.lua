-- SPDX-License-Identifier: MIT
-- web/client/response.lua -- a response, there when its head is; and its body, which waits on the connection, not
-- in memory, until somebody wants it.

local Object  = require("twistlua.class").Object
local Protocol = require("twistlua.protocol").Protocol
local body    = require "twistlua.web.client.body"
local core    = require "twistlua.core"
local defer   = require "twistlua.defer"
local errors  = require "twistlua.web.client.errors"
local options = require "twistlua.options"

local setmetatable = setmetatable

local DONE = errors.DONE
local MAX_SIZE = 64 * 1024^2   -- bytes that readBody takes, unless it is told otherwise
local DISCARDED = 65536        -- bytes of an unwanted body for which a connection is kept

---What a protocol that gets a body has as its transport.
---@class twistlua.web.BodyTransport: twistlua.Object
local BodyTransport = Object:extend("BodyTransport")

function BodyTransport:init(response) self._response = response end
function BodyTransport:pauseProducing() self._response:_pause() end
function BodyTransport:resumeProducing() self._response:_resume() end
function BodyTransport:stopProducing() self._response:abort() end
function BodyTransport:loseConnection() self._response:abort() end
function BodyTransport:abortConnection() self._response:abort() end

---@class twistlua.web.Response: twistlua.Object
---@field version string such as "HTTP/1.1"
---@field code integer
---@field phrase string
---@field headers twistlua.Headers
---@field length integer|table of the body; UNKNOWN_LENGTH
---@field request twistlua.web.Request
---@field previousResponse twistlua.web.Response|nil the redirection that led here
local Response = Object:extend("Response")

-- Most programs read two or three headers of many: they are made Lua values when they are asked for.
local LATER = {}

function LATER.headers(response)
  return require("twistlua.web.http_headers").Headers.fromFields(response._head:fields())
end

function LATER.version(response) return response._head.minor == 1 and "HTTP/1.1" or "HTTP/1.0" end

function LATER.phrase(response) return response._head.reason end

Response.__index = core.http1.lazily(Response, LATER)

-- What all have at first.
Response._source   = false   -- has pauseBody, resumeBody and abortBody; false when all has come
Response._consumer = false
Response._early    = false   -- what came before there was a consumer
Response._reason   = false   -- why there is no more, until the consumer has been told
Response._paused   = false
Response._onEnd    = false   -- called when all has come

---All fields at once, so that the table need not grow.
---@param source table with pauseBody, resumeBody, abortBody
---@param request twistlua.web.Request
---@param head twistlua.core.http1.head
---@param status integer
---@param length integer|string of the body, as in heads
---@return twistlua.web.Response
function Response.make(source, request, head, status, length)
  return setmetatable({
    code      = status,
    length    = type(length) == "number" and length or body.UNKNOWN_LENGTH,
    request   = request,
    _head     = head,
    _source   = source,
    _consumer = false,
    _early    = false,
    _reason   = false,
    _paused   = false,
  }, Response)
end

---One that came with all of its body.
---@param request twistlua.web.Request
---@param head twistlua.core.http1.head
---@param status integer
---@param whole string
---@return twistlua.web.Response
function Response.whole(request, head, status, whole)
  return setmetatable({
    code      = status,
    length    = #whole,
    request   = request,
    _head     = head,
    _consumer = false,
    _early    = whole,
    _reason   = DONE,
  }, Response)
end

---The last value of a header, without making Lua values of the others.
---@param name string
---@return string|nil
function Response:getHeader(name)
  local made = rawget(self, "headers")
  if made then return made:getHeader(name) end
  return self._head:get(name)
end

---All values of a header.
---@param name string
---@return string[]
function Response:getHeaders(name)
  local made = rawget(self, "headers")
  if made then return made:getRawHeaders(name, {}) end
  return self._head:getAll(name) or {}
end

---@param response twistlua.web.Response
function Response:setPreviousResponse(response)
  self.previousResponse = response
end

-- ---- What the source calls ---------------------------------------------------------------------

function Response:_received(piece)
  local consumer = self._consumer
  if consumer then return consumer:dataReceived(piece) end
  self._early = self._early and self._early .. piece or piece
end

function Response:_ended(reason)
  self._source = false
  local onEnd = self._onEnd
  if onEnd then onEnd() end
  if not self._consumer or self._paused then
    self._reason = reason
  else
    self._consumer:connectionLost(reason)
  end
end

-- ---- What the consumer wants -------------------------------------------------------------------

function Response:_pause()
  self._paused = true
  if self._source then self._source:pauseBody() end
end

function Response:_resume()
  if not self._paused then return end
  self._paused = false
  if self._source then return self._source:resumeBody() end
  local reason = self._reason
  if reason and self._consumer then
    self._reason = false
    self._consumer:connectionLost(reason)
  end
end

---Have the body delivered: `protocol` hears of it as of a connection, whose end has the reason ResponseDone,
---PotentialDataLoss, or ResponseFailed. Once only.
---@param protocol twistlua.Protocol
function Response:deliverBody(protocol)
  if self._consumer then error("deliverBody: the body was delivered already", 2) end
  self._consumer = protocol
  protocol:makeConnection(BodyTransport(self))
  local early = self._early
  self._early = false
  if early and early ~= "" then protocol:dataReceived(early) end
  if self._paused then return end
  local reason = self._reason
  if reason then
    self._reason = false
    protocol:connectionLost(reason)
  elseif self._source then
    self._source:resumeBody()
  end
end

---Close the connection: the rest of the body is not wanted. Nothing if all has come.
---@param reason? any an error, for the consumer
function Response:abort(reason)
  if self._source then self._source:abortBody(reason) end
end

-- Swallows what comes, up to a limit.
local Discarding = Protocol:extend("Discarding")

function Discarding:init() self._left = DISCARDED end

function Discarding:dataReceived(data)
  self._left = self._left - #data
  if self._left < 0 then self.transport:abortConnection() end
end

---The body is not wanted: a small one is read, so that the connection can be used again.
function Response:discard()
  if not self._consumer then self:deliverBody(Discarding()) end
end

function Response:__tostring()
  return ("Response (%d %s)"):format(self.code, self.phrase)
end

-- ---- readBody ------------------------------------------------------------------------------------

local function tooLarge(maxSize, length)
  local text = ("%d bytes"):format(maxSize)
  return errors.BodyTooLarge(length and ("%s, of which there are %d"):format(text, length) or text)
end

local Reader = Protocol:extend("BodyReader")

function Reader:init(maxSize, response)
  self._left = maxSize
  self._maxSize = maxSize
  self._pieces = {}
  self._result = defer.Deferred(function()
    self._result = nil
    response:abort()
  end)
end

function Reader:dataReceived(data)
  self._left = self._left - #data
  if self._left < 0 then
    self._pieces = {}
    local result = self._result
    self._result = nil
    self.transport:abortConnection()
    if result then result:errback(tooLarge(self._maxSize)) end
    return
  end
  self._pieces[#self._pieces + 1] = data
end

function Reader:connectionLost(reason)
  local result = self._result
  if not result then return end
  self._result = nil
  if reason == DONE or reason:check(errors.ResponseDone, errors.PotentialDataLoss) then
    return result:callback(table.concat(self._pieces))
  end
  result:errback(reason)
end

local OPTIONS = { maxSize = "number" }

local succeed = defer.succeed

---All of the body (Twisted: readBody). One that ends with its connection is taken for complete: nobody can say.
---Cancelling closes the connection.
---@param response twistlua.web.Response
---@param given? { maxSize?: number } bytes, default 64 MiB; with more it fails with BodyTooLarge
---@return twistlua.Deferred body a string
local function readBody(response, given)
  local maxSize = given ~= nil and options.check("readBody", given, OPTIONS).maxSize or MAX_SIZE
  -- Most bodies came together with their heads.
  if response._reason == DONE and not response._consumer then
    local whole = response._early or ""
    response._consumer, response._early = Discarding, false
    return #whole <= maxSize and succeed(whole) or defer.fail(tooLarge(maxSize, #whole))
  end
  if type(response.length) == "number" and response.length > maxSize then
    response:abort()
    return defer.fail(tooLarge(maxSize, response.length))
  end
  local reader = Reader(maxSize, response)
  local result = reader._result
  response:deliverBody(reader)
  return result
end

return { Response = Response, readBody = readBody }
