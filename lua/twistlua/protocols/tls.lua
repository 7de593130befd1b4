-- SPDX-License-Identifier: MIT
-- protocols/tls.lua -- TLS over any transport: a protocol that is the transport of another one. Real connections
-- have transport:startTLS, listenSSL and connectSSL, which are faster; this is for transports in memory, tunnels and
-- whatever else has the methods of a transport. It nests, and all of a transport's contract holds above it.
-- What is written in one turn shares records: it is encrypted by a call that the reactor makes later.

local core     = require "twistlua.core"
local Failure  = require("twistlua.failure").Failure
local errors   = require "twistlua.error"
local options  = require "twistlua.options"
local policies = require "twistlua.protocols.policies.wrapping"

local HIGH_WATER        = 65536   -- bytes that wait here and pause a push producer
local LINGER            = 5       -- seconds for the other side's close_notify
local HANDSHAKE_TIMEOUT = 30      -- seconds

---The protocol of the lower transport, and the transport of the wrapped protocol (Twisted: TLSMemoryBIOProtocol).
---@class twistlua.TLSMemoryBIOProtocol: twistlua.ProtocolWrapper
---@field TLS true
---@field disconnecting boolean
---@operator call(...): twistlua.TLSMemoryBIOProtocol
local TLSMemoryBIOProtocol = policies.ProtocolWrapper:extend("TLSMemoryBIOProtocol")

TLSMemoryBIOProtocol.TLS = true
TLSMemoryBIOProtocol.disconnecting = false
TLSMemoryBIOProtocol.disconnected = false

function TLSMemoryBIOProtocol:init(factory, wrappedProtocol)
  policies.ProtocolWrapper.init(self, factory, wrappedProtocol)
  -- An end below is not TLS's, which has its own.
  self.readConnectionLost, self.writeConnectionLost = nil, nil
end

function TLSMemoryBIOProtocol:makeConnection(transport)
  local factory = self.factory
  local session, message, code = core.tls.session(factory:_context(), factory.isClient, factory.hostname)
  if not session then error(errors.SSLError(message, { code = code }), 0) end
  self._session = session
  self._established = false
  self._waiting = 0             -- bytes written that are not encrypted yet
  self._reason = nil            -- of connectionLost, where the lower transport does not know it
  self._paused = false
  self._ended = false           -- the other side's close_notify came
  self._shutdown = false        -- our end was asked for
  self._endSent = false
  self._producer, self._streaming, self._producerPaused = nil, nil, false
  self._flushing, self._resuming, self._lingering, self._shaking = nil, nil, nil, nil   -- delayed calls
  self.transport = transport
  self.connected = true
  factory:registerProtocol(self)
  if factory.handshakeTimeout > 0 then self:_limitHandshake() end
  self.wrappedProtocol:makeConnection(self)
  self:_advance()
end

function TLSMemoryBIOProtocol:_limitHandshake()
  self._shaking = self.factory:callLater(self.factory.handshakeTimeout, function()
    self._shaking = nil
    if self.disconnected then return end
    self:_abort(errors.SSLError("the TLS handshake took too long", { code = "ETLS" }))
  end)
end

-- ---- From below ----------------------------------------------------------------------------

function TLSMemoryBIOProtocol:dataReceived(data)
  if self.disconnected then return end
  self._session:feed(data)
  self:_advance()
end

-- Decrypt, tell, and send what that made.
function TLSMemoryBIOProtocol:_advance()
  if not self._established then self:_shakeHands() end
  if self._established then self:_deliver() end
  if not self.disconnected then self:_flush() end
end

function TLSMemoryBIOProtocol:_shakeHands()
  local done, message, code = self._session:handshake()
  if done == nil then return self:_failed(message, code) end
  self._established = done
  if not done then return end
  if self._shaking then self._shaking:cancel() end
  self._shaking = nil
  self.negotiatedProtocol = self._session:protocol()
  local wrapped = self.wrappedProtocol
  if wrapped.handshakeCompleted then wrapped:handshakeCompleted() end
end

function TLSMemoryBIOProtocol:_deliver()
  while not self.disconnected and not self._ended and (not self._paused or self.disconnecting) do
    local data, message, code = self._session:read()
    if not data then
      if code == "EOF" then return self:_end() end
      return self:_failed(message, code)
    end
    if data == "" then return end
    if not self.disconnecting then self.wrappedProtocol:dataReceived(data) end
  end
end

-- The other side's close_notify.
function TLSMemoryBIOProtocol:_end()
  local wrapped = self.wrappedProtocol
  self._ended = true
  if wrapped.readConnectionLost and not self.disconnecting and not self._endSent then
    return wrapped:readConnectionLost()
  end
  self._session:shutdown()
  self:_send()
  self:_finish(Failure(errors.ConnectionDone()))
