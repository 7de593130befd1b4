-- SPDX-License-Identifier: MIT
-- task/scope.lua -- coroutines that live no longer than the block that started them.
-- Invariant: a task is in `live`, and counted in its scope, from its start until its function has ended,
-- however often it was cancelled.

local Object  = require("twistlua.class").Object
local defer   = require "twistlua.defer"
local failure = require "twistlua.failure"
local options = require "twistlua.options"

local live = {}   -- task → true

---A function that runs in a coroutine of its own.
---@class twistlua.Task: twistlua.Object
---@field name string may be set; by default the place of its function
---@field scope twistlua.Scope
local Task = Object:extend("Task")

function Task:init(scope, f, ...)
  local source = debug.getinfo(f, "S")
  self.name = ("%s:%d"):format(source.short_src, source.linedefined)
  self.scope = scope
  self._started = scope.clock:seconds()
  self._deferred = nil
  live[self] = true
  self._deferred = defer.run(f, ...)
end

---Raise CancelledError where the task waits. It may catch that and go on.
function Task:cancel()
  if live[self] then self._deferred:cancel() end
end

---@return number seconds since it was started
function Task:age()
  return self.scope.clock:seconds() - self._started
end

function Task:__tostring()
  return ("Task %s (%s)"):format(self.name, live[self] and tostring(self._deferred) or "ended")
end

---A block and the tasks that were started in it.
---@class twistlua.Scope: twistlua.Object
---@field reason twistlua.Failure|nil why its tasks were cancelled: for these to read
---@field failures twistlua.Failure[] of its tasks, the first one first
local Scope = Object:extend("Scope")

function Scope:init(clock)
  self.reason = nil
  self.failures = {}
  self.clock = clock
  self._tasks = {}        -- task → true
  self._count = 0
  self._emptied = nil     -- the Deferred that waits for the last task
end

function Scope:_ended(task, result)
  live[task], self._tasks[task] = nil, nil
  self._count = self._count - 1
  if failure.isFailure(result) and not (self.reason and result:check(defer.CancelledError)) then
    self.failures[#self.failures + 1] = result
    if not self.reason then self:cancel(result) end
  end
  local emptied = self._emptied
  if self._count == 0 and emptied then
    self._emptied = nil
    emptied:callback(nil)
  end
end

---Run `f(...)` in a coroutine of its own, which ends before the scope does. When it fails, all others are
---cancelled.
---@param f function
---@param ... any
---@return twistlua.Task
function Scope:spawn(f, ...)
  if type(f) ~= "function" then error("spawn: expected a function, got " .. type(f), 2) end
  local task = Task(self, f, ...)
  self._tasks[task] = true
  self._count = self._count + 1
  task._deferred:addBoth(function(result) self:_ended(task, result) end)
  if self.reason then task:cancel() end   -- too late to start, as the scope is coming to its end
  return task
end

---Cancel all tasks of the scope.
---@param reason? any a Failure, or what describes why; `scope.reason` is the Failure of the first one given
function Scope:cancel(reason)
  if not self.reason then
    reason = reason == nil and defer.CancelledError() or reason
    self.reason = failure.isFailure(reason) and reason or failure.Failure(reason)
  end
  local tasks = {}
  for task in pairs(self._tasks) do tasks[#tasks + 1] = task end
  for _, task in ipairs(tasks) do task:cancel() end
end

-- Wait for the last task; returns what cancelled the waiting from outside, if anything did.
function Scope:_join()
  local cancelled
  while self._count > 0 do
    local emptied = defer.Deferred()
    self._emptied = emptied
    local ok, raised = pcall(defer.await, emptied)
    if not ok then
      self._emptied = nil
      cancelled = cancelled or raised
      self:cancel(raised)
    end
  end
  return cancelled
end

---@async
---Run `f(scope)`, then wait for all tasks that it has started with `scope:spawn`. The first failure, of `f`
---or of a task, cancels all others and is raised when they have ended; an error object has the Failures
---that came after it in its field `others`. Cancelling the coroutine that waits here cancels them all.
---@param f fun(scope: twistlua.Scope): any
---@param given? { clock?: twistlua.Clock } in place of the reactor
---@return any result of `f`
local function scope(f, given)
  given = options.check("scope", given, { clock = "any" })
  local self = Scope(given.clock or require "twistlua.reactor")
  local result
  self:spawn(function() result = f(self) end)
  local cancelled = self:_join()
  local first = table.remove(self.failures, 1)
  if first then
    if type(first.value) == "table" then first.value.others = self.failures end
    return defer.await(defer.fail(first))
  end
  if cancelled ~= nil then error(cancelled, 0) end
  return result
end

---The tasks that have not ended, the oldest first. `tostring` of each says its name and what it waits for.
---@return twistlua.Task[]
local function all()
  local tasks = {}
  for task in pairs(live) do tasks[#tasks + 1] = task end
  table.sort(tasks, function(a, b) return a._started < b._started end)
  return tasks
end

return { scope = scope, all = all, Scope = Scope, Task = Task }
