-- SPDX-License-Identifier: MIT
-- log.lua -- what code says about its running: `msg` and `err` for a line, Logger for events with a level, a
-- namespace and fields. An event is a table; observers, which are functions, make of it what they need.
-- The one place where errors of callbacks end: the runtime calls `err` for each.

local class     = require "twistlua.class"
local publisher = require "twistlua.log.publisher"
local text      = require "twistlua.log.text"

---@alias twistlua.LogLevel "debug"|"info"|"warn"|"error"|"critical"

local default = publisher.LogPublisher()

local log = {
  LogPublisher      = publisher.LogPublisher,
  publisher         = default,
  fileObserver      = text.fileObserver,
  jsonObserver      = text.jsonObserver,
  filteringObserver = publisher.filteringObserver,
  eventAsText       = text.eventAsText,
  eventAsJSON       = text.eventAsJSON,
}

-- The failure module stands above this one (the engine reports through `err`), hence the late require.
local function asFailure(value)
  local failure = require "twistlua.failure"
  return failure.isFailure(value) and value or failure.Failure(value)
end

local function addFields(event, fields)
  for name, value in pairs(fields) do event[name] = value end
  return event
end

local function isPlain(value)
  return type(value) == "table" and getmetatable(value) == nil
end

---Log a line: the arguments, separated by spaces. A plain table that stands last names further fields
---of the event.
---@param ... any
function log.msg(...)
  local words = table.pack(...)
  local fields
  if words.n > 1 and isPlain(words[words.n]) then
    fields = words[words.n]
    words.n = words.n - 1
  end
  for index = 1, words.n do words[index] = tostring(words[index]) end
  local event = { text = table.concat(words, " ", 1, words.n) }
  default:publish(fields and addFields(event, fields) or event)
end

---Log an error.
---@param failure any a Failure, an error value, or a line of text
---@param what? string what was being done; default is "Unhandled Error"
function log.err(failure, what)
  if failure == nil then error("log.err: expected a Failure, an error value or a text, got nil", 2) end
  local event = { level = "critical", isError = true, text = what }
  if type(failure) == "string" then
    event.text = what and what .. ": " .. failure or failure
  else
    event.failure = asFailure(failure)
  end
  default:publish(event)
end

---Logging begins, as text lines in `file`, without what was logged before. Errors no longer go to stderr.
---@param file { write: function, flush: function? } such as io.stdout
---@return fun(event: table) observer for `removeObserver`
function log.startLogging(file)
  local kind = type(file)
  if kind ~= "userdata" and kind ~= "table" then
    error("startLogging: expected a file such as io.stdout, got " .. kind, 2)
  end
  local observer = text.fileObserver(file)
  default:beginLoggingAt(observer)
  log.msg("Log opened.")
  return observer
end

---Logging begins: `observers` get the events that were logged before, then all that come.
---@param observers (fun(event: table))[]
function log.beginLoggingTo(observers)
  default:beginLoggingTo(observers)
end

---@param observer fun(event: table)
function log.addObserver(observer)
  default:addObserver(observer)
end

---@param observer fun(event: table)
function log.removeObserver(observer)
  default:removeObserver(observer)
end

---Says things in the name of one part of a program:
---`logger:info("{user} came from {peer.host}", { user = user, peer = peer })`.
---The format is filled in only by an observer that wants text. `{{` is a brace, `{f()}` calls the field.
---@class twistlua.Logger: twistlua.Object
---@field namespace string
---@field debug fun(self, format: string, fields?: table)
---@field info fun(self, format: string, fields?: table)
---@field warn fun(self, format: string, fields?: table)
---@field error fun(self, format: string, fields?: table)
---@field critical fun(self, format: string, fields?: table)
---@operator call(...): twistlua.Logger
local Logger = class.Object:extend("Logger")

---@param namespace string shown before each line
---@param logPublisher? twistlua.LogPublisher in place of the default one
function Logger:init(namespace, logPublisher)
  if type(namespace) ~= "string" then error("Logger: expected a namespace, got " .. type(namespace), 3) end
  self.namespace = namespace
  self._publisher = logPublisher or default
end

local function emit(self, level, format, fields, failure)
  local event = addFields({}, fields or {})
  event.level, event.namespace, event.format, event.failure = level, self.namespace, format, failure
  self._publisher:publish(event)
end

---Log an event of a level that is not known when the code is written.
---@param level twistlua.LogLevel
---@param format string
---@param fields? table
function Logger:emit(level, format, fields)
  publisher.checkLevel("Logger:emit", level)
  emit(self, level, format, fields)
end

for level in pairs(publisher.LEVELS) do
  Logger[level] = function(self, format, fields) emit(self, level, format, fields) end
end

---Log a failure with its traceback.
---@param format string what was being done
---@param failure any a Failure or an error value
---@param fields? table
---@param level? twistlua.LogLevel default "critical"
function Logger:failure(format, failure, fields, level)
  level = level or "critical"
  publisher.checkLevel("Logger:failure", level)
  emit(self, level, format, fields, asFailure(failure))
end

log.Logger = Logger

return log
