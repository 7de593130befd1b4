-- SPDX-License-Identifier: MIT
-- web/http/factory.lua -- makes the channels of an HTTP server, holds its limits, and keeps the time for them.
-- One timer a factory looks at all its channels once a second: a request then costs no timer, and not even a look at
-- the time, since it only leaves word that there was one. `now` is when it last did, and a tick, so that no time-out
-- comes early.
-- A connection on which TLS has agreed on another protocol than http/1.1 would get its channel in buildProtocol.

local core    = require "twistlua.core"
local Factory = require("twistlua.protocol").Factory
local date    = require "twistlua.web.date"
local options = require "twistlua.options"

local TICK = 1

---Serves HTTP with the requests of a class (Twisted: http.HTTPFactory).
---@class twistlua.web.HTTPFactory: twistlua.Factory
---@field requestFactory table class of its requests. That, and the limits of a head, are looked at when a connection
---  is made.
---@field timeout number seconds that a connection may be idle
---@field headTimeout number seconds for the head of a request
---@field bodyTimeout number seconds for the body of a request, to which a second is added for each `bodyRate` bytes
---@field bodyRate integer
---@field abortTimeout number seconds that a closed connection may take to send and receive what is on its way
---@field bodyLimit number bytes of the body of a request
---@field contentMemory integer bytes of a body that are kept in memory, and not in a file
---@field pipelineLimit integer bytes of further requests that are read before one is answered
---@field formFields integer most names and values in `args`
---@field serverName string for Server; "" for none
---@field log (fun(request))|false called for each request that is over
---@field displayTracebacks boolean
---@field now number what deadlines count from, on the reactor's clock
---@field lines string Server and Date
---@field linesWithType string likewise, with a type for bodies that have none
local HTTPFactory = Factory:extend("HTTPFactory")

HTTPFactory.noisy             = false
HTTPFactory.timeout           = 60
HTTPFactory.headTimeout       = 60
HTTPFactory.bodyTimeout       = 60
HTTPFactory.bodyRate          = 500
HTTPFactory.abortTimeout      = 15
HTTPFactory.bodyLimit         = 64 * 1024 * 1024
HTTPFactory.contentMemory     = 100000
HTTPFactory.pipelineLimit     = 16384
HTTPFactory.formFields        = 1000
HTTPFactory.serverName        = "twistlua/" .. core.version
HTTPFactory.displayTracebacks = false

---The names that the last argument may have, for subclasses that take more.
HTTPFactory.OPTIONS = {
  timeout = "number", headTimeout = "number", bodyTimeout = "number", bodyRate = "integer", abortTimeout = "number",
  lineLimit = "integer", headLimit = "integer", fieldLimit = "integer", trailerLimit = "integer", bodyLimit = "number",
  contentMemory = "integer", pipelineLimit = "integer", formFields = "integer", serverName = "string",
  displayTracebacks = "boolean", logPath = "string", log = "any", requestFactory = "any", reactor = "any",
}

local PLAIN = {
  "timeout", "headTimeout", "bodyTimeout", "bodyRate", "abortTimeout", "bodyLimit", "contentMemory", "pipelineLimit",
  "formFields", "serverName", "displayTracebacks", "log", "requestFactory",
}

---@param given? table see OPTIONS: the fields of this class; lineLimit, headLimit, fieldLimit and trailerLimit (bytes
---  8192, 32768, 200 fields, 8192 bytes); logPath, a file for the access log; reactor, or a Clock
function HTTPFactory:init(given)
  given = options.check(self.__name, given, self.OPTIONS, 5)
  for _, name in ipairs(PLAIN) do
    if given[name] ~= nil then self[name] = given[name] end
  end
  self.limits = core.http1.limits {
    line = given.lineLimit, head = given.headLimit, fields = given.fieldLimit, trailers = given.trailerLimit,
    body = self.bodyLimit,
  }
  -- What each request asks for stands in the object: reading what only the class has costs more.
  for _, name in ipairs { "timeout", "headTimeout", "requestFactory", "log" } do
    self[name] = self[name] or false
  end
  self.logPath = given.logPath
  self._clock = given.reactor
  self._channels = {}
  self._timer = nil
  self.now = 0
  self.lines, self.linesWithType = "", ""
end

---@return twistlua.web.HTTPChannel
function HTTPFactory:buildProtocol(_)
  local channel = self.protocol()
  channel.factory = self
  return channel
end

function HTTPFactory:startFactory()
  if self.logPath and not self.log then
    self._accessLog = require("twistlua.web.http.access_log").AccessLog(self.logPath)
    self.log = function(request) self._accessLog:write(request) end
  end
end

function HTTPFactory:stopFactory()
  if not self._accessLog then return end
  self._accessLog:close()
  self._accessLog, self.log = nil, false
end

-- ---- Time ---------------------------------------------------------------------------------------

function HTTPFactory:clock()
  self._clock = self._clock or require "twistlua.reactor"
  return self._clock
end

local function tick(factory)
  local now = factory:clock():seconds()
  factory.now = now + TICK
  factory:_makeLines()
  factory._timer = factory:clock():callLater(TICK, tick, factory)
  local due
  for channel in pairs(factory._channels) do
    local deadline = channel._deadline
    if not deadline then
      channel._deadline = factory.now + factory.timeout
    elseif deadline <= now then
      due = due or {}
      due[#due + 1] = channel
    end
  end
  if not due then return end
  for _, channel in ipairs(due) do
    if factory._channels[channel] then channel:timedOut() end
  end
end

function HTTPFactory:channelOpened(channel)
  if not self._timer then
    self.now = self:clock():seconds() + TICK
    self:_makeLines()
    self._timer = self:clock():callLater(TICK, tick, self)
  end
  channel._deadline = self.now + self.timeout
  self._channels[channel] = true
end

function HTTPFactory:channelClosed(channel)
  self._channels[channel] = nil
  if next(self._channels) == nil and self._timer then
    self._timer:cancel()
    self._timer = nil
  end
end

-- ---- What every response says ---------------------------------------------------------------------

local TYPE = "Content-Type: text/html\r\n"

-- Once a tick: what is in all responses until the next.
function HTTPFactory:_makeLines()
  self.lines = self:linesWithout({}, false)
  self.linesWithType = self.lines .. TYPE
end

---Server and Date, and a type for a body that has none, as lines; but for those that `store` has.
---@param store table
---@param withType boolean
---@return string
function HTTPFactory:linesWithout(store, withType)
  local lines = ""
  if not store.server and self.serverName ~= "" then lines = "Server: " .. self.serverName .. "\r\n" end
  if not store.date then lines = lines .. "Date: " .. date.format(os.time()) .. "\r\n" end
  return withType and lines .. TYPE or lines
end

return { HTTPFactory = HTTPFactory }
