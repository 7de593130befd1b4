-- SPDX-License-Identifier: MIT
-- web/events.lua -- server-sent events: a response that goes on, in the format that EventSource reads (HTML, 9.2).
--
--     function Clock:render_GET(request)
--       local stream = events.EventStream(request)
--       stream:send { event = "tick", data = os.date() }
--       return server.NOT_DONE_YET
--     end

local Object  = require("twistlua.class").Object
local defer   = require "twistlua.defer"
local options = require "twistlua.options"

local EVENT = { event = "string", data = "string", id = "string", retry = "number" }

local function checkLine(name, value)
  if value:find("[\r\n%z]") then error(("send: %s must be one line"):format(name), 4) end
  return value
end

-- The lines of an event. A line of data ends at CR, LF or both.
local function format(given)
  if type(given) == "string" then given = { data = given } end
  options.check("send", given, EVENT, 4)
  local lines = {}
  if given.event then lines[#lines + 1] = "event: " .. checkLine("event", given.event) end
  if given.id then lines[#lines + 1] = "id: " .. checkLine("id", given.id) end
  if given.retry then lines[#lines + 1] = ("retry: %d"):format(given.retry * 1000 // 1) end
  if given.data then
    local data = given.data:gsub("\r\n?", "\n") .. "\n"
    for line in data:gmatch("([^\n]*)\n") do lines[#lines + 1] = "data: " .. line end
  end
  lines[#lines + 1] = "\n"
  return table.concat(lines, "\n")
end

---The response to a request as a stream of events. It begins when this is made.
---@class twistlua.web.EventStream: twistlua.Object
---@field lastEventId string|nil the id of the last event that the client has seen: it comes back
---@field closed boolean
---@field paused boolean the client reads more slowly than events are sent
---@operator call(...): twistlua.web.EventStream
local EventStream = Object:extend("EventStream")

local TYPES = { keepAlive = "number", pendingEvents = "integer", reactor = "any" }

---@param request twistlua.web.Request
---@param given? { keepAlive?: number, pendingEvents?: integer, reactor?: any } keepAlive: seconds without an event
---  after which a comment is sent, default 15, math.huge for never. pendingEvents: how many events may be sent while
---  the client does not read, default 1000; then it is closed, upon which a browser connects again and says what it
---  has seen.
function EventStream:init(request, given)
  given = options.check("EventStream", given, TYPES, 4)
  self.lastEventId = request:getHeader("last-event-id")
  self.closed      = false
  self.paused      = false
  self._request    = request
  self._interval   = given.keepAlive or 15
  self._most       = given.pendingEvents or 1000
  self._pending    = 0     -- events that were sent since it is paused
  self._reactor    = given.reactor or require "twistlua.reactor"
  self._timer      = nil
  self._waiting    = {}    -- Deferreds of notifyClose
  request:setHeader("Content-Type", "text/event-stream")
  request:setHeader("Cache-Control", "no-store")
  request:setHeader("X-Accel-Buffering", "no")
  request:notifyFinish():addBoth(function() self:_over() end)
  request:registerProducer(self, true)
  if self.closed then return end
  request:write("")
  if request.method == "HEAD" then return self:close() end
  self:_wait()
end

function EventStream:_wait()
  if self._interval == math.huge then return end
  if self._timer and self._timer:active() then return self._timer:reset(self._interval) end
  self._timer = self._reactor:callLater(self._interval, function() self:comment("") end)
end

function EventStream:_write(text)
  if self.closed then return false end
  if self.paused then
    self._pending = self._pending + 1
    if self._pending > self._most then
      self:abort()
      return false
    end
  end
  self._request:write(text)
  self:_wait()
  return not self.paused
end

---Send an event. Nothing once the stream is closed.
---@param event string|{ event?: string, data?: string, id?: string, retry?: number } retry: seconds after which a
---  client whose connection was lost comes back
---@return boolean ready whether the client keeps up: false while it is paused, or closed
function EventStream:send(event)
  return self:_write(format(event))
end

---Send what clients overlook.
---@param text string of one line
function EventStream:comment(text)
  return self:_write(": " .. checkLine("a comment", text) .. "\n\n")
end

---End the response. A browser connects again: it gives up for a status of 204.
function EventStream:close()
  if self.closed then return end
  self._request:unregisterProducer()
  self._request:finish()
  self:_over()
end

---End it without waiting for a client that does not read.
function EventStream:abort()
  if self.closed then return end
  self._request:unregisterProducer()
  self:_over()
  self._request:loseConnection()
end

---@return twistlua.Deferred fires with the stream when it is closed, by either side
function EventStream:notifyClose()
  if self.closed then return defer.succeed(self) end
  local d = defer.Deferred()
  table.insert(self._waiting, d)
  return d
end

function EventStream:_over()
  if self.closed then return end
  self.closed = true
  if self._timer and self._timer:active() then self._timer:cancel() end
  local waiting = self._waiting
  self._waiting = {}
  for _, d in ipairs(waiting) do d:callback(self) end
end

function EventStream:pauseProducing()
  self.paused = true
end

function EventStream:resumeProducing()
  self.paused, self._pending = false, 0
end

function EventStream:stopProducing()
  self:_over()
end

-- ---- Many at once -------------------------------------------------------------------------------

---Sends the same events to any number of streams.
---@class twistlua.web.Channel: twistlua.Object
---@field count integer how many streams there are
---@operator call(...): twistlua.web.Channel
local Channel = Object:extend("Channel")

---@param given? { history?: integer } how many events with an id to keep for those who come back, default 0
function Channel:init(given)
  given = options.check("Channel", given, { history = "integer" }, 4)
  self.count    = 0
  self._most    = given.history or 0
  self._kept    = {}     -- { id, text }, oldest first
  self._streams = {}
end

-- What was sent since the event that the stream has seen last; nothing if that is not known any more.
local function catchUp(channel, stream)
  for i, kept in ipairs(channel._kept) do
    if kept.id == stream.lastEventId then
      for j = i + 1, #channel._kept do stream:_write(channel._kept[j].text) end
      return
    end
  end
end

---Send to this stream, too, until it is closed; first what it has missed.
---@param stream twistlua.web.EventStream
function Channel:add(stream)
  if stream.closed or self._streams[stream] then return end
  self._streams[stream] = true
  self.count = self.count + 1
  stream:notifyClose():addCallback(function()
    self._streams[stream] = nil
    self.count = self.count - 1
  end)
  if stream.lastEventId then catchUp(self, stream) end
end

---@param event string|table as for EventStream:send
function Channel:send(event)
  local text = format(event)
  if self._most > 0 and type(event) == "table" and event.id then
    table.insert(self._kept, { id = event.id, text = text })
    if #self._kept > self._most then table.remove(self._kept, 1) end
  end
  local streams = {}
  for stream in pairs(self._streams) do streams[#streams + 1] = stream end
  for _, stream in ipairs(streams) do stream:_write(text) end
end

---Close all streams.
function Channel:close()
  local streams = {}
  for stream in pairs(self._streams) do streams[#streams + 1] = stream end
  for _, stream in ipairs(streams) do stream:close() end
end

return { EventStream = EventStream, Channel = Channel }
