-- SPDX-License-Identifier: MIT
-- task/cooperator.lua -- many long pieces of work in one thread: each is an iterator, and they take turns
-- in short slices, between which the reactor serves its connections.
-- Invariant: a task is in its cooperator's list exactly while it is neither paused nor complete.

local class  = require "twistlua.class"
local defer  = require "twistlua.defer"
local errors = require "twistlua.error"
local Failure = require("twistlua.failure").Failure
local guard   = require "twistlua.guard"
local options = require "twistlua.options"

local SLICE = 0.01                -- seconds of work before the reactor gets its turn
local SHORTEST_DELAY = 0.00000001 -- the next turn

local SchedulerError = errors.Error:extend("SchedulerError")

local function define(name, parent, summary)
  local subclass = parent:extend(name)
  subclass.summary = summary
  return subclass
end

local TaskFinished     = define("TaskFinished", SchedulerError, "The task has finished")
local TaskDone         = define("TaskDone", TaskFinished, "The task has come to its end")
local TaskStopped      = define("TaskStopped", TaskFinished, "The task was stopped")
local TaskFailed       = define("TaskFailed", TaskFinished, "The task has failed")
local NotPaused        = define("NotPaused", SchedulerError, "The task is not paused")
local SchedulerStopped = define("SchedulerStopped", SchedulerError, "The cooperator was stopped")

-- A coroutine is resumed for each step; anything else is called, and ends with nil as in a `for` loop.
local function stepOf(iterator)
  if type(iterator) ~= "thread" then return iterator end
  return function()
    local ok, value = coroutine.resume(iterator)
    if not ok then error(value, 0) end
    if coroutine.status(iterator) == "dead" then return nil end
    return value == nil and true or value
  end
end

---One iterator that a Cooperator works on.
---@class twistlua.CooperativeTask: twistlua.Object
local CooperativeTask = class.Object:extend("CooperativeTask")

function CooperativeTask:init(iterator, cooperator)
  self._iterator = iterator
  self._step = stepOf(iterator)
  self._cooperator = cooperator
  self._waiting = {}       -- Deferreds of whenDone
  self._pauseCount = 0
  self._finished = nil     -- the error that says how, once complete
  self._result = nil       -- what whenDone fires with
  cooperator:_add(self)
end

function CooperativeTask:_complete(finished, result)
  self._finished, self._result = finished, result
  self._cooperator:_remove(self)
  for _, waiting in ipairs(self._waiting) do waiting:callback(result) end
  self._waiting = {}
end

local function checkUnfinished(task)
  if task._finished then error(task._finished, 0) end
end

