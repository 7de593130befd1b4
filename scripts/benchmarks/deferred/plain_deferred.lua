-- SPDX-License-Identifier: MIT
-- plain_deferred.lua -- a Deferred in nothing but Lua, on pcall, as one would write it without
-- the core. It is here to be compared with.

local Deferred = {}
Deferred.__index = Deferred

local Failure = {}
Failure.__index = Failure

local function new()
  return setmetatable({ called = false, paused = 0, running = false, first = 1, last = 0 }, Deferred)
end

local function fail(err)
  return setmetatable({ value = err }, Failure)
end

local function run(self)
  if self.running or not self.called then return end
  while self.first <= self.last and self.paused == 0 do
    local callback, errback = self[self.first], self[-self.first]
    self[self.first], self[-self.first] = nil, nil
    self.first = self.first + 1
    local failed = getmetatable(self.result) == Failure
    local f = callback
    if failed then f = errback end
    if f then
      self.running = true
      local ok, result = pcall(f, self.result)
      self.running = false
      if not ok then
        self.result = fail(result)
      elseif getmetatable(result) == Deferred then
        self.paused = self.paused + 1
        self.result = nil
        local function resume(value)
          self.result = value
          self.paused = self.paused - 1
          run(self)
        end
        result:addCallbacks(resume, resume)
      else
        self.result = result
      end
    end
  end
end

function Deferred:addCallbacks(callback, errback)
  self.last = self.last + 1
  self[self.last], self[-self.last] = callback, errback
  if self.called then run(self) end
  return self
end

function Deferred:addCallback(f) return self:addCallbacks(f, nil) end
function Deferred:addErrback(f) return self:addCallbacks(nil, f) end

function Deferred:callback(value)
  if self.called then error("already called", 2) end
  self.called, self.result = true, value
  run(self)
end

function Deferred:errback(err)
  self:callback(fail(err))
end

return { Deferred = new }
