-- SPDX-License-Identifier: MIT
-- reactor/writer.lua -- the writing end of a pipe, with its producer: back-pressure as on any transport.

local core    = require "twistlua.core"
local Object  = require("twistlua.class").Object
local errors  = require "twistlua.error"
local guard   = require "twistlua.guard"
local log     = require "twistlua.log"
local network = require "twistlua.reactor.network"

local HIGH_WATER = 64 * 1024   -- pending bytes at which a push producer is paused

---@class twistlua.PipeWriter: twistlua.Object
---@field producer table|nil the registered one
local Writer = Object:extend("PipeWriter")

---Own the descriptor. Raises the core's message for one that cannot be written to.
---@param fd integer
---@param closed fun(reason: twistlua.Failure) called once, later
---@param failed? fun(failure: twistlua.Failure) the producer raised; default: the pipe is aborted
function Writer:init(fd, closed, failed)
  self.producer = nil
  self._streaming = false   -- it is a push producer
  self._paused = false      -- and was paused
  self._failed = failed or function() self.pipe:abort() end
  local pipe, message, code = core.pipe.open(fd, "w", function() self:_drained() end, function(...)
    self:_closed(network.reasonOf(...), closed)
  end)
  self.pipe = pipe or error(errors.permission(code, message) or message, 0)
end

function Writer:_produce(method)
  local ok, failure = guard.call(self.producer[method], self.producer)
  if ok then return end
  log.err(failure, "Unhandled error in a producer")
  self._failed(failure)
end

function Writer:_drained()
  if not self.producer or self._streaming and not self._paused then return end
  self._paused = false
  self:_produce("resumeProducing")
end

function Writer:_closed(reason, closed)
  local producer = self.producer
  self.producer = nil
  if producer then guard.run("Unhandled error in a producer", producer.stopProducing, producer) end
  closed(reason)
end

function Writer:_pauseProducer()
  if not self.producer or not self._streaming or self._paused or self.pipe:pending() <= HIGH_WATER then return end
  self._paused = true
  self:_produce("pauseProducing")
end

---@param data string
function Writer:write(data)
  self.pipe:write(data)
  self:_pauseProducer()
end

---@param strings string[]
function Writer:writeSequence(strings)
  for index, data in ipairs(strings) do
    if type(data) ~= "string" then
      error(("data must be strings, but item %d is a %s"):format(index, type(data)), 3)
    end
  end
  for _, data in ipairs(strings) do self.pipe:write(data) end
  self:_pauseProducer()
end

---@param producer table
---@param streaming boolean
function Writer:registerProducer(producer, streaming)
  if self.producer then error("a producer is already registered; unregister it first", 3) end
  if self.pipe:fileno() < 0 then return producer:stopProducing() end
  self.producer, self._streaming, self._paused = producer, streaming and true or false, false
  self.pipe:hold(true)
  self.pipe:notifyDrain(true)   -- a pull producer hears resumeProducing at once
end

function Writer:unregisterProducer()
  if not self.producer then return end
  self.producer = nil
  self.pipe:notifyDrain(false)
  self.pipe:hold(false)
end

---Close when all is written, and the producer was unregistered.
function Writer:close() self.pipe:close() end

---Close at once.
function Writer:abort() self.pipe:abort() end

return Writer
