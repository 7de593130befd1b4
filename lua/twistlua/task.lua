-- SPDX-License-Identifier: MIT
-- task.lua -- work that takes time: once later (deferLater), again and again (LoopingCall), in small
-- steps (Cooperator), and a whole program that ends with its Deferred (react). Clock is time for tests.

local clock      = require "twistlua.task.clock"
local cooperator = require "twistlua.task.cooperator"
local looping    = require "twistlua.task.looping"
local scope      = require "twistlua.task.scope"
local class      = require "twistlua.class"
local defer      = require "twistlua.defer"
local errors     = require "twistlua.error"
local failure    = require "twistlua.failure"
local log        = require "twistlua.log"
local options    = require "twistlua.options"

local task = {
  Clock            = clock.Clock,
  LoopingCall      = looping.LoopingCall,
  Cooperator       = cooperator.Cooperator,
  CooperativeTask  = cooperator.CooperativeTask,
  SchedulerError   = cooperator.SchedulerError,
  SchedulerStopped = cooperator.SchedulerStopped,
  NotPaused        = cooperator.NotPaused,
  TaskFinished     = cooperator.TaskFinished,
  TaskDone         = cooperator.TaskDone,
  TaskStopped      = cooperator.TaskStopped,
  TaskFailed       = cooperator.TaskFailed,
  scope            = scope.scope,
  all              = scope.all,
}

---Call `f(...)` later.
---@param reactor twistlua.Clock
---@param delay number seconds
---@param f? function
---@param ... any
---@return twistlua.Deferred result what `f` returns; cancelling it before then cancels the call
function task.deferLater(reactor, delay, f, ...)
  local call
  local result = defer.Deferred(function() call:cancel() end)
  if f then
    local arguments = table.pack(...)
    result:addCallback(function() return f(table.unpack(arguments, 1, arguments.n)) end)
  end
  call = reactor:callLater(delay, result.callback, result, nil)
  return result
end

local function clockOf(what, given)
  return options.check(what, given, { clock = "any" }, 4).clock or require "twistlua.reactor"
end

---@async
---Wait in a coroutine.
---@param seconds number
---@param given? { clock?: twistlua.Clock } in place of the reactor
function task.sleep(seconds, given)
  defer.await(task.deferLater(clockOf("sleep", given), seconds))
end

---@async
---Run `f` in a coroutine of its own and wait for it, but no longer than so many seconds: then it is
---cancelled, and TimeoutError is raised here.
---@param seconds number
---@param f function
---@param given? { clock?: twistlua.Clock } in place of the reactor
---@return any result of `f`
function task.timeout(seconds, f, given)
  local reactor = clockOf("timeout", given)
  return defer.await(defer.run(f):addTimeout(seconds, reactor))
end

local everybody   -- the Cooperator of `cooperate` and `coiterate`, made at the first use

local function shared()
  everybody = everybody or cooperator.Cooperator()
  return everybody
end

---Work on an iterator in small slices on the reactor; see Cooperator.
---@param iterator (fun(): any)|thread
---@return twistlua.CooperativeTask
function task.cooperate(iterator)
  return shared():cooperate(iterator)
end

---Work on an iterator in small slices on the reactor.
---@param iterator (fun(): any)|thread
---@return twistlua.Deferred iterator fires at its end
function task.coiterate(iterator)
  return shared():coiterate(iterator)
end

-- The exit status that the outcome of a program asks for; a failure nobody asked for is logged.
local function statusOf(outcome)
  if not failure.isFailure(outcome) then return 0 end
  if outcome:check(errors.SystemExit) then return outcome.value.status end
  log.err(outcome, "main function encountered error")
  return 1
end

---Run a whole program: call `main(...)`, run the reactor until the Deferred that it returns fires, and
---end the process with status 0, or 1 when `main` failed (which is logged), or an `error.SystemExit`'s.
---@param main fun(...): any
---@param argv? any[] arguments for `main`, such as `arg`
---@param given? { reactor?: twistlua.Reactor }
function task.react(main, argv, given)
  local reactor = options.check("react", given, { reactor = "any" }).reactor or require "twistlua.reactor"
  local status, stopping = 0, false
  reactor:addSystemEventTrigger("before", "shutdown", function() stopping = true end)

  local function finish(outcome)
    status = statusOf(outcome)
    if stopping then return end
    local stopped, failed = pcall(reactor.stop, reactor)
    if not stopped and not class.isA(failed, errors.ReactorNotRunning) then error(failed, 0) end
  end

  defer.maybeDeferred(main, table.unpack(argv or {})):addBoth(function(outcome)
    if stopping then
      finish(outcome)
    else
      reactor:callWhenRunning(finish, outcome)
    end
  end)
  reactor:run()
  os.exit(status, true)
end

return task
