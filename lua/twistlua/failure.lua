-- SPDX-License-Identifier: MIT
-- failure.lua -- what a Failure says: its class, and the trace of where its error came from.
-- The core captures frames as bare functions and lines; everything here runs only when somebody asks.

local core    = require("twistlua.core").failure
local class   = require "twistlua.class"
local options = require "twistlua.options"

---An error value with the frames that it came through.
---@class twistlua.Failure
---@field value any the error value itself: an error object, a string, or whatever was raised
---@field type table|string its class, or the name of its Lua type
local Failure = core.methods

-- Frames of these files are ours, and are left out unless asked for.
local OURS = debug.getinfo(1, "S").source:match("^(.*)failure%.lua$")

local GETTERS = {}

function GETTERS.type(self)
  return class.classOf(self.value) or type(self.value)
end

---Fields that are computed.
---@private
function Failure:get(name)
  local getter = GETTERS[name]
  return getter and getter(self)
end

local function nameOf(kind)
  return type(kind) == "table" and kind.__name or kind
end

local function messageOf(value)
  if class.classOf(value) and type(value.message) == "string" then return value.message end
  return tostring(value)
end

local function isOf(self, kind)
  if type(kind) ~= "string" then return class.isA(self.value, kind) end
  local candidate = self.type
  while type(candidate) == "table" do
    if candidate.__name == kind then return true end
    candidate = candidate.super
  end
  return candidate == kind
end

---The first of the given classes that the error belongs to, or nil.
---@param ... table|string classes of errors, their names, or names of Lua types
---@return table|string|nil
function Failure:check(...)
  for i = 1, select("#", ...) do
    local kind = select(i, ...)
    if isOf(self, kind) then return kind end
  end
end

---As `check`, but for any other error raise this Failure again, for the next errback.
---@param ... table|string
---@return table|string
function Failure:trap(...)
  return self:check(...) or error(self, 0)
end

---Raise the error value.
function Failure:raise()
  error(self.value, 0)
end

Failure.raiseException = Failure.raise

---@return string message without the name of the class
function Failure:getErrorMessage()
  return messageOf(self.value)
end

---A Failure holds no values of its frames, so there is nothing to let go of.
function Failure.cleanFailure() end

-- Frames -------------------------------------------------------------------------------------

local function isOurs(source)
  return OURS and source:sub(1, #OURS) == OURS
end

local function describe(frame, info)
  if info.what == "main" then return "main chunk" end
  if frame.name then return frame.name end
  if info.what == "C" then return "?" end
  return ("function <%s:%d>"):format(info.short_src, info.linedefined)
end

-- Where the frames of one capture stand, { source, line, name } each, the outermost first.
local function places(failure, all)
  local frames, list = core.frames(failure), {}
  for i = #frames, 1, -1 do
    local frame = frames[i]
    local info = debug.getinfo(frame.func, "S")
    if all or not (info.what == "C" or isOurs(info.source)) then
      list[#list + 1] = { info.short_src, frame.line, describe(frame, info) }
    end
  end
  return list
end

-- A Failure that await raised again comes after the frames that awaited it; one that another thread raised is
-- the list of its places.
local function allPlaces(self, all)
  local list, failure = {}, self
  while failure do
    local captured = core.isFailure(failure) and places(failure, all) or failure
    table.move(captured, 1, #captured, #list + 1, list)
    failure = core.isFailure(failure) and core.origin(failure)
    local last = list[#list]
    if failure and last then list[#list] = { last[1], last[2], last[3] .. " (awaiting)" } end
  end
  return list
end

local function frameLines(self, all, form)
  local lines = allPlaces(self, all)
  for i, place in ipairs(lines) do lines[i] = form:format(place[1], place[2], place[3]) end
  return lines
end

local function errorLine(self)
  if class.classOf(self.value) or type(self.value) == "string" then return tostring(self.value) end
  return nameOf(self.type) .. ": " .. messageOf(self.value)
end

---The trace, outermost frame first, and the error.
---@param settings? { detail?: "default"|"brief"|"verbose" } verbose: frames of the library and of C too
---@return string text ends with a newline
function Failure:getTraceback(settings)
  local detail = options.check("getTraceback", settings, { detail = "string" }).detail or "default"
  if detail == "brief" then return self:getBriefTraceback() end
  if detail ~= "default" and detail ~= "verbose" then
    error(("getTraceback: unknown detail '%s' (known: default, brief, verbose)"):format(detail), 2)
  end
  local lines = frameLines(self, detail == "verbose", "  %s:%d: in %s")
  if #lines == 0 then return "Traceback (failure with no frames): " .. errorLine(self) .. "\n" end
  return ("Traceback (most recent call last):\n%s\n%s\n"):format(table.concat(lines, "\n"), errorLine(self))
end

---The error, and a line for each frame.
---@return string text ends with a newline
function Failure:getBriefTraceback()
  local lines = frameLines(self, false, "%s:%d:%s")
  local head  = #lines > 0 and "Traceback" or "Traceback (failure with no frames)"
  table.insert(lines, 1, ("%s: <class '%s'>: %s"):format(head, nameOf(self.type), messageOf(self.value)))
  return table.concat(lines, "\n") .. "\n"
end

---Write the trace.
---@param file? file* default: standard error
---@param settings? table as for getTraceback
function Failure:printTraceback(file, settings)
  (file or io.stderr):write(self:getTraceback(settings))
end

core.setTostring(function(self)
  return "[Failure instance: " .. self:getBriefTraceback():sub(1, -2) .. "]"
end)

-- All about it, as plain values.
local function explain(self)
  local awaits = {}
  for _, place in ipairs(allPlaces(self, false)) do
    if place[3]:find(" (awaiting)", 1, true) then awaits[#awaits + 1] = ("%s:%d: in %s"):format(table.unpack(place)) end
  end
  local errno = class.classOf(self.value) and self.value.errno
  local kind  = tostring(nameOf(self.type))
  return math.type(errno) == "integer" and errno or 0, kind, tostring(messageOf(self.value)), self:getTraceback(),
    table.concat(awaits, "\n")
end

-- The module ---------------------------------------------------------------------------------

local failure = {
  ---Make a Failure of an error value, without frames; a Failure passes.
  ---@type fun(value: any): twistlua.Failure
  Failure = core.new,
  ---@type fun(value: any): boolean
  isFailure = core.isFailure,
  ---Call `f(...)`; returns true and its results, or false and a Failure.
  ---@type fun(f: function, ...): boolean, any, ...
  call = core.call,
  ---Where the error of a Failure came from, for another thread: a list that can be copied.
  ---@type fun(failure: twistlua.Failure): table
  places = allPlaces,
  ---What a host is told of a Failure: errno or 0, class, message, trace, and the places that awaited.
  describe = explain,
}

-- Classes of errors that the core knows by their code.
local function errorOf(errno, code, message)
  if code == "ECANCELED" then return require("twistlua.defer").CancelledError() end
  if code == "EALREADY" then return require("twistlua.defer").AlreadyCalledError() end
  if code == "EDEADLK" then return require("twistlua.defer").CircularDeferredError() end
  if code == "ETIMEDOUT" then return require("twistlua.error").TimeoutError() end
  return require("twistlua.error").Error(message, { errno = errno, code = code })
end

---The error object for an error code of the core.
---@type fun(errno: integer, code: string, message: string): twistlua.Error
failure.errorOf = errorOf

---The Failure for an error code of the core.
---@param errno integer positive
---@param code string such as "ECANCELED"
---@param message string
---@return twistlua.Failure
function failure.ofCode(errno, code, message)
  return core.new(errorOf(errno, code, message))
end

return failure
