-- SPDX-License-Identifier: MIT
-- web/client/decoder.lua -- an agent whose responses are decoded: gzip, deflate and brotli.
-- A small body may become a huge one. What is decoded comes in pieces of bounded size, none while the consumer
-- pauses, and there may be a limit to all of them.

local Object   = require("twistlua.class").Object
local Protocol = require("twistlua.protocol").Protocol
local Failure  = require("twistlua.failure").Failure
local body     = require "twistlua.web.client.body"
local core     = require "twistlua.core"
local errors   = require "twistlua.web.client.errors"
local fields   = require "twistlua.web.client.fields"
local options  = require "twistlua.options"

local PIECE = 65536     -- bytes that are decoded at a time
local MAX_CODINGS = 4   -- one inside the other

local NAMES = { gzip = "gzip", ["x-gzip"] = "gzip", deflate = "deflate", br = "br" }   -- → core's

-- ---- One coding ------------------------------------------------------------------------------------

-- The consumer of an encoded body, and the transport of what it decodes it for.
local Decoding = Protocol:extend("ContentDecoding")

function Decoding:init(name, consumer, maxSize)
  self._coder = assert(core.coding.decoder(name))
  self._consumer = consumer
  self._left = maxSize     -- bytes that may still be decoded
  self._data = nil         -- what is not decoded yet, from
  self._from = 1
  self._empty = true       -- nothing came
  self._paused = false
  self._running = false
  self._reason = nil       -- why there is no more, until all is decoded
end

function Decoding:connectionMade()
  self._consumer:makeConnection(self)
end

function Decoding:dataReceived(data)
  if not self._coder then return end
  self._empty = false
  if self._data then
    self._data, self._from = self._data:sub(self._from) .. data, 1
  else
    self._data, self._from = data, 1
  end
  self:_run()
end

function Decoding:connectionLost(reason)
  if not self._coder then return end
  self._reason = reason
  self:_run()
end

function Decoding:_decodePiece()
  local piece, more = self._coder:decode(self._data, self._from, PIECE)
  if not piece then return self:_fail(errors.ContentDecodingError(more)) end
  if more then self._from = more else self._data = nil end
  self._left = self._left - #piece
  if self._left < 0 then return self:_fail(errors.BodyTooLarge "it was being decoded") end
  if piece ~= "" then self._consumer:dataReceived(piece) end
end

-- Decode what there is, until the consumer pauses.
function Decoding:_run()
  if self._running then return end
  self._running = true
  while self._coder and self._data and not self._paused do self:_decodePiece() end
  self._running = false
  local reason = self._reason
  if not reason or self._data or self._paused or not self._coder then return end
  if reason:check(errors.ResponseDone) and not self._empty and not self._coder:finished() then
    reason = Failure(errors.ResponseFailed { errors.ContentDecodingError "it ends before its coding does" })
  end
  self:_end(reason)
end

function Decoding:_end(reason)
  self._coder:close()
  self._coder, self._data = nil, nil
  self._consumer:connectionLost(reason)
end

function Decoding:_fail(err)
  self:_end(Failure(errors.ResponseFailed { err }))
  self.transport:abortConnection()
end

function Decoding:pauseProducing()
  self._paused = true
  self.transport:pauseProducing()
end

function Decoding:resumeProducing()
  self._paused = false
  self:_run()
  if not self._paused and self._coder then self.transport:resumeProducing() end
end

function Decoding:abortConnection() self.transport:abortConnection() end
Decoding.stopProducing  = Decoding.abortConnection
Decoding.loseConnection = Decoding.abortConnection

-- ---- Responses -------------------------------------------------------------------------------------

-- A response as it would be without the codings. `headers` are made when they are asked for.
local DecodedResponse = Object:extend("DecodedResponse")

function DecodedResponse.__index(self, name)
  if name ~= "headers" then return DecodedResponse[name] end
  local headers = self.original.headers:copy()
  headers:removeHeader "content-length"
  headers:removeHeader "content-encoding"
  if self._remaining then headers:setHeader("content-encoding", self._remaining) end
  self.headers = headers
  return headers
end

function DecodedResponse:init(original, codings, remaining, maxSize)
  self.original = original
  self.version, self.code, self.phrase = original.version, original.code, original.phrase
  self.request = original.request
  self.previousResponse = original.previousResponse
  self.length = body.UNKNOWN_LENGTH
  self._codings = codings
  self._remaining = remaining
  self._maxSize = maxSize
end

function DecodedResponse:getHeader(name) return self.headers:getHeader(name) end
function DecodedResponse:getHeaders(name) return self.headers:getRawHeaders(name, {}) end
function DecodedResponse:setPreviousResponse(response) self.previousResponse = response end
function DecodedResponse:abort(reason) self.original:abort(reason) end
function DecodedResponse:discard() self.original:discard() end

function DecodedResponse:deliverBody(protocol)
  for _, name in ipairs(self._codings) do protocol = Decoding(name, protocol, self._maxSize) end
  self.original:deliverBody(protocol)
end

function DecodedResponse:__tostring()
  return ("Response (%d %s), decoded"):format(self.code, self.phrase)
end

-- ---- The agent -------------------------------------------------------------------------------------

---Asks for encoded bodies and decodes them (Twisted: ContentDecoderAgent).
---@class twistlua.web.ContentDecoderAgent: twistlua.Object
---@operator call(...): twistlua.web.ContentDecoderAgent
local ContentDecoderAgent = Object:extend("ContentDecoderAgent")

---@param agent table with request
---@param codings? string[] best first: "gzip", "br", "deflate"; default gzip and br
---@param given? { maxSize?: number } bytes that a body may become, default any; with more it ends with BodyTooLarge
function ContentDecoderAgent:init(agent, codings, given)
  given = options.check("ContentDecoderAgent", given, { maxSize = "number" }, 4)
  codings = codings or { "gzip", "br" }
  self._agent = agent
  self._maxSize = given.maxSize or math.huge
  self._accept = table.concat(codings, ", ")
  self._known = {}
  for _, name in ipairs(codings) do
    if not NAMES[name] then error(("ContentDecoderAgent: unknown coding '%s'"):format(tostring(name)), 3) end
    self._known[name] = NAMES[name]
  end
  if self._known.gzip then self._known["x-gzip"] = "gzip" end
end

-- The codings that can be undone, in the order in which they were applied, and those under them.
local function split(known, encoding)
  local all, undone = {}, {}
  for name in encoding:lower():gmatch "[^%s,]+" do all[#all + 1] = name end
  while #all > 0 and known[all[#all]] and #undone < MAX_CODINGS do
    table.insert(undone, 1, known[table.remove(all)])
  end
  return undone, all[1] and table.concat(all, ", ") or nil
end

---As Agent's.
---@return twistlua.Deferred response
function ContentDecoderAgent:request(method, uri, headers, bodyProducer)
  if not fields.get(headers, "accept-encoding") then
    headers = fields.copy(headers)
    headers["Accept-Encoding"] = self._accept
  end
  return self._agent:request(method, uri, headers, bodyProducer):addCallback(function(response)
    local values = response:getHeaders "content-encoding"
    if #values == 0 then return response end
    local undone, remaining = split(self._known, table.concat(values, ","))
    if #undone == 0 then return response end
    return DecodedResponse(response, undone, remaining, self._maxSize)
  end)
end

return ContentDecoderAgent
