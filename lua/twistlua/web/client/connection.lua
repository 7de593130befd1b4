-- SPDX-License-Identifier: MIT
-- web/client/connection.lua -- HTTP/1.1 on one connection, from the client's side: one exchange at a time.
-- Invariant: while "waiting" or in a "body" there is an exchange; while "idle" the connection is its pool's.

local Protocol = require("twistlua.protocol").Protocol
local Response = require("twistlua.web.client.response").Response
local body     = require "twistlua.web.client.body"
local core     = require "twistlua.core"
local base     = require "twistlua.error"
local errors   = require "twistlua.web.client.errors"

local DONE = errors.DONE
local INTERIM = 20    -- responses 1xx before the one that counts
local SMALL = 16384   -- bytes of a body that are copied to go out in one piece with the head

local http1 = core.http1
local parseResponse = http1.response

---What an exchange is to a connection: `_sent()` is called when the request is on its way, then `_responded(response)`
---or `_failed(failure)`, once.
---@class twistlua.web.HTTP11ClientProtocol: twistlua.Protocol
local HTTP11ClientProtocol = Protocol:extend("HTTP11ClientProtocol")

---@param owner { released: function, gone: function } told when it may be used again, and when it is gone
function HTTP11ClientProtocol:init(owner)
  self._owner = owner
  self._state = "idle"        -- "waiting" for a head, in a "body", "closed"
  self._exchange = nil
  self._sending = nil         -- the body of the request, while it is not sent
  self._buffer = nil          -- bytes of a head that is not complete
  self._head = nil            -- and its parse
  self._interim = 0
  self._response = nil        -- whose body is under way
  self._paused = false        -- its consumer has had enough for now
  self._left = nil            -- bytes of it that are to come, if they are counted
  self._decoder = nil         -- of it, if it is chunked
  self._keepAlive = false
  self._failure = nil         -- why we closed
  self.used = 0               -- exchanges
end

-- ---- Sending -----------------------------------------------------------------------------------

---@param exchange { request: twistlua.web.Request, _sent: function, _responded: function, _failed: function }
function HTTP11ClientProtocol:begin(exchange)
  local request, transport = exchange.request, self.transport
  local producer = request.bodyProducer
  self._exchange = exchange
  self._state = "waiting"
  self.used = self.used + 1
  if not producer then return transport:write(request.head) end
  if type(producer) == "string" then
    if #producer <= SMALL then
      transport:write(request.head .. producer)
      return exchange:_sent()
    end
    producer = body.StringProducer(producer)
  end
  transport:write(request.head)
  self._sending = body.Sending(transport, producer, request.length, function(failure) self:_sent(failure) end)
  self._sending:start()
end

function HTTP11ClientProtocol:_sent(failure)
  self._sending = nil
  if failure then return self:_fail(errors.RequestGenerationFailed { failure }) end
  if self._state == "waiting" then self._exchange:_sent() end
end

-- ---- Ends ----------------------------------------------------------------------------------------

-- Close, and tell the exchange. `err` is an error, or a Failure.
function HTTP11ClientProtocol:_fail(err)
  if self._state == "closed" then return end
  self:_close()
  self:_tell(err)
end

function HTTP11ClientProtocol:_close()
  self._state = "closed"
  if self._sending then
    self._sending:abandon()
    self._sending = nil
  end
  self.transport:abortConnection()
end

local function failureOf(err)
  return type(err) == "userdata" and err or require("twistlua.failure").Failure(err)
end

function HTTP11ClientProtocol:_tell(err)
  local exchange, response = self._exchange, self._response
  self._exchange, self._response = nil, nil
  if response then
    response:_ended(failureOf(err))
  elseif exchange then
    exchange:_failed(failureOf(err))
  end
end

---The exchange is not wanted any more, and is not told.
function HTTP11ClientProtocol:cancel()
  self._exchange, self._response = nil, nil
  if self._state ~= "closed" then self:_close() end
end

-- What the end of the connection means for the exchange.
function HTTP11ClientProtocol:_meaning(reason)
  if self._failure then return errors.ResponseFailed({ self._failure }, self._response) end
  if self._response then
    local counted = self._left or self._decoder
    if not counted and reason:check(base.ConnectionDone) then return errors.PotentialDataLoss() end
    return errors.ResponseFailed({ reason }, self._response)
  end
  if self._buffer then
    return errors.ResponseFailed { reason, errors.ParseError("the connection ended inside the head") }
  end
  if reason:check(base.SSLError) then return reason end
  if self._sending then return errors.RequestTransmissionFailed { reason } end
  return errors.ResponseNeverReceived { reason }