end

function TLSMemoryBIOProtocol:_failed(message, code)
  self:_send()   -- the alert
  self:_finish(Failure(errors.SSLError(message, { code = code })))
end

-- The lower transport is to end; its connectionLost passes the reason on.
function TLSMemoryBIOProtocol:_finish(reason)
  self._reason = self._reason or reason
  self.disconnecting, self.disconnected = true, true
  if self._producer then self.transport:unregisterProducer() end
  self.transport:loseConnection()
end

function TLSMemoryBIOProtocol:connectionLost(reason)
  local clean = reason:check(errors.ConnectionDone) and not self.disconnecting
  if clean and not self._ended then
    reason = Failure(errors.ConnectionLost("the other side ended the connection without a TLS close_notify"))
  end
  self.connected, self.disconnected, self.disconnecting = false, true, true
  for _, name in ipairs { "_flushing", "_resuming", "_lingering", "_shaking" } do
    if self[name] then self[name]:cancel() end
    self[name] = nil
  end
  local producer = self._producer
  self._producer = nil
  self.factory:unregisterProtocol(self)
  if producer then producer:stopProducing() end
  self.wrappedProtocol:connectionLost(self._reason or reason)
  self._session:close()
end

-- ---- To below -------------------------------------------------------------------------------

function TLSMemoryBIOProtocol:_send()
  local ciphertext = self._session:take()
  if ciphertext ~= "" then self.transport:write(ciphertext) end
end

-- Encrypt what waits, then do what waited for that.
function TLSMemoryBIOProtocol:_flush()
  if self._flushing then self._flushing:cancel() end
  self._flushing = nil
  local flushed, message, code = self._session:flush()
  if not flushed then return self:_failed(message, code) end
  self:_send()
  if not self._established then return self:_abortIfIdle() end
  self._waiting = 0
  if self._producer then return self:_askProducer() end
  if self.disconnecting then
    self:_sayGoodbye()
  elseif self._shutdown and not self._endSent then
    self:_sendEnd()
  end
end

-- Our close_notify, then a moment for theirs.
function TLSMemoryBIOProtocol:_sayGoodbye()
  self._session:shutdown()
  self:_send()
  local function finish() self:_finish(Failure(errors.ConnectionDone())) end
  if self.disconnected then return end
  if self._ended then return finish() end
  self._lingering = self._lingering or self.factory:callLater(LINGER, function()
    self._lingering = nil
    finish()
  end)
  if self._paused then self.transport:resumeProducing() end
  self:_deliver()
end

-- loseConnection before the handshake is done, and with nothing to send.
function TLSMemoryBIOProtocol:_abortIfIdle()
  if self.disconnecting and self._waiting == 0 and not self._producer then self:abortConnection() end
end

function TLSMemoryBIOProtocol:_sendEnd()
  local wrapped = self.wrappedProtocol
  self._endSent = true
  self._session:shutdown()
  self:_send()
  if wrapped.writeConnectionLost then wrapped:writeConnectionLost() end
  if self._ended and not self.disconnected then self:_finish(Failure(errors.ConnectionDone())) end
end

function TLSMemoryBIOProtocol:_flushLater()
  if not self._flushing and not self.disconnected then
    self._flushing = self.factory:callLater(0, function()
      self._flushing = nil
      if not self.disconnected then self:_flush() end
    end)
  end
end

-- ---- As a transport ------------------------------------------------------------------------------

---@param data string
function TLSMemoryBIOProtocol:write(data)
  if type(data) ~= "string" then error("write: data must be a string, not " .. type(data), 2) end
  if self.disconnected or self._shutdown or data == "" or self.disconnecting and not self._producer then return end
  local written, message = self._session:write(data)
  if not written then error("cannot write: " .. message, 2) end
  self._waiting = self._waiting + #data
  self:_flushLater()
  if self._streaming and not self._producerPaused and self._waiting > HIGH_WATER then
    self._producerPaused = true
    self._producer:pauseProducing()
  end
end

---@param pieces string[]
function TLSMemoryBIOProtocol:writeSequence(pieces)
  self:write(table.concat(pieces))
end

function TLSMemoryBIOProtocol:loseConnection()
  if self.disconnecting then return end
  self.disconnecting = true
  self:_flushLater()
end

function TLSMemoryBIOProtocol:loseWriteConnection()
  if self.disconnecting or self._shutdown then return end
  self._shutdown = true
  self:_flushLater()
end

function TLSMemoryBIOProtocol:abortConnection()
  if not self.disconnected then self:_abort(errors.ConnectionAborted()) end
end

function TLSMemoryBIOProtocol:_abort(reason)
  self._reason = Failure(reason)
  self.disconnecting, self.disconnected = true, true
  self.transport:abortConnection()
end