---A Deferred of its end: the iterator, or the failure.
---@return twistlua.Deferred
function CooperativeTask:whenDone()
  local done = defer.Deferred()
  if self._finished then
    done:callback(self._result)
  else
    self._waiting[#self._waiting + 1] = done
  end
  return done
end

---Do no work until as many `resume`s. Raises TaskDone, TaskStopped or TaskFailed when it is complete.
function CooperativeTask:pause()
  checkUnfinished(self)
  self._pauseCount = self._pauseCount + 1
  if self._pauseCount == 1 then self._cooperator:_remove(self) end
end

---Undo one `pause`. Raises NotPaused when there is none.
function CooperativeTask:resume()
  if self._pauseCount == 0 then error(NotPaused(), 0) end
  self._pauseCount = self._pauseCount - 1
  if self._pauseCount == 0 and not self._finished then self._cooperator:_add(self) end
end

---End it; `whenDone` fails with TaskStopped. Raises as `pause` does.
function CooperativeTask:stop()
  checkUnfinished(self)
  local stopped = TaskStopped()
  self:_complete(stopped, Failure(stopped))
end

function CooperativeTask:_work()
  local ok, value = guard.call(self._step)
  if not ok then return self:_complete(TaskFailed(), value) end
  if value == nil then return self:_complete(TaskDone(), self._iterator) end
  if not defer.isDeferred(value) then return end
  self:pause()
  value:addCallbacks(function() self:resume() end, function(failure)
    if not self._finished then self:_complete(TaskFailed(), failure) end
  end)
end

---Shares time among tasks.
---@class twistlua.Cooperator: twistlua.Object
---@field running boolean
---@operator call(...): twistlua.Cooperator
local Cooperator = class.Object:extend("Cooperator")

local function tenMilliseconds()
  local stop = os.clock() + SLICE
  return function() return os.clock() > stop end
end

local function callNextTurn(f)
  return (require "twistlua.reactor"):callLater(SHORTEST_DELAY, f)
end

---@param given? { terminationPredicateFactory?: function, scheduler?: function, started?: boolean }
---the factory returns, for each slice, a function that says when it is over; the scheduler calls a function
---later and returns something with a method `cancel`
function Cooperator:init(given)
  given = options.check("Cooperator", given,
    { terminationPredicateFactory = "function", scheduler = "function", started = "boolean" }, 4)
  self.running = given.started ~= false
  self._sliceOver = given.terminationPredicateFactory or tenMilliseconds
  self._scheduler = given.scheduler or callNextTurn
  self._tasks = {}
  self._next = 1          -- index of the task whose turn it is
  self._call = nil        -- the scheduled slice
  self._stopped = false
end

function Cooperator:_schedule()
  if self.running and not self._call and #self._tasks > 0 then
    self._call = self._scheduler(function() self:_slice() end)
  end
end

function Cooperator:_add(task)
  if self._stopped then
    local stopped = SchedulerStopped()
    return task:_complete(stopped, Failure(stopped))
  end
  self._tasks[#self._tasks + 1] = task
  self:_schedule()
end

function Cooperator:_remove(task)
  for index, other in ipairs(self._tasks) do
    if other == task then
      table.remove(self._tasks, index)
      if index < self._next then self._next = self._next - 1 end
      break
    end
  end
  if #self._tasks == 0 and self._call then
    self._call:cancel()
    self._call = nil
  end
end

function Cooperator:_slice()
  self._call = nil
  local over = self._sliceOver()
  while #self._tasks > 0 do
    if self._next > #self._tasks then self._next = 1 end
    local task = self._tasks[self._next]
    self._next = self._next + 1
    task:_work()
    if over() then break end
  end
  self:_schedule()
end

---Work on an iterator: a function that does a little at each call and returns nil at its end, or a coroutine.
---When a step gives a Deferred, the next step waits for it.
---@param iterator (fun(): any)|thread
---@return twistlua.CooperativeTask
function Cooperator:cooperate(iterator)
  if type(iterator) ~= "function" and type(iterator) ~= "thread" then
    error("cooperate: expected an iterator function or a coroutine, got " .. type(iterator), 2)
  end
  return CooperativeTask(iterator, self)
end

---Work on an iterator.
---@param iterator (fun(): any)|thread
---@return twistlua.Deferred iterator fires at its end
function Cooperator:coiterate(iterator)
  if type(iterator) ~= "function" and type(iterator) ~= "thread" then
    error("coiterate: expected an iterator function or a coroutine, got " .. type(iterator), 2)
  end
  return self:cooperate(iterator):whenDone()
end

---Begin, or begin again after `stop`.
function Cooperator:start()
  self._stopped = false
  self.running = true
  self:_schedule()
end

---End all tasks, and each that is added until `start`, with SchedulerStopped.
function Cooperator:stop()
  self._stopped = true
  self.running = false
  local tasks = self._tasks
  self._tasks, self._next = {}, 1
  for _, task in ipairs(tasks) do
    local stopped = SchedulerStopped()
    task:_complete(stopped, Failure(stopped))
  end
end

return {
  Cooperator = Cooperator, CooperativeTask = CooperativeTask,
  SchedulerError = SchedulerError, SchedulerStopped = SchedulerStopped, NotPaused = NotPaused,
  TaskFinished = TaskFinished, TaskDone = TaskDone, TaskStopped = TaskStopped, TaskFailed = TaskFailed,
}