end

function HTTP11ClientProtocol:connectionLost(reason)
  local meaning = self._exchange and self:_meaning(reason)
  self._state = "closed"
  if self._sending then
    self._sending:forget()
    self._sending = nil
  end
  self._owner:gone(self)
  if meaning then self:_tell(meaning) end
end

-- ---- Receiving -----------------------------------------------------------------------------------

function HTTP11ClientProtocol:dataReceived(data)
  local state = self._state
  if state == "waiting" then return self:_headReceived(data) end
  if state == "body" then return self:_bodyReceived(data, 1) end
  -- Nobody asked: whatever it is, it must not be taken for the next response.
  if state == "idle" then self:_close() end
end

function HTTP11ClientProtocol:_headReceived(data)
  if self._buffer then data = self._buffer .. data end
  local request, from = self._exchange.request, 1
  repeat
    local head, following, status, kind, keepAlive = parseResponse(data, from, request.method, nil, self._head)
    if not head then return self:_unparsable(following, status, data) end
    if not following then
      self._head, self._buffer = head, from == 1 and data or data:sub(from)
      return
    end
    self._head, self._buffer = nil, nil
    if status >= 200 or status == 101 then
      self._keepAlive = keepAlive and request.persistent
      return self:_responded(Response.make(self, request, head, status, kind), kind, data, following)
    end
    self._interim = self._interim + 1
    if self._interim > INTERIM then return self:_unparsable("too many interim responses", nil, data) end
    from = following
  until from > #data
end

function HTTP11ClientProtocol:_unparsable(message, name, data)
  local err = errors.ParseError(("%s: %s"):format(message, ("%q"):format(data:sub(1, 60)):gsub("\n", "n")),
    { code = name })
  self:_fail(errors.ResponseFailed({ err }, self._response))
end

-- The head is complete, and the body begins at `from`.
function HTTP11ClientProtocol:_responded(response, kind, data, from)
  local exchange = self._exchange
  self._interim = 0
  self._response, self._state = response, "body"
  self._left, self._decoder = nil, nil
  if kind == "chunked" then
    self._decoder = http1.body("chunked")
  elseif kind ~= "rest" then
    self._left = kind
  end
  if kind == 0 or from <= #data then self:_bodyReceived(data, from) end
  exchange:_responded(response)
  -- Until somebody wants the body it waits where it is.
  if self._response == response and self._state == "body" and not response._consumer then
    self.transport:pauseProducing()
  end
end

function HTTP11ClientProtocol:_bodyReceived(data, from)
  local piece, behind
  local left = self._left
  if left then
    local available = #data - from + 1
    if available < left then
      self._left = left - available
      piece = from == 1 and data or data:sub(from)
    else
      piece, behind = data:sub(from, from + left - 1), from + left
    end
  elseif self._decoder then
    piece, behind = self._decoder:feed(data, from)
    if not piece then return self:_undecodable(behind, data) end
  else
    piece = from == 1 and data or data:sub(from)
  end
  if piece ~= "" then self._response:_received(piece) end
  if behind then self:_complete(behind <= #data) end
end

function HTTP11ClientProtocol:_undecodable(message, data)
  self:_unparsable("in the body, " .. message, nil, data)
end

-- `more`: bytes follow that nobody asked for.
function HTTP11ClientProtocol:_complete(more)
  local response = self._response
  if not response or self._state == "closed" then return end   -- its consumer closed the connection
  self._response, self._exchange, self._decoder, self._left = nil, nil, nil, nil
  -- The consumer may hold up the last piece, but not the next exchange.
  if self._paused then self:resumeBody() end
  if self._keepAlive and not more and not self._sending then
    self._state = "idle"
    self._owner:released(self)
  elseif self._sending or more then
    self:_close()
  else
    self._state = "closed"
    self.transport:loseConnection()
  end
  response:_ended(DONE)
end

-- ---- What a response wants of its source ---------------------------------------------------------

function HTTP11ClientProtocol:pauseBody()
  self._paused = true
  self.transport:pauseProducing()
end

function HTTP11ClientProtocol:resumeBody()
  self._paused = false
  self.transport:resumeProducing()
end

-- The consumer is told when the connection is gone, never inside its own call.
function HTTP11ClientProtocol:abortBody(reason)
  if self._state == "closed" then return end
  self._failure = reason
  self._left = self._left or 0   -- it has not ended, counted or not
  self:_close()
end

return HTTP11ClientProtocol
