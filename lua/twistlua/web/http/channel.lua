-- SPDX-License-Identifier: MIT
-- web/http/channel.lua -- one connection of an HTTP/1 server: requests one after the other, each answered before the
-- next is looked at.
-- Invariant: `_input` holds the bytes from `_at` on that nobody has looked at yet, or is false. While `_request` is
-- set, what comes belongs to its body as long as there is a decoder in `_body`, and else waits for its turn.
-- `dataReceived` and `serve` are in C. Handlers run in the latter, in a coroutine of core.deferred.attempt, so they may
-- await. One that does leaves with that coroutine: `_turn` then changes, by which we see that others have gone on with
-- the connection.

local core      = require "twistlua.core"
local Protocol  = require("twistlua.protocol").Protocol
local Failure   = require("twistlua.failure").Failure
local log       = require "twistlua.log"
local webErrors = require "twistlua.web.error"

local http1, attempt = core.http1, core.deferred.attempt

---The server's side of a connection (Twisted: http.HTTPChannel).
---@class twistlua.web.HTTPChannel: twistlua.Protocol
---@field factory twistlua.web.HTTPFactory
local HTTPChannel = Protocol:extend("HTTPChannel")

-- All fields are there from the beginning: reading one that only the class has costs more.
function HTTPChannel:init()
  self._service   = false   -- as core.http1.service, while what comes is for requests
  self._request   = false   -- that is received or answered now
  self._keepAlive = true    -- the connection goes on after that
  self._input     = false
  self._at        = 1
  self._head      = false   -- one that is not complete yet
  self._deadline  = false   -- on the factory's clock; false: something has just happened, so a timeout from now
  self._body      = false
  self._unread    = false   -- there is more to come that is not read: of a body, or behind an error
  self._turn      = 0
  self._paused    = false   -- the transport is, for too much input
  self._closing   = false   -- nothing more is read
  self._heir      = false   -- the protocol that has taken over
end

HTTPChannel._sink       = false   -- what takes the body
HTTPChannel._delivering = false   -- it is doing so
HTTPChannel._held       = false   -- the transport is paused, for it or for a handler
HTTPChannel._pending    = 0       -- bytes that waited to be sent when the time was last up

function HTTPChannel:connectionMade()
  self._service = http1.service(self.factory)
  self.factory:channelOpened(self)
end

-- ---- Reading ------------------------------------------------------------------------------------

local function refuse(channel, status, detail)
  channel:refuse(status, detail)
  return false
end

-- The body of `request` is about to come; whether it is wanted.
local function beginBody(channel, request, body)
  local length = math.type(body) and body or nil
  local factory = channel.factory
  channel._unread = true
  if request:getHeader "expect" and not request._expectContinue and request._minor > 0 then
    return refuse(channel, 417, "Only 100-continue can be expected.")
  elseif length and length > factory.bodyLimit then
    return refuse(channel, 413, "The body is too long.")
  end
  channel._sink = request:bodyBegins(length) or false
  if channel._request ~= request then return false end   -- answered already
  channel._body = http1.body(body, factory.limits)
  channel:_expectBody()
  if request._expectContinue and not channel._input and not request.startedWriting then
    channel.transport:write("HTTP/1.1 100 Continue\r\n\r\n")
  end
  return true
end

-- There is no request in the input that could be taken: `head` is of one whose end is missing, else there is an error.
local function noRequest(channel, request, head, status)
  if request == nil then return refuse(channel, status, head) end
  local input, at, factory = channel._input, channel._at, channel.factory
  if at > 1 then
    channel._input = input:sub(at)
    channel._at = 1
  end
  if not channel._head then channel._deadline = factory.now + factory.headTimeout end
  channel._head = head
end

local function waitFor(channel, result)
  if not core.deferred.isDeferred(result) then return end
  channel:pauseBody()
  core.deferred.await(result)
  channel:resumeBody()
end

-- Give data of the body to who wants it, and wait as long as that takes.
local function deliver(channel, request, data, isLast)
  local sink = channel._sink
  if not sink then
    if data ~= "" then request:bufferBody(data, channel.factory.contentMemory) end
    return
  end
  channel._delivering = true
  if data ~= "" then waitFor(channel, sink:write(data)) end
  if isLast and sink.finish and channel._request == request then waitFor(channel, sink:finish()) end
  channel._delivering = false
end

