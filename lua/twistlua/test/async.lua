-- SPDX-License-Identifier: MIT
-- test/async.lua -- tests that wait: a test's body runs as a coroutine on the real reactor, and whatever it
-- leaves behind, open or unsaid, fails it.

local core    = require "twistlua.core"
local defer   = require "twistlua.defer"
local errors  = require "twistlua.error"
local log     = require "twistlua.log"
local network = require "twistlua.reactor.network"
local options = require "twistlua.options"
local reactor = require "twistlua.reactor"
local task    = require "twistlua.task"

local DEFAULT_TIMEOUT = 10   -- seconds
local SETTLING_TURNS = 50    -- closing takes a few turns: of our side, the kernel, the other side

local keptOpen = {}          -- what a body with `keep` left open for the tests: object → true
local logged = {}            -- events with an error that nobody has flushed
local watching = false

local function noteErrors(event)
  if event.isError or event.failure then logged[#logged + 1] = event end
end

local function matches(event, classes)
  if #classes == 0 then return true end
  return event.failure ~= nil and event.failure:check(table.unpack(classes)) ~= nil
end

---Take the errors that were logged in this test, so that they do not fail it.
---@param ... table|string classes; none takes all
---@return twistlua.Failure[]|string[] the Failures, or the texts of errors logged without one
local function flushLoggedErrors(...)
  collectgarbage()
  collectgarbage()
  core.reactor.reportPending()
  local classes, flushed, kept = { ... }, {}, {}
  for _, event in ipairs(logged) do
    if matches(event, classes) then
      flushed[#flushed + 1] = event.failure or event.text
    else
      kept[#kept + 1] = event
    end
  end
  logged = kept
  return flushed
end

-- Where a test made what it may leave behind: object → "file:line"; and for its connections the factory that
-- it gave to a port or connector.
local made = setmetatable({}, { __mode = "k" })

-- The nearest caller that is not of ours.
local function callersLine()
  for level = 3, 100 do
    local frame = debug.getinfo(level, "Sl")
    if not frame then return "?" end
    if frame.what ~= "C" and not frame.short_src:find("twistlua/", 1, true) then
      return ("%s:%d"):format(frame.short_src, frame.currentline)
    end
  end
end

-- While a test runs, the reactor's methods that make something note the line.
local function noteLines()
  for _, name in ipairs { "callLater", "listenTCP", "listenUNIX", "listenSSL", "connectTCP", "connectUNIX",
                          "connectSSL", "adoptStreamPort", "adoptStreamConnection", "onSignal", "listenUDP",
                          "listenMulticast", "listenUNIXDatagram", "connectUNIXDatagram", "adoptDatagramPort",
                          "spawnProcess" } do
    local make = reactor[name]
    rawset(reactor, name, function(...)
      local ok, object = pcall(make, ...)
      -- A text is blamed on the caller's line, where it would be without this function.
      if not ok then error(object, type(object) == "string" and 2 or 0) end
      local line = callersLine()
      made[object] = line
      for i = 1, select("#", ...) do
        local argument = select(i, ...)
        if type(argument) == "table" and argument.buildProtocol then made[argument] = line end
      end
      return object
    end)
  end
end

-- From the first test on, errors are for the tests, not for stderr.
local function watch()
  if watching then return end
  watching = true
  noteLines()
  log.publisher:beginLoggingAt(noteErrors)
end

local function everythingOpen()
  local left = {}
  for port in pairs(network.ports) do left[#left + 1] = { port, port.stopListening } end
  for connector in pairs(network.connecting) do left[#left + 1] = { connector, connector.stopConnecting } end
  for _, transport in ipairs(core.transport.live()) do left[#left + 1] = { transport, transport.abortConnection } end
  for _, pipe in ipairs(core.pipe.live()) do left[#left + 1] = { pipe, pipe.abort } end
  for _, process in ipairs(core.process.live()) do
    left[#left + 1] = { process, function() process:signal("SIGKILL") end }
  end
  for _, call in ipairs(reactor:getDelayedCalls()) do left[#left + 1] = { call, call.cancel } end
  for handle in pairs(reactor._signalHandles or {}) do left[#left + 1] = { handle, handle.cancel } end
  for _, lookup in ipairs(core.resolver.live()) do left[#left + 1] = { lookup, lookup.cancel } end
  for _, wait in ipairs(core.channel.live()) do left[#left + 1] = { wait, wait.cancel } end
  if core.workers.pending() > 0 then left[#left + 1] = { "a call on a thread", function() end } end
  for _, running in ipairs(task.all()) do left[#left + 1] = { running, running.cancel } end
  for _, reader in ipairs(reactor:getReaders()) do
    left[#left + 1] = { reader, function() reactor:removeReader(reader) end }
  end
  for _, writer in ipairs(reactor:getWriters()) do
    left[#left + 1] = { writer, function() reactor:removeWriter(writer) end }
  end
  return left
end

local function open()
  local left = {}
  for _, one in ipairs(everythingOpen()) do
    if not keptOpen[one[1]] then left[#left + 1] = one end
  end
  return left
end

local function settle()
  for _ = 1, SETTLING_TURNS do
    if #open() == 0 then break end
    reactor:iterate(0.002)
  end
  reactor:iterate(0)
end

local function lineOf(object)
  local protocol = type(object) == "userdata" and object.protocol
  return made[object] or protocol and protocol.factory and made[protocol.factory]
end

-- What is left open is named, and then closed: the next test begins with nothing.
local function takeLeftovers()
  settle()
  local names = {}
  for _, leftover in ipairs(open()) do
    local line = lineOf(leftover[1])
    names[#names + 1] = tostring(leftover[1]) .. (line and " made at " .. line or "")
    pcall(leftover[2], leftover[1])
  end
  if #names > 0 then settle() end
  return names
end

local function complain(problems, what, list)
  if #list > 0 then problems[#problems + 1] = what .. ":\n  " .. table.concat(list, "\n  ") end
end

local function describeErrors(list)
  local texts = {}
  for i, entry in ipairs(list) do
    texts[i] = type(entry) == "string" and entry or entry:getTraceback()
  end
  return texts
end

local function run(timeout, body, ...)
  local outcome, expired, thread
  local waiting = defer.run(function(...)
    thread = coroutine.running()
    return body(...)
  end, ...)
  waiting:addBoth(function(result)
    outcome = { result }
    if reactor.running then reactor:crash() end
  end)
  if outcome then return outcome[1] end
  local timer = reactor:callLater(timeout, function()
    expired = ("not done after %g s; it was waiting here:\n%s"):format(timeout, debug.traceback(thread))
    pcall(waiting.cancel, waiting)
    if not outcome then reactor:crash() end
  end)
  reactor:run { installSignalHandlers = false }
  if timer:active() then timer:cancel() end
  if expired then error(errors.TimeoutError(expired)) end
  return outcome[1]
end

-- What is still there of those that were kept, when others are to be.
local function takeKept()
  keptOpen = {}
  return takeLeftovers()
end

local function keepOpen()
  for _, one in ipairs(open()) do keptOpen[one[1]] = true end
end

---Make a test that may await: for `it`, `before_each` and the like. It fails if it leaves a connection, port,
---timer, reader or writer behind, or an error was logged that it did not flush.
---@param body function run in a coroutine; may return a Deferred
---@param given? { timeout?: number, keep?: boolean } timeout in seconds, default 10; keep, for `before_each`: what the
---  body leaves open is for the tests, and must be closed before it runs again
---@return function
local function async(body, given)
  given = options.check("async", given, { timeout = "number", keep = "boolean" })
  local timeout = given.timeout or DEFAULT_TIMEOUT
  return function(...)
    watch()
    flushLoggedErrors()
    local problems = {}
    if given.keep then complain(problems, "left open after it was kept for a test", takeKept()) end
    local ok, result = pcall(run, timeout, body, ...)
    if given.keep and ok and not core.failure.isFailure(result) then keepOpen() end
    complain(problems, "left open", takeLeftovers())
    complain(problems, "logged and not flushed", describeErrors(flushLoggedErrors()))
    if not ok then error(result, 0) end
    if core.failure.isFailure(result) then error(result.value, 0) end
    if #problems > 0 then error(table.concat(problems, "\n"), 0) end
    return result
  end
end

return { async = async, flushLoggedErrors = flushLoggedErrors }
