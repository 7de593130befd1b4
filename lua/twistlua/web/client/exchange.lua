-- SPDX-License-Identifier: MIT
-- web/client/exchange.lua -- a request on its way to its response: it waits for a connection, is sent, and may be sent
-- again. It is one object with the request, since there is one for each.
-- Invariant: it has `_result` until that has fired; `_connection` while that is ours; `_place` while it waits in its
-- host's queue, `_connecting` while a connection is made for it.

local Request = require "twistlua.web.client.request"
local base    = require "twistlua.error"
local errors  = require "twistlua.web.client.errors"
local guard   = require "twistlua.guard"

local callback = require("twistlua.core").deferred.methods.callback

---@class twistlua.web.client.Exchange: twistlua.web.Request
local Exchange = Request:extend("Request")

Exchange._fresh = false   -- it is to have a new connection

-- Cancelled: it is the canceller of its Deferred itself, to spare a function for each.
function Exchange:__call()
  local connection = self._connection
  self._result, self._connection = false, false
  if self._place then self._host:withdraw(self) end
  if self._connecting then self._connecting:cancel() end
  if connection then connection:cancel() end
end

-- ---- What hosts tell -------------------------------------------------------------------------------

function Exchange:_connected(connection)
  connection:begin(self)
  if not self.upload then return self:_sent() end
  connection.deadline = math.huge   -- however long it takes
  local ok, failure = guard.call(connection.upload, connection, self.upload)
  if ok then return end
  connection:cancel()
  self:_failed(failure)
end

-- The request is on its way, and the time for the response begins.
function Exchange:_sent()
  local connection = self._connection
  connection.host:watch(connection, self.headTimeout)
end

function Exchange:_timedOut()
  self._connection:cancel()
  self:_failed(require("twistlua.failure").Failure(base.TimeoutError(
    ("%s: no response within %g s"):format(self.uri.netloc, self.headTimeout))))
end

-- ---- What connections tell -------------------------------------------------------------------------

function Exchange:_responded(response)
  local result = self._result
  self._result, self._connection = false, false
  callback(result, response)
end

-- A connection that was idle may have been closed by the other side just before the request came: what may be sent
-- twice is, once, on a new connection.
function Exchange:_mayRetry(connection, failure)
  if not connection or not connection.used or not connection.host.pool.retryAutomatically then return false end
  if self._fresh or not self:isRetriable() then return false end
  return failure:check(errors.ResponseNeverReceived, errors.RequestTransmissionFailed, errors.RequestNotSent) ~= nil
end

function Exchange:_failed(failure)
  local connection, result = self._connection, self._result
  self._connection = false
  if not result then return end
  if self:_mayRetry(connection, failure) then
    self._fresh = true
    return connection.host.pool:_serveAgain(connection.host, self)
  end
  self._result = false
  result:errback(failure)
end

return Exchange