-- Decode what there is of the body; whether it is complete.
local function readBody(channel)
  local input, at = channel._input, channel._at
  local body, request = channel._body, channel._request
  channel._input, channel._at = false, 1
  local data, next, _, status = body:feed(input, at)
  if not data then return refuse(channel, status, next) end
  channel._deadline = channel._bodyDue + body:received() // channel.factory.bodyRate
  if next then
    channel._body, channel._unread = false, false
    local trailers = body:trailers()
    if trailers then request:trailersCame(trailers) end
    if next <= #input then channel._input, channel._at = input, next end
  end
  if channel._paused then
    channel._paused = false
    if not channel._held then channel.transport:resumeProducing() end
  end
  if data ~= "" or next then deliver(channel, request, data, next) end
  return next and channel._request == request
end

-- What http1.serve leaves to us: a request, with a body of `body`, or none. Returns whether to look for the next.
local function serveSpecial(channel, request, body, _, status)
  if not request then return noRequest(channel, request, body, status) end
  local turn = channel._turn
  if body ~= 0 then
    local wanted = beginBody(channel, request, body)
    if channel._turn ~= turn then return channel:_goOn() end
    if not wanted then return false end
  end
  if channel._body and not (channel._input and readBody(channel)) then
    if channel._turn ~= turn then channel:_goOn() end
    return false
  end
  request:process()
  return channel._turn == turn and not channel._request
end

-- A handler has raised an error. Where its response is finished already, only the log hears of that.
local function failed(request, failure)
  if request then return request:processingFailed(failure) end
  log.err(failure, "Unhandled error behind a response")
end

-- The coroutine of `serve` is in await, and goes on by itself: others must not wait for it.
local function leave(channel, task)
  channel._turn = channel._turn + 1
  local request = channel._request
  if request then request:_keep("_task", task) end
  task:addErrback(function(failure)
    if request and request.disconnected and failure:check("CancelledError") then return nil end
    failed(request, failure)
  end)
end

-- `serve` has ended, with the outcome of its attempt: call it again as long as it has something to do.
local function served(channel, outcome, failure)
  while true do
    if not outcome then
      failed(channel._request, failure)
    elseif outcome ~= true then
      leave(channel, outcome)
    end
    if outcome == true or channel._request or not channel._input or channel._closing then break end
    outcome, failure = attempt(http1.serve, channel, serveSpecial)
  end
  if channel._request and not channel._body then channel._deadline = channel.factory.now + channel.factory.timeout end
end

local serve

-- Data that came while a request is in work: its body, or the next requests.
local function receiveLater(channel, data)
  channel._input = data
  if channel._body and not http1.isServing(channel) and not channel._delivering then return serve(channel) end
  if #data - channel._at >= channel.factory.pipelineLimit and not channel._paused then
    channel._paused = true
    channel.transport:pauseProducing()
  end
end

-- Data that is not simply the next request.
local function receive(channel, data)
  if channel._closing then return end
  if channel._heir then return channel._heir:dataReceived(data) end
  local input = channel._input
  if input then
    data = (channel._at > 1 and input:sub(channel._at) or input) .. data
    channel._at = 1
  end
  if channel._request then return receiveLater(channel, data) end
  channel._input = data
  serve(channel)
end

HTTPChannel.dataReceived, serve = http1.methods(serveSpecial, served, receive)

-- Serve what waits, if nobody does so already.
function HTTPChannel:_goOn()
  if self._input and not http1.isServing(self) then serve(self) end
end

-- The time for the body counts from now, and is longer by what has come of it.
function HTTPChannel:_expectBody()
  local factory = self.factory
  self._deadline = factory.now + factory.bodyTimeout
  self._bodyDue = self._deadline - self._body:received() // factory.bodyRate
end

function HTTPChannel:pauseBody()
  self._held = true
  if self._request then self._request._more = true end
  self._deadline = math.huge
  self.transport:pauseProducing()
end

function HTTPChannel:resumeBody()
  self._held = false
  if self._closing then return end
  if self._body then self:_expectBody() end
  if not self._paused then self.transport:resumeProducing() end
end

-- ---- Answering ---------------------------------------------------------------------------------

---The response is written: the next request may come.
---@param request twistlua.web.HTTPRequest
function HTTPChannel:requestDone(request)
  if self._request ~= request then return end
  local factory = self.factory
  self._request = false
  if factory.log then factory.log(request) end
  self._deadline = false
  if not self._keepAlive or self._unread then
    self:close()
  else
    if self._paused or self._held then
      self._paused, self._held = false, false
      self.transport:resumeProducing()
    end
    self:_goOn()
  end
  if request._more then request:_over() end
