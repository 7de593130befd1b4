-- SPDX-License-Identifier: MIT
-- utils.lua -- run a program to its end and have what it said.

local defer    = require "twistlua.defer"
local errors   = require "twistlua.error"
local options  = require "twistlua.options"
local protocol = require "twistlua.protocol"

local OPTIONS = { env = "any", path = "string", reactor = "any" }
local OUTPUT_OPTIONS = { env = "any", path = "string", reactor = "any", errortoo = "boolean" }
local BOTH_OPTIONS = { env = "any", path = "string", reactor = "any", stdinBytes = "string" }

---Collects what the program writes; `done` is nil once it has fired.
local Collector = protocol.ProcessProtocol:extend("Collector")

function Collector:init(errortoo)
  self.out, self.err = {}, {}
  self.errortoo = errortoo   -- errors are output too
  self.done = defer.Deferred(function() self:_cancel() end)
end

function Collector:fire(method, outcome)
  local done = self.done
  if not done then return end
  self.done = nil
  done[method](done, outcome)
end

-- The Deferred fails by itself with CancelledError.
function Collector:_cancel()
  self.done = nil
  if not self.transport then return end
  self.transport:loseConnection()
  if self.transport.pid then self.transport:signalProcess("KILL") end
end

function Collector:outReceived(data) table.insert(self.out, data) end
function Collector:errReceived(data) table.insert(self.errortoo and self.out or self.err, data) end

---Fails on the first word on standard error.
local StrictCollector = Collector:extend("StrictCollector")

function StrictCollector:errReceived(data)
  if self.errortoo then return Collector.errReceived(self, data) end
  if not self.done then return end
  local unexpected = errors.UnexpectedErrorOutput(("got stderr: %q"):format(data))
  unexpected.processEnded = defer.Deferred()
  self.unexpected = unexpected.processEnded
  self:fire("errback", unexpected)
  self.transport:loseConnection()
end

function StrictCollector:processEnded(reason)
  self:fire("callback", table.concat(self.out))
  if self.unexpected then self.unexpected:callback(reason.value) end
end

local ValueGetter = Collector:extend("ValueGetter")

function ValueGetter:processEnded(reason)
  self:fire("callback", reason.value.exitCode)
end

local EverythingGetter = Collector:extend("EverythingGetter")

function EverythingGetter:processEnded(reason)
  local ended, out, err = reason.value, table.concat(self.out), table.concat(self.err)
  if ended.exitCode then return self:fire("callback", { out, err, ended.exitCode }) end
  ended[1], ended[2], ended[3] = out, err, ended.signal
  self:fire("errback", reason)
end

local function run(collector, executable, args, given, input)
  local done = collector.done
  local arguments = { executable }
  table.move(args or {}, 1, #(args or {}), 2, arguments)
  local reactor = given.reactor or require "twistlua.reactor"
  defer.execute(function()
    local transport = reactor:spawnProcess(collector, executable, arguments, { env = given.env, path = given.path })
    if input then transport:write(input) end
    if input then transport:closeStdin() end
  end):addErrback(function(failure) collector:fire("errback", failure) end)
  return done
end

local utils = {}

---The standard output of a program, whatever its exit code. What it writes to standard error fails it with
---UnexpectedErrorOutput at once, whose `processEnded` is a Deferred of the ProcessDone or ProcessTerminated to come;
---with `errortoo` it is output as well. A program that cannot be run fails it with SpawnError. Cancelling kills it.
---@param executable string
---@param args? string[] without the program's own name
---@param given? { env?: table|true, path?: string, reactor?: table, errortoo?: boolean } as for spawnProcess
---@return twistlua.Deferred output
function utils.getProcessOutput(executable, args, given)
  given = options.check("getProcessOutput", given, OUTPUT_OPTIONS)
  return run(StrictCollector(given.errortoo), executable, args, given)
end

---The exit code of a program; nil if a signal ended it.
---@param executable string
---@param args? string[]
---@param given? { env?: table|true, path?: string, reactor?: table }
---@return twistlua.Deferred exitCode
function utils.getProcessValue(executable, args, given)
  given = options.check("getProcessValue", given, OPTIONS)
  return run(ValueGetter(), executable, args, given)
end

---What a program wrote, and its exit code: { out, err, code }. One that a signal ended fails it with a
---ProcessTerminated that has { out, err, signal } in it.
---@param executable string
---@param args? string[]
---@param given? { env?: table|true, path?: string, reactor?: table, stdinBytes?: string } stdinBytes: its input
---@return twistlua.Deferred results
function utils.getProcessOutputAndValue(executable, args, given)
  given = options.check("getProcessOutputAndValue", given, BOTH_OPTIONS)
  return run(EverythingGetter(), executable, args, given, given.stdinBytes)
end

return utils
