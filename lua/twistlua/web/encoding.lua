-- SPDX-License-Identifier: MIT
-- web/encoding.lua -- responses that are compressed on their way, for clients that accept it.
-- A body that is written in pieces is flushed after each, so that the client can read what was written. Compressing
-- takes the reactor's time: files that seldom change are better compressed beforehand (static.File finds NAME.gz).

local Object   = require("twistlua.class").Object
local Resource = require("twistlua.web.resource").Resource
local choose   = require("twistlua.web.negotiation").choose
local coding   = require("twistlua.core").coding
local isCompressible = require("twistlua.web.static.types").isCompressible
local options  = require "twistlua.options"

local MIN_SIZE = 256   -- bytes: below, what is saved is less than what it costs

---@class twistlua.web.EncoderFactory: twistlua.Object
---@field coding "gzip"|"br" as Content-Encoding has it
local EncoderFactory = Object:extend("EncoderFactory")

---@param level? integer gzip: 1 to 9; br: 0 to 11
function EncoderFactory:init(level)
  self.level = level
  self:newEncoder():close()   -- a level that there is none of is an error now
end

---@return twistlua.core.coder
function EncoderFactory:newEncoder()
  local encoder, message = coding.encoder(self.coding, self.level)
  return encoder or error(self.__name .. ": " .. message, 4)
end

---@class twistlua.web.GzipEncoderFactory: twistlua.web.EncoderFactory
local GzipEncoderFactory = EncoderFactory:extend("GzipEncoderFactory")
GzipEncoderFactory.coding = "gzip"

---@class twistlua.web.BrotliEncoderFactory: twistlua.web.EncoderFactory
local BrotliEncoderFactory = EncoderFactory:extend("BrotliEncoderFactory")
BrotliEncoderFactory.coding = "br"

-- ---- Deciding -----------------------------------------------------------------------------------------

local function mayBeEncoded(headers, code)
  if code < 200 or code == 204 or code == 206 or code == 304 or headers:hasHeader("content-encoding") then
    return false
  end
  local control = headers:getHeader("cache-control")
  if control and control:lower():find("no-transform", 1, true) then return false end
  return isCompressible(headers:getHeader("content-type") or "text/html")
end

local function addVary(headers)
  for _, value in ipairs(headers:getRawHeaders("vary", {})) do
    local list = value:lower()
    if list:find("accept-encoding", 1, true) or list:find("*", 1, true) then return end
  end
  headers:addRawHeader("vary", "Accept-Encoding")
end

-- Coded bytes may differ from one time to the next: no strong tag (RFC 9110, 8.8.1).
local function weaken(headers)
  local tag = headers:getHeader("etag")
  if tag and tag:sub(1, 1) == '"' then headers:setHeader("etag", "W/" .. tag) end
end

-- Prepare the head for a body of `size` bytes, nil where nobody knows; the encoder to use, or nil.
local function prepare(wrapper, request, size)
  local headers = request.responseHeaders
  if not mayBeEncoded(headers, request.code) then return nil end
  addVary(headers)
  if request.method == "HEAD" or size and size < wrapper._minSize then return nil end
  local wanted = choose(request:getHeader("accept-encoding"), wrapper._offered)
  if not wanted then return nil end
  weaken(headers)
  headers:removeHeader("content-length")
  headers:removeHeader("accept-ranges")
  headers:setHeader("content-encoding", wanted)
  return wrapper._factories[wanted]:newEncoder()
end

local function encode(encoder, data, flush)
  local encoded, message = encoder:encode(data, flush)
  return encoded or error("encoding: " .. message, 0)
end

-- ---- The request's methods ----------------------------------------------------------------------------

-- From now on what is written to the request goes through the encoder, if there is to be one.
local function intercept(wrapper, request)
  local write, finish, respond = request.write, request.finish, request.respond
  request:_keep("_intercepted", true)   -- with it, the methods are called also where the whole body is a string

  function request.respond(self, body)
    if not self.finished and not self.disconnected then
      local encoder = prepare(wrapper, self, #body)
      if encoder then
        body = encode(encoder, body, "end")
        encoder:close()
      end
    end
    respond(self, body)
  end

  function request.write(self, data)
    if not self.startedWriting and not self.disconnected then
      local size = self.responseHeaders:getHeader("content-length")
      self.contentEncoder = prepare(wrapper, self, math.tointeger(tonumber(size)))
    end
    if self.contentEncoder and data ~= "" then data = encode(self.contentEncoder, data, "sync") end
    write(self, data)
  end

  function request.finish(self)
    local encoder = self.contentEncoder
    if encoder and not self.disconnected and not self.finished then
      self.contentEncoder = nil
      write(self, encode(encoder, "", "end"))
      encoder:close()
    end
    finish(self)
  end
end

---Compresses what a resource, and all below it, answers (Twisted: EncodingResourceWrapper). Pictures, archives and the
---like, small bodies and parts (206) are left as they are.
---@class twistlua.web.EncodingResourceWrapper: twistlua.web.Resource
---@operator call(...): twistlua.web.EncodingResourceWrapper
local EncodingResourceWrapper = Resource:extend("EncodingResourceWrapper")

---@param original twistlua.web.Resource
---@param factories twistlua.web.EncoderFactory[] of equally welcome codings the first is taken
---@param given? { minSize?: integer } bytes from which a body is compressed, default 256
function EncodingResourceWrapper:init(original, factories, given)
  Resource.init(self)
  self.original = original
  self._minSize = options.check("EncodingResourceWrapper", given, { minSize = "integer" }).minSize or MIN_SIZE
  self._offered, self._factories = {}, {}
  for index, factory in ipairs(factories) do
    self._offered[index] = factory.coding
    self._factories[factory.coding] = factory
  end
  self.isLeaf = original.isLeaf
  self.onBody = original.onBody and function(_, request)
    intercept(self, request)
    return original:onBody(request)
  end or nil
end

function EncodingResourceWrapper:getChildWithDefault(path, request)
  intercept(self, request)
  return self.original:getChildWithDefault(path, request)
end

function EncodingResourceWrapper:render(request)
  if not request._intercepted then intercept(self, request) end
  return self.original:render(request)
end

return {
  EncodingResourceWrapper = EncodingResourceWrapper,
  GzipEncoderFactory      = GzipEncoderFactory,
  BrotliEncoderFactory    = BrotliEncoderFactory,
}
