-- SPDX-License-Identifier: MIT
-- ends.lua -- protocols for datagrams that record what comes, and wait for it.
local assert   = require "luassert"
local defer    = require "twistlua.defer"
local protocol = require "twistlua.protocol"

local ends = {}

local Recorder = protocol.DatagramProtocol:extend("Recorder")
Recorder.noisy = false

function Recorder:init()
  self.received = {}   -- { data, addr, truncated }
  self.events = {}
  self._waiting = {}
end

function Recorder:_note(event)
  table.insert(self.events, event)
  for index = #self._waiting, 1, -1 do
    local waiting = self._waiting[index]
    if waiting.condition() then
      table.remove(self._waiting, index)
      waiting.fired:callback()
    end
  end
end

---@return twistlua.Deferred fired when `condition()` holds after an event, or now
function Recorder:when(condition)
  if condition() then return defer.succeed() end
  local fired = defer.Deferred()
  table.insert(self._waiting, { condition = condition, fired = fired })
  return fired
end

function Recorder:whenReceived(count)
  return self:when(function() return #self.received >= count end)
end

function Recorder:whenNoted(event)
  return self:when(function()
    for _, noted in ipairs(self.events) do
      if noted == event then return true end
    end
    return false
  end)
end

function Recorder:startProtocol() self:_note "start" end
function Recorder:stopProtocol() self:_note "stop" end
function Recorder:connectionRefused() self:_note "refused" end

function Recorder:connectionFailed(reason)
  self.failed = reason
  self:_note "failed"
end

function Recorder:datagramReceived(data, addr, truncated)
  table.insert(self.received, { data, addr, truncated })
  self:_note "datagram"
end

ends.Recorder = Recorder

ends.Echo = Recorder:extend("Echo")

function ends.Echo:datagramReceived(data, addr)
  self.transport:write(data, addr)
  Recorder.datagramReceived(self, data, addr)
end

---What `f(...)` raises.
function ends.raised(f, ...)
  local ok, problem = pcall(f, ...)
  assert.is_false(ok)
  return problem
end

---A path in /tmp that nothing has.
function ends.path()
  local path = os.tmpname()
  os.remove(path)
  return path
end

---Run a piece of Python beside the reactor.
---@return file* pipe of its output: reading it stops the reactor meanwhile
function ends.python(code)
  return assert.is_truthy(io.popen("timeout 20 python3 -c '" .. code:gsub("'", [['\'']]) .. "' 2>&1"))
end

return ends
