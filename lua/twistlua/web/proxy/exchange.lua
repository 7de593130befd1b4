-- SPDX-License-Identifier: MIT
-- web/proxy/exchange.lua -- one request on its way to the server behind a proxy, and the response on its way back. Both
-- bodies are handed on as they come; who does not keep up makes the other side wait.

local Object   = require("twistlua.class").Object
local Protocol = require("twistlua.protocol").Protocol
local defer    = require "twistlua.defer"
local errorPage = require "twistlua.web.http.error_page"
local errors   = require "twistlua.error"
local fields   = require "twistlua.web.proxy.fields"
local http1    = require("twistlua.core").http1
local log      = require "twistlua.log"

-- ---- The body of the request ---------------------------------------------------------------------

-- What comes from the client's side is written to it; a producer for the agent. Before the connection to the server
-- is there, and while it takes no more, write returns a Deferred, so that the client is not read.
local BodyRelay = Object:extend("BodyRelay")

function BodyRelay:init(length)
  self.length = length or require("twistlua.web.client.body").UNKNOWN_LENGTH
  self._consumer = nil
  self._kept = {}        -- that came before there was a consumer
  self._ready = nil      -- the Deferred of a write that waits
  self._done = nil       -- of startProducing
  self._paused = true
  self._ended = false
  self._stopped = false
end

function BodyRelay:write(data)
  if self._stopped then return nil end
  if self._consumer then
    self._consumer:write(data)
  else
    self._kept[#self._kept + 1] = data
  end
  -- A consumer that is full pauses us inside write.
  if self._paused then
    self._ready = self._ready or defer.Deferred()
    return self._ready
  end
end

function BodyRelay:_goOn()
  local ready = self._ready
  self._ready = nil
  if ready then ready:callback(nil) end
end

---All has come. What is still on its way to the server need not hold up the connection from the client.
function BodyRelay:finish()
  self._ended, self._paused = true, false
  self:_complete()
  self:_goOn()
end

function BodyRelay:_complete()
  local done = self._done
  if not done or not self._ended then return end
  self._done = nil
  done:callback(nil)
end

function BodyRelay:startProducing(consumer)
  self._consumer, self._paused = consumer, false
  local done = defer.Deferred()
  self._done = done
  local kept = table.concat(self._kept)
  self._kept = {}
  if kept ~= "" then consumer:write(kept) end
  self:_complete()
  if not self._paused then self:_goOn() end
  return done
end

function BodyRelay:pauseProducing() self._paused = true end

function BodyRelay:resumeProducing()
  self._paused = false
  self:_goOn()
end

---Nobody wants the rest: it is read and dropped.
function BodyRelay:stopProducing()
  self._stopped, self._paused, self._kept = true, false, {}
  self:_goOn()
end

-- ---- The body of the response --------------------------------------------------------------------

local ResponseRelay = Protocol:extend("ResponseRelay")

function ResponseRelay:init(exchange) self._exchange = exchange end

function ResponseRelay:connectionMade()
  self._exchange.request:registerProducer(self.transport, true)
end

function ResponseRelay:dataReceived(data)
  local request = self._exchange.request
  if not request.finished then request:write(data) end
end

function ResponseRelay:connectionLost(reason)
  self._exchange:_ended(reason)
end

-- ---- The exchange ----------------------------------------------------------------------------------

---@class twistlua.web.proxy.Exchange: twistlua.Object
---@operator call(...): twistlua.web.proxy.Exchange
local Exchange = Object:extend("Exchange")

---@param request twistlua.web.HTTPRequest from the client
---@param agent twistlua.web.Agent
---@param uri string absolute
---@param headers twistlua.Headers for the server
---@param length? integer|false of the body; false: there is one, of a length that is not known; nil: none
---@param map? fun(url: string): string of an address that the server tells, as the client knows it
function Exchange:init(request, agent, uri, headers, length, map)
  self.request = request
  self._relay = length ~= nil and BodyRelay(length) or nil
  self._response = nil
  self._map = map
  self._gone = false
  request:notifyFinish():addErrback(function() self:_clientLost() end)
  self._waiting = agent:request(request.method, uri, headers, self._relay)
  self._waiting:addCallbacks(function(response) self:_responded(response) end,
    function(failure) self:_failed(failure) end)
end

---A piece of the body.
---@param data string
---@return twistlua.Deferred|nil ready fires when more may come
function Exchange:write(data)
  if self._relay then return self._relay:write(data) end
end

---The body is complete.
function Exchange:finishBody()
  if self._relay then self._relay:finish() end
end

-- Whoever waits to write more of the body must not wait for ever.
function Exchange:_dropBody()
  if self._relay then self._relay:stopProducing() end
end

function Exchange:_clientLost()
  self._gone = true
  self:_dropBody()
  if self._response then return self._response:abort() end
  self._waiting:cancel()
end

local GATEWAY_TIMEOUTS = { errors.TimeoutError, errors.TCPTimedOutError }

-- Whether the server took too long, be it that a reason among others says so.
local function isTimeout(failure)
  if failure:check(table.unpack(GATEWAY_TIMEOUTS)) then return true end
  local reasons = type(failure.value) == "table" and failure.value.reasons or {}
  for _, reason in ipairs(reasons) do
    if isTimeout(reason) then return true end
  end
  return false
end

function Exchange:_failed(failure)
  local request = self.request
  self:_dropBody()
  if self._gone or request.finished then return end
  local status = isTimeout(failure) and 504 or 502
  log.msg(("Proxy: %s %s: %s"):format(request.method, request.uri, failure:getErrorMessage()))
  request:setResponseCode(status)
  request:setHeader("content-type", "text/html; charset=utf-8")
  request:respond(errorPage.statusPage(status, status == 504 and "The server behind this one took too long."
    or "The server behind this one does not answer."))
end

function Exchange:_responded(response)
  local request = self.request
  if self._gone then return response:abort() end
  self._response = response
  local phrase = response.phrase
  request:setResponseCode(response.code, phrase ~= "" and http1.isValue(phrase) and phrase or nil)
  fields.forward(response._head:fields(), function(name, value)
    if self._map then value = fields.mapped(name, value, self._map) end
    request.responseHeaders:addRawHeader(name, value)
  end)
  local length = response:getHeader("content-length")
  if length then request:setHeader("content-length", length) end
  request:write("")
  response:deliverBody(ResponseRelay(self))
end

function Exchange:_ended(reason)
  local request = self.request
  if self._gone or request.finished then return end
  request:unregisterProducer()
  local client = require "twistlua.web.client.errors"
  if reason == client.DONE or reason:check(client.ResponseDone, client.PotentialDataLoss) then
    return request:finish()
  end
  -- Too late for a status: the client must see that it is not all.
  log.msg(("Proxy: %s %s: %s"):format(request.method, request.uri, reason:getErrorMessage()))
  request.channel.transport:abortConnection()
end

return { Exchange = Exchange }
