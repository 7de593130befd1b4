-- SPDX-License-Identifier: MIT
-- stdio.lua -- standard input and output, or two other descriptors, as the one connection of a protocol.
-- The mode of a terminal is shared with the shell: descriptors that were blocking are made so again when both
-- are closed, at the end of the program too, but not when a signal kills it.

local core    = require "twistlua.core"
local Object  = require("twistlua.class").Object
local isA     = require("twistlua.class").isA
local Failure = require("twistlua.failure").Failure
local Writer  = require "twistlua.reactor.writer"
local address = require "twistlua.address"
local errors  = require "twistlua.error"
local guard   = require "twistlua.guard"
local log     = require "twistlua.log"
local network = require "twistlua.reactor.network"
local options = require "twistlua.options"

---A transport.
---@class twistlua.StandardIO: twistlua.Object
---@field protocol twistlua.Protocol|nil until the connection is lost
---@field connected boolean
---@field disconnecting boolean loseConnection was called, or the connection is lost
---@field disconnected boolean
---@operator call(...): twistlua.StandardIO
local StandardIO = Object:extend("StandardIO")

local OPTIONS = { stdin = "integer", stdout = "integer", reactor = "any" }

local function refuse(what, fd, message)
  if isA(message, errors.PermissionError) then error(message, 0) end
  error(("StandardIO: cannot use descriptor %d for %s: %s"):format(fd, what, message), 0)
end

---The connection is made when this returns; `protocol.transport` is it. At the end of the input, a protocol without
---`readConnectionLost` loses the connection, once what it has written is out.
---@param protocol twistlua.Protocol
---@param given? { stdin?: integer, stdout?: integer, reactor?: table } descriptors, which it owns; default 0 and 1
function StandardIO:init(protocol, given)
  given = options.check("StandardIO", given, OPTIONS, 4)
  local stdin, stdout = given.stdin or 0, given.stdout or 1
  if not given.reactor then require "twistlua.reactor" end   -- which opens it
  self.protocol = protocol
  self.connected, self.disconnecting, self.disconnected = true, false, false
  self.producer = nil
  self._halfCloses = protocol.readConnectionLost ~= nil
  self._reason = nil    -- why it ends, if not cleanly
  local opened, writer = pcall(Writer, stdout,
    function(reason) self:_writeLost(reason) end, function(failure) self:_fail(failure) end)
  if not opened then refuse("output", stdout, writer) end
  local reader, message, code = core.pipe.open(stdin, "r", function(data) self:_tell("dataReceived", data) end,
    function(...) self:_readLost(network.reasonOf(...)) end)
  self._writer, self._reader = writer, reader   -- each until it is closed
  if not reader then
    self:_abandon(writer)
    refuse("input", stdin, errors.permission(code, message) or message)
  end
  reader:resume()
  local ok, failure = guard.call(protocol.makeConnection, protocol, self)
  if not ok then self:_raised(failure) end
end

-- Nobody is to hear of a connection that was not made.
function StandardIO:_abandon(writer)
  self.protocol, self.disconnected = nil, true
  writer:abort()
end

function StandardIO:_raised(failure)
  log.err(failure, "Unhandled Error")
  self:_fail(failure)
end

function StandardIO:_tell(method, ...)
  local ok, failure = guard.call(self.protocol[method], self.protocol, ...)
  if not ok then self:_raised(failure) end
end

-- Close both at once; the first reason counts.
function StandardIO:_fail(reason)
  self._reason = self._reason or reason
  self.disconnecting = true
  if self._reader then self._reader:abort() end
  if self._writer then self._writer:abort() end
end

-- The protocol hears when both are closed.
function StandardIO:_maybeLost(reason)
  if self._reader or self._writer or self.disconnected then return end
  self.connected, self.disconnecting, self.disconnected = false, true, true
  local protocol = self.protocol
  self.protocol = nil
  guard.run("Unhandled error in connectionLost", protocol.connectionLost, protocol, self._reason or reason)
end

local function isClean(reason)
  return reason:check(errors.ConnectionDone) ~= nil
end

function StandardIO:_readLost(reason)
  self._reader = nil
  if self.disconnected then return end
  if not isClean(reason) then
    self:_fail(reason)
  elseif self._halfCloses and not self.disconnecting then
    self:_tell("readConnectionLost")
  else
    self:loseConnection()
  end
  self:_maybeLost(reason)
end

function StandardIO:_writeLost(reason)
  self._writer = nil
  if self.disconnected then return end
  if not isClean(reason) then
    self:_fail(reason)
  elseif self.disconnecting then
    if self._reader then self._reader:close() end
  elseif self.protocol.writeConnectionLost then
    self:_tell("writeConnectionLost")
  end
  self:_maybeLost(reason)
end

---@param data string dropped once the output is closed
function StandardIO:write(data)
  if type(data) ~= "string" then error("data must be a string, not " .. type(data), 2) end
  if self._writer then self._writer:write(data) end
end

---@param strings string[]
function StandardIO:writeSequence(strings)
  if self._writer then self._writer:writeSequence(strings) end
end

---Close the output when all is written; reading goes on.
function StandardIO:loseWriteConnection()
  if self._writer then self._writer:close() end
end

---Read no more, write what is left, and close both.
function StandardIO:loseConnection()
  self.disconnecting = true
  if self._reader then self._reader:pause() end
  if self._writer then
    self._writer:close()
  elseif self._reader then
    self._reader:close()
  end
end

---Close both at once: what is not written yet is lost.
function StandardIO:abortConnection()
  self:_fail(Failure(errors.ConnectionAborted()))
end

function StandardIO:pauseProducing()
  if self._reader then self._reader:pause() end
end

function StandardIO:resumeProducing()
  if self._reader and not self.disconnecting then self._reader:resume() end
end

StandardIO.stopProducing = StandardIO.loseConnection

---@param producer table
---@param streaming boolean a push producer
function StandardIO:registerProducer(producer, streaming)
  if not self._writer then return producer:stopProducing() end
  self._writer:registerProducer(producer, streaming)
end

function StandardIO:unregisterProducer()
  if self._writer then self._writer:unregisterProducer() end
end

---@return twistlua.PipeAddress
function StandardIO.getHost() return address.PipeAddress() end

---@return twistlua.PipeAddress
function StandardIO.getPeer() return address.PipeAddress() end

function StandardIO:__tostring()
  return ("<StandardIO (%s)>"):format(self.disconnected and "closed" or self.disconnecting and "closing" or "open")
end

return { StandardIO = StandardIO }
