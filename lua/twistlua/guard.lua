-- SPDX-License-Identifier: MIT
-- guard.lua -- calls into a user's code from ours: what it raises becomes a Failure and stops nothing else.

local core = require "twistlua.core"
local log  = require "twistlua.log"

local guard = {}

---Call `f(...)`.
---@type fun(f: function, ...: any): boolean, ... true and the results, or false and a Failure
guard.call = core.failure.call

---@type fun(value: any): boolean
guard.isFailure = core.failure.isFailure

local function finish(what, ok, ...)
  if ok then return ... end
  log.err((...), what)
end

---Call `f(...)` and return its results; what it raises is logged with the words `what`.
---@param what string
---@param f function
function guard.run(what, f, ...)
  return finish(what, guard.call(f, ...))
end

return guard
