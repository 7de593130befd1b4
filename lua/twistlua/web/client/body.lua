-- SPDX-License-Identifier: MIT
-- web/client/body.lua -- the body of a request on its way: a string, or what a producer writes, counted or in
-- chunks; and the producer of a file.
-- A producer (Twisted: IBodyProducer) has `length`, an integer or UNKNOWN_LENGTH; startProducing(consumer), which
-- writes and returns a Deferred that fires when all is written; pauseProducing, resumeProducing, stopProducing.

local Object  = require("twistlua.class").Object
local core    = require "twistlua.core"
local defer   = require "twistlua.defer"
local errors  = require "twistlua.web.client.errors"
local options = require "twistlua.options"

local body = {}

---The length of a body that is known only when it has ended.
body.UNKNOWN_LENGTH = setmetatable({}, { __tostring = function() return "UNKNOWN_LENGTH" end })

---@param producer string|table|nil
---@return integer|false|nil length nil: there is no body; false: nobody knows. Raises for what is no body
function body.lengthOf(producer)
  if producer == nil then return nil end
  if type(producer) == "string" then return #producer end
  local length = type(producer) == "table" and producer.length
  if length == body.UNKNOWN_LENGTH then return false end
  if math.type(length) ~= "integer" or length < 0 or not producer.startProducing then
    error("request: the body must be a string, or a producer with a length and startProducing", 0)
  end
  return length
end

-- What a producer writes to.
local Sink = Object:extend("BodySink")

function Sink:init(transport, left, failed)
  self._transport = transport
  self._left = left        -- bytes to come; nil: as many as there are, in chunks
  self._failed = failed    -- nil once the body has ended
end

function Sink:write(data)
  local failed = self._failed
  if not failed then return end
  if type(data) ~= "string" then error("write: expected a string, got " .. type(data), 2) end
  if not self._left then
    if data ~= "" then self._transport:write(core.http1.chunk(data)) end
    return
  end
  self._left = self._left - #data
  if self._left >= 0 then return self._transport:write(data) end
  failed(errors.WrongBodyLength("it is longer"))
end

---The body of a request, while it is sent.
---@class twistlua.web.client.Sending: twistlua.Object
local Sending = Object:extend("Sending")

---@param transport twistlua.Transport
---@param producer table
---@param length integer|false
---@param ended fun(failure: any) called once when it has ended: with nil, or what went wrong
function Sending:init(transport, producer, length, ended)
  self._transport = transport
  self._producer = producer
  self._ended = ended
  self._sink = Sink(transport, length or nil, function(reason) self:_end(reason, true) end)
end

function Sending:start()
  self._transport:registerProducer(self._producer, true)
  local finished = defer.maybeDeferred(self._producer.startProducing, self._producer, self._sink)
  finished:addCallbacks(function() self:_produced() end, function(failure) self:_end(failure) end)
end

function Sending:_produced()
  local sink = self._sink
  if not sink._failed then return end
  if sink._left and sink._left > 0 then
    return self:_end(errors.WrongBodyLength(("%d bytes are missing"):format(sink._left)))
  end
  if not sink._left then self._transport:write(core.http1.LAST_CHUNK) end
  self:_end(nil)
end

function Sending:_end(failure, stop)
  local ended = self._ended
  if not ended then return end
  self._ended, self._sink._failed = nil, nil
  self._transport:unregisterProducer()
  if stop then self:_stopProducer() end
  ended(failure)
end

function Sending:_stopProducer()
  local ok, failure = require("twistlua.guard").call(self._producer.stopProducing, self._producer)
  if not ok then require("twistlua.log").err(failure, "Unhandled error in stopProducing") end
end

---Nobody wants the rest. [ended] is not called.
function Sending:abandon()
  if not self._ended then return end
  self._ended = function() end
  self:_end(nil, true)
end

---The connection is gone, and has told the producer.
function Sending:forget()
  self._ended, self._sink._failed = nil, nil
end

---A large string: it is sent when the connection has taken it.
---@class twistlua.web.client.StringProducer: twistlua.Object
---@operator call(...): twistlua.web.client.StringProducer
local StringProducer = Object:extend("StringProducer")

function StringProducer:init(text)
  self._text = text
  self._paused = false
  self._done = defer.Deferred()
end

function StringProducer:startProducing(consumer)
  local done = self._done
  consumer:write(self._text)
  self._text = nil
  if not self._paused then self:resumeProducing() end
  return done
end

function StringProducer:pauseProducing() self._paused = true end

function StringProducer:resumeProducing()
  local done = self._done
  self._done = nil
  if done then done:callback() end
end

function StringProducer:stopProducing() self._done = nil end

---Sends a file, from where it stands to its end, as fast as the connection takes it (Twisted: FileBodyProducer).
---@class twistlua.web.FileBodyProducer: twistlua.Object
---@field length integer|table
---@operator call(...): twistlua.web.FileBodyProducer
local FileBodyProducer = Object:extend("FileBodyProducer")

---@param file file* such as `io.open` returns; it is closed when it was sent, or nobody wants the rest
---@param given? { readSize?: integer } bytes a read, default 65536
function FileBodyProducer:init(file, given)
  given = options.check("FileBodyProducer", given, { readSize = "integer" }, 4)
  self._file = file
  self._readSize = given.readSize or 65536
  self._paused = false
  self._writing = false
  local here = file:seek()
  local last = here and file:seek "end"
  if here then file:seek("set", here) end
  self.length = last and last - here or body.UNKNOWN_LENGTH
end

function FileBodyProducer:startProducing(consumer)
  self._consumer = consumer
  self._done = defer.Deferred(function() self:stopProducing() end)
  local done = self._done
  self:resumeProducing()
  return done
end

function FileBodyProducer:_finish(method, outcome)
  local done, file = self._done, self._file
  self._done, self._file = nil, nil
  if file then file:close() end
  if done and method then done[method](done, outcome) end
end

function FileBodyProducer:resumeProducing()
  self._paused = false
  if self._writing then return end
  self._writing = true
  while self._done and not self._paused do
    local data, failed = self._file:read(self._readSize)
    if failed then
      self:_finish("errback", require("twistlua.error").IOError(failed))
    elseif not data then
      self:_finish("callback")
    else
      self._consumer:write(data)
    end
  end
  self._writing = false
end

function FileBodyProducer:pauseProducing()
  self._paused = true
end

function FileBodyProducer:stopProducing()
  self:_finish()
end

body.Sending = Sending
body.StringProducer = StringProducer
body.FileBodyProducer = FileBodyProducer

return body
