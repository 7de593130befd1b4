-- SPDX-License-Identifier: MIT
-- channel.lua -- queues between threads: of the runtimes of one program, and of its workers.
-- A channel has room for a number of values, first in, first out. Who sends to a full one waits, and so does who
-- receives from an empty one. Any number of states on any threads may do either; each value is received once. Values
-- are copied as those for threads are (see twistlua.threads); a channel goes by reference, also in a table, so that a
-- question can bring the channel for its answer.
--
-- Where there is a reactor, sending and receiving return Deferreds. On a worker's thread they block instead, under
-- names that say so: sendBlocking and receiveBlocking.

local core     = require("twistlua.core").channel
local deferred = require("twistlua.core").deferred
local errors   = require "twistlua.error"
local workers  = require("twistlua.core").workers

if not workers.isWorker() then require "twistlua.reactor" end

---@class twistlua.Channel
local Channel = core.methods

---@class twistlua.channel
local channel = {}

---Make a channel. It lasts as long as any state, parcel or C program refers to it.
---@param capacity? integer values that it has room for, 1 or more; default 64
---@return twistlua.Channel
function channel.new(capacity)
  local made, message = core.new(capacity or 64)
  if not made then error("channel.new: " .. message, 2) end
  return made
end

---The channel that the host gave this runtime under `name`, by twl_runtime_share(). It is an error if there is none.
---@param name string
---@return twistlua.Channel
function channel.get(name)
  return core.shared(name) or error(("no channel is shared as '%s'"):format(name), 2)
end

local function failed(code, message)
  if code == "ECLOSED" then return errors.ChannelClosed() end
  if code == "ECANCELED" then return errors.ThreadPoolStopped() end
  if code == "ETIMEDOUT" then return require("twistlua.defer").TimeoutError() end
  return message
end

-- What cannot be copied, or is no channel, is the fault of the caller's caller.
local function checked(ok, ...)
  if not ok then error((...), 3) end
  return ...
end

-- With a reactor ------------------------------------------------------------------------------------

local function await(wait)
  local result = deferred.new(function() wait:cancel() end)
  wait:start(result)
  return result
end

---Send a copy of `value`. Fires with nil when it is in the channel: at once if there is room and nobody waits before,
---except that now and then it fires in the next turn, so that a loop of sending does not keep the reactor from
---everything else. Cancelled before, it is never sent. Fails with ChannelClosed. What cannot be copied is an error.
---@param value any
---@return twistlua.Deferred
function Channel:send(value)
  local sent, wait, code = checked(pcall(core.send, self, value, true))
  if sent then return deferred.succeed(nil) end
  if sent == nil then return deferred.fail(failed(code, wait)) end
  return await(wait)
end

---Receive the next value: now, or in the next turn, or when it comes. Cancelled before, it takes none. Fails with
---ChannelClosed once the channel is closed and empty.
---@return twistlua.Deferred value
function Channel:receive()
  local received, value, code = checked(pcall(core.receive, self, true))
  if received then return deferred.succeed(value) end
  if received == nil then return deferred.fail(failed(code, value)) end
  return await(value)
end

---Send a copy of `value` if it need not wait. Raises ChannelClosed.
---@param value any
---@return boolean sent
function Channel:trySend(value)
  local sent, message, code = checked(pcall(core.send, self, value, false))
  if sent == nil then error(failed(code, message), 0) end
  return sent
end

---Receive a value if one is there. Raises ChannelClosed once the channel is closed and empty.
---@return boolean received, any value
function Channel:tryReceive()
  local received, value, code = checked(pcall(core.receive, self, false))
  if received == nil then error(failed(code, value), 0) end
  return received, value
end

-- On a worker's thread ------------------------------------------------------------------------------

---On a worker's thread: send a copy of `value`, and wait until there is room. Raises ChannelClosed; ThreadPoolStopped
---when the pool of the thread is being stopped; TimeoutError.
---@param value any
---@param timeout? number seconds; default: without a bound
function Channel:sendBlocking(value, timeout)
  local sent, message, code = checked(pcall(core.blockingSend, self, value, timeout))
  if not sent then error(failed(code, message), 0) end
end

---On a worker's thread: wait for a value, and receive it. Raises as sendBlocking.
---@param timeout? number seconds; default: without a bound
---@return any value
function Channel:receiveBlocking(timeout)
  local received, value, code = checked(pcall(core.blockingReceive, self, timeout))
  if not received then error(failed(code, value), 0) end
  return value
end

return channel
