-- SPDX-License-Identifier: MIT
-- protocol/reconnecting.lua -- a client factory that connects again, later and later each time.

local class   = require "twistlua.class"
local errors  = require "twistlua.error"
local log     = require "twistlua.log"
local factory = require "twistlua.protocol.factory"

local function normal(mean, deviation)
  local radius = math.sqrt(-2 * math.log(1 - math.random()))
  return mean + deviation * radius * math.cos(2 * math.pi * math.random())
end

---Connects again after each failure and each loss. The delay grows until the user's code, when it
---finds the connection to be of use, calls `resetDelay`.
---@class twistlua.ReconnectingClientFactory: twistlua.ClientFactory
---@field initialDelay number seconds before the first retry, times `factor`
---@field maxDelay number seconds, at most
---@field factor number what the delay is multiplied by for each retry
---@field jitter number deviation of the delay, as a share of it; 0 for none
---@field maxRetries integer|nil give up after so many in a row; nil for never
---@field retries integer how many in a row so far
---@field delay number seconds, without jitter, that the last retry waited
---@field clock twistlua.Clock|nil in place of the reactor
---@field random fun(mean: number, deviation: number): number draws the jitter
---@field connector twistlua.Connector|nil the one that failed last
local ReconnectingClientFactory = factory.ClientFactory:extend("ReconnectingClientFactory")

ReconnectingClientFactory.initialDelay = 1.0
ReconnectingClientFactory.maxDelay     = 3600
ReconnectingClientFactory.factor       = math.exp(1)
ReconnectingClientFactory.jitter       = 0.1196
ReconnectingClientFactory.delay        = ReconnectingClientFactory.initialDelay
ReconnectingClientFactory.retries      = 0
ReconnectingClientFactory.random       = normal
ReconnectingClientFactory._trying      = true
-- _call: the delayed call of a retry that is due later

function ReconnectingClientFactory:clientConnectionFailed(connector, _reason)
  if not self._trying then return end
  self.connector = connector
  self:retry()
end

ReconnectingClientFactory.clientConnectionLost = ReconnectingClientFactory.clientConnectionFailed

function ReconnectingClientFactory:_say(format, ...)
  if self.noisy then log.msg(format:format(...)) end
end

---Connect again after the next delay, unless `stopTrying` or `maxRetries` forbids it.
---@param connector? twistlua.Connector the one to use; default is the one that failed last
function ReconnectingClientFactory:retry(connector)
  connector = connector or self.connector
  if not self._trying then
    return self:_say("%s: not retrying, as it was told to stop", self:logPrefix())
  elseif not connector then
    error("retry: there is no connector yet; pass one", 2)
  elseif self.maxRetries and self.retries >= self.maxRetries then
    return self:_say("%s: giving up after %d retries", self:logPrefix(), self.retries)
  end
  self.retries = self.retries + 1
  self.delay = math.min(self.delay * self.factor, self.maxDelay)
  local wait = math.max(0, self.random(self.delay, self.delay * self.jitter))
  self:_say("%s: retrying %s in %.2f seconds", self:logPrefix(), connector:getDestination(), wait)
  local clock = self.clock or require "twistlua.reactor"
  self._call = clock:callLater(wait, function()
    self._call = nil
    connector:connect()
  end)
end

---End it: no retry that waits, no attempt that runs, and none later.
function ReconnectingClientFactory:stopTrying()
  self._trying = false
  if self._call then
    self._call:cancel()
    self._call = nil
  end
  if not self.connector then return end
  local stopped, failed = pcall(self.connector.stopConnecting, self.connector)
  if not stopped and not class.isA(failed, errors.NotConnectingError) then error(failed, 0) end
end

---The connection is of use: the next retry, when there is one, comes soon again.
function ReconnectingClientFactory:resetDelay()
  self.delay = self.initialDelay
  self.retries = 0
  self._trying = true
end

return { ReconnectingClientFactory = ReconnectingClientFactory }