function TLSMemoryBIOProtocol:pauseProducing()
  self._paused = true
  self.transport:pauseProducing()
end

function TLSMemoryBIOProtocol:resumeProducing()
  self._paused = false
  if self.disconnected then return end
  self.transport:resumeProducing()
  self._resuming = self._resuming or self.factory:callLater(0, function()
    self._resuming = nil
    if not self.disconnected and not self._paused then self:_advance() end
  end)
end

function TLSMemoryBIOProtocol:stopProducing() self:loseConnection() end

-- ---- Producers ---------------------------------------------------------------------------------

-- What the lower transport has for a producer: it pauses while that has too much to send.
function TLSMemoryBIOProtocol:_lowerProducer()
  return {
    pauseProducing = function()
      self._lowerPaused = true
      if self._streaming and not self._producerPaused then
        self._producerPaused = true
        self._producer:pauseProducing()
      end
    end,
    resumeProducing = function()
      self._lowerPaused = false
      self:_flushLater()
    end,
    stopProducing = function() end,   -- connectionLost tells the real one
  }
end

---@param producer table
---@param streaming boolean
function TLSMemoryBIOProtocol:registerProducer(producer, streaming)
  if self._producer then error("a producer is already registered; unregister it first", 2) end
  if self.disconnected then return producer:stopProducing() end
  self._producer, self._streaming, self._producerPaused = producer, streaming, false
  self._lowerPaused = false
  self.transport:registerProducer(self:_lowerProducer(), true)
  if not streaming then self:_flushLater() end
end

function TLSMemoryBIOProtocol:unregisterProducer()
  if not self._producer then return end
  self._producer, self._streaming = nil, nil
  self.transport:unregisterProducer()
  self:_flushLater()
end

-- All is encrypted.
function TLSMemoryBIOProtocol:_askProducer()
  if self._lowerPaused or self._streaming and not self._producerPaused then return end
  self._producerPaused = false
  self._producer:resumeProducing()
end

-- ---- Looking -------------------------------------------------------------------------------------

---@return twistlua.ssl.Certificate|nil
function TLSMemoryBIOProtocol:getPeerCertificate()
  local der = self._session:peerCertificate()
  return der and require("twistlua.ssl").Certificate.load(der, "DER")
end

---@return string|nil version
function TLSMemoryBIOProtocol:getTLSVersion() return self._session:version() end

---@return string|nil cipher
function TLSMemoryBIOProtocol:getTLSCipher() return self._session:cipher() end

---@return boolean
function TLSMemoryBIOProtocol:isTLSResumed() return self._session:resumed() end

---TLS inside TLS is another factory around the wrapped one.
function TLSMemoryBIOProtocol:startTLS()
  error("startTLS: this transport speaks TLS; wrap the factory in another TLSMemoryBIOFactory", 2)
end

---Puts TLS between transports and the protocols of another factory (Twisted: TLSMemoryBIOFactory).
---@class twistlua.TLSMemoryBIOFactory: twistlua.WrappingFactory
---@field isClient boolean
---@field hostname string|nil
---@operator call(...): twistlua.TLSMemoryBIOFactory
local TLSMemoryBIOFactory = policies.WrappingFactory:extend("TLSMemoryBIOFactory")

TLSMemoryBIOFactory.protocol = TLSMemoryBIOProtocol

local OPTIONS = { hostname = "string", clock = "table", handshakeTimeout = "number" }

---@param contextFactory twistlua.ssl.CertificateOptions or any object with getContext() and perhaps hostname
---@param isClient boolean the role in the handshake
---@param wrappedFactory twistlua.Factory
---@param given? { hostname?: string, clock?: twistlua.Clock, handshakeTimeout?: number } hostname for a client whose
---  contextFactory has none; handshakeTimeout in seconds, default 30, 0 for none
function TLSMemoryBIOFactory:init(contextFactory, isClient, wrappedFactory, given)
  given = options.check("TLSMemoryBIOFactory", given, OPTIONS, 4)
  if type(contextFactory) ~= "table" or not contextFactory.getContext then
    error("TLSMemoryBIOFactory: a context factory (see twistlua.ssl) expected, got " .. type(contextFactory), 3)
  end
  policies.WrappingFactory.init(self, wrappedFactory)
  self.isClient = isClient
  self.hostname = isClient and (given.hostname or contextFactory.hostname) or nil
  self.clock = given.clock
  self.handshakeTimeout = given.handshakeTimeout or HANDSHAKE_TIMEOUT
  self._contextFactory = contextFactory
end

function TLSMemoryBIOFactory:_context()
  return self._contextFactory:getContext()
end

return { TLSMemoryBIOProtocol = TLSMemoryBIOProtocol, TLSMemoryBIOFactory = TLSMemoryBIOFactory }