end

---Answer what is no request, or one that cannot be taken, and end the connection.
---@param status integer
---@param detail string
function HTTPChannel:refuse(status, detail)
  local request, length = self._request, nil
  if not request or not request.startedWriting then length = self:sendRefusal(status, detail) end
  if self.factory.log then self:_logRefusal(request, length and status, length) end
  self._request = false
  self._unread = true
  self:close()
  if request then request:connectionLost(Failure(webErrors.Error(status, detail))) end
end

-- [status] and [length] are those of the page that was sent.
function HTTPChannel:_logRefusal(request, status, length)
  if not request then
    local first = self._input and self._input:sub(self._at, self._at + 200):match("^[^\r\n]*") or ""
    request = require("twistlua.web.http.access_log").Refused(self, first)
  end
  if status then request.code, request.sentLength = status, length end
  self.factory.log(request)
end

-- ---- Closing ------------------------------------------------------------------------------------

---End the connection when what was written has been sent. Where more may be coming, the end of ours is sent, and what
---comes is dropped until the client has seen it: closing at once would take the response from it.
function HTTPChannel:close()
  if self._closing then return end
  self._closing, self._service = true, false
  self._deadline = self.factory.now + self.factory.abortTimeout
  if self._unread then
    self.transport:resumeProducing()
    self.transport:loseWriteConnection()
  else
    self.transport:loseConnection()
  end
  self._input, self._head, self._body = false, false, false
end

---Give up the request that is in work, and the connection.
function HTTPChannel:loseConnection()
  if self._closing then return end
  self:close()
  self.transport:loseConnection()
end

-- Whether the client has taken something since the time was last up.
local function isProgressing(channel)
  local pending = channel.transport.getPending and channel.transport:getPending() or 0
  local before = channel._pending
  channel._pending = pending
  return pending > 0 and pending ~= before, pending > 0
end

---The deadline has come.
function HTTPChannel:timedOut()
  local factory = self.factory
  local progressing, stuck = isProgressing(self)
  local wait = self._closing and factory.abortTimeout or factory.timeout
  if progressing or self._request and not self._body and not stuck then
    self._deadline = factory.now + wait   -- the handler takes its time, or the client reads slowly
  elseif self._closing or stuck then
    self._deadline = math.huge
    self.transport:abortConnection()
  elseif self._head or self._body then
    self:refuse(408, "The request did not come in time.")
  else
    self:close()
  end
end

---The client has sent all that it wanted. What was answered is still sent; a request that is in work counts as given
---up, since this is how clients leave.
function HTTPChannel:readConnectionLost()
  local heir = self._heir
  if heir and heir.readConnectionLost then return heir:readConnectionLost() end
  self.transport:loseConnection()
end

function HTTPChannel:connectionLost(reason)
  self.factory:channelClosed(self)
  self._closing, self._service = true, false
  self._input, self._head, self._body = false, false, false
  local request = self._request
  self._request = false
  if request then
    if self.factory.log then self.factory.log(request) end
    request:connectionLost(reason)
  end
  if self._heir then self._heir:connectionLost(reason) end
end

-- ---- For requests ---------------------------------------------------------------------------------

function HTTPChannel:registerProducer(producer, streaming)
  self.transport:registerProducer(producer, streaming)
end

function HTTPChannel:unregisterProducer()
  self.transport:unregisterProducer()
end

function HTTPChannel:getPeer() return self.transport:getPeer() end

function HTTPChannel:getHost() return self.transport:getHost() end

---@return boolean
function HTTPChannel:isSecure()
  return self.transport.TLS == true
end

---See Request:takeOver.
---@param request twistlua.web.HTTPRequest
---@param protocol twistlua.Protocol
---@return twistlua.Transport transport, string data
function HTTPChannel:takeOver(request, protocol)
  if request.code == 101 or request.method == "CONNECT" and request.code // 100 == 2 then self:sendSwitch(request) end
  local data = self._input and self._input:sub(self._at) or ""
  request.finished = true
  self._service, self._request, self._input, self._heir = false, false, false, protocol
  self._deadline = math.huge
  if self.factory.log then self.factory.log(request) end
  if self._paused then
    self._paused = false
    self.transport:resumeProducing()
  end
  return self.transport, data
end

for name, method in pairs(require "twistlua.web.http.response") do HTTPChannel[name] = method end

return { HTTPChannel = HTTPChannel }
