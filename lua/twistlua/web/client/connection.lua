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
local NEVER = math.huge
local INTERIM = 20   -- responses 1xx before the one that counts

local http1 = core.http1
local parseResponse = http1.response
local sub = string.sub

---What an exchange is to a connection: a composed request, of which `_responded(response)` or `_failed(failure)` is
---called, once. What a host is: `released(connection)` is called when it may be used again, `resting(connection)` if it
---is not, by the time the exchange has heard of its end, and `gone(connection)` when it is gone. Whoever began an
---exchange sees to its `deadline`, which ends with the head.
---@class twistlua.web.HTTP11ClientProtocol: twistlua.Protocol
local HTTP11ClientProtocol = Protocol:extend("HTTP11ClientProtocol")

---@param host { released: function, resting: function, gone: function }
function HTTP11ClientProtocol:init(host)
  self.host = host
  self.used = false           -- has had an exchange
  self.exchange = false       -- the present one
  self.deadline = NEVER       -- when it will have waited for too long, for a head or an exchange;
  self.timer = false          -- which may ring before that,
  self.rings = NEVER          -- at this time
  self._state = "idle"        -- "waiting" for a head, in a "body", "closed"
  self._sending = false       -- the body of the request, while it is not sent
  self._buffer = false        -- bytes of a head that is not complete
  self._head = false          -- and its parse
  self._interim = 0
  self._response = false      -- whose body is under way
  self._paused = false        -- its consumer has had enough for now
  self._left = false          -- bytes of it that are to come, if they are counted
  self._decoder = false       -- of it, if it is chunked
  self._keepAlive = false
  self._failure = nil         -- why we closed
end

-- ---- Sending -----------------------------------------------------------------------------------

-- The method is looked up but once.
function HTTP11ClientProtocol:connectionMade()
  self._write = self.transport.write
end

---Send the request, but for its `upload`.
---@param exchange twistlua.web.client.Exchange
function HTTP11ClientProtocol:begin(exchange)
  self.exchange, exchange._connection = exchange, self
  self._state = "waiting"
  self._write(self.transport, exchange.head)
end

---Send the rest of the request, whose `_sent()` is called then.
---@param producer string|table
function HTTP11ClientProtocol:upload(producer)
  if type(producer) == "string" then producer = body.StringProducer(producer) end
  local function ended(failure) self:_sent(failure) end
  self._sending = body.Sending(self.transport, producer, self.exchange.length, ended)
  self._sending:start()
end

function HTTP11ClientProtocol:_sent(failure)
  self._sending = false
  if failure then return self:_fail(errors.RequestGenerationFailed { failure }) end
  if self._state == "waiting" then self.exchange:_sent() end
end

-- ---- Ends ----------------------------------------------------------------------------------------

-- Close, and tell the exchange. `err` is an error, or a Failure.
function HTTP11ClientProtocol:_fail(err)
  if self._state == "closed" then return end
  self:_close()
  self:_tell(err)
end

function HTTP11ClientProtocol:_close()
  self._state, self.deadline = "closed", NEVER
  if self._sending then
    self._sending:abandon()
    self._sending = false
  end
  self.transport:abortConnection()
end

local function failureOf(err)
  return type(err) == "userdata" and err or require("twistlua.failure").Failure(err)
end

function HTTP11ClientProtocol:_tell(err)
  local exchange, response = self.exchange, self._response
  self.exchange, self._response = false, false
  if response then
    response:_ended(failureOf(err))
  elseif exchange then
    exchange:_failed(failureOf(err))
  end
end

---The exchange is not wanted any more, and is not told.
function HTTP11ClientProtocol:cancel()
  self.exchange, self._response = false, false
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
  local meaning = self.exchange and self:_meaning(reason)
  self._state = "closed"
  if self._sending then
    self._sending:forget()
    self._sending = false
  end
  self.host:gone(self)
  if meaning then self:_tell(meaning) end
end

-- ---- Receiving -----------------------------------------------------------------------------------

-- The response is there with all of its body, and the connection may be used again: nothing of it need be kept.
local function wholeReceived(self, exchange, head, status, whole)
  self.exchange, self._state, self._interim = false, "idle", 0
  self.used = true
  self.host:released(self)
  exchange:_responded(Response.whole(exchange, head, status, whole))
  if self._state == "idle" then self.host:resting(self) end
end

local function headReceived(self, data)
  local exchange, from, begun = self.exchange, 1, nil
  if self._buffer then
    data, begun = self._buffer .. data, self._head
    self._buffer, self._head = false, false
  end
  repeat
    local head, following, status, kind, keepAlive, whole = parseResponse(data, from, exchange.method, nil, begun)
    if not head then return self:_unparsable(following, status, data) end
    if not following then
      self._head, self._buffer = head, from == 1 and data or sub(data, from)
      return
    end
    if status >= 200 or status == 101 then
      if whole and exchange.plain then return wholeReceived(self, exchange, head, status, whole) end
      self._keepAlive = keepAlive and exchange.persistent
      return self:_responded(Response.make(self, exchange, head, status, kind), kind, data, following)
    end
    self._interim = self._interim + 1
    if self._interim > INTERIM then return self:_unparsable("too many interim responses", nil, data) end
    from, begun = following, nil
  until from > #data
end

function HTTP11ClientProtocol:dataReceived(data)
  local state = self._state
  if state == "waiting" then return headReceived(self, data) end
  if state == "body" then return self:_bodyReceived(data, 1) end
  -- Nobody asked: whatever it is, it must not be taken for the next response.
  if state == "idle" then self:_close() end
end

function HTTP11ClientProtocol:_unparsable(message, name, data)
  local err = errors.ParseError(("%s: %s"):format(message, ("%q"):format(data:sub(1, 60)):gsub("\n", "n")),
    { code = name })
  self:_fail(errors.ResponseFailed({ err }, self._response))
end

-- The head is complete, and the body begins at `from`.
function HTTP11ClientProtocol:_responded(response, kind, data, from)
  local exchange = self.exchange
  self._interim, self.deadline = 0, NEVER
  self._response, self._state = response, "body"
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
  self._response, self.exchange, self._decoder, self._left = false, false, false, false
  -- The consumer may hold up the last piece, but not the next exchange.
  if self._paused then self:resumeBody() end
  if self._keepAlive and not more and not self._sending then
    self._state, self.used = "idle", true
    self.host:released(self)
  elseif self._sending or more then
    self:_close()
  else
    self._state = "closed"
    self.transport:loseConnection()
  end
  response:_ended(DONE)
  if self._state == "idle" then self.host:resting(self) end
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
