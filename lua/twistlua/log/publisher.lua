-- SPDX-License-Identifier: MIT
-- log/publisher.lua -- hands events to observers. Until logging begins, errors go to stderr, so that none is
-- lost, and the last events are kept for the observers that will come. A host that embeds us and wants to know
-- is told in place of stderr, and of failures that nobody handled in any case.

local core   = require "twistlua.core"
local Object = require("twistlua.class").Object
local text   = require "twistlua.log.text"

local KEPT_MAX = 1000

local LEVELS = { debug = 1, info = 2, warn = 3, error = 4, critical = 5 }

---@class twistlua.LogPublisher: twistlua.Object
---@operator call(...): twistlua.LogPublisher
local LogPublisher = Object:extend("LogPublisher")

function LogPublisher:init()
  self._observers = {}    -- replaced, never changed, so that an observer may add and remove others
  self._kept = {}         -- the last events before logging began, as a ring; nil when it has
  self._keptCount = 0     -- how many there were in all
end

---Add an observer of every event from now on.
---@param observer fun(event: table)
function LogPublisher:addObserver(observer)
  local observers = { table.unpack(self._observers) }
  observers[#observers + 1] = observer
  self._observers = observers
end

---Remove an observer; one that is not there is none too many.
---@param observer fun(event: table)
function LogPublisher:removeObserver(observer)
  local observers = {}
  for _, other in ipairs(self._observers) do
    if other ~= observer then observers[#observers + 1] = other end
  end
  self._observers = observers
end

-- The others hear of an observer that raised; telling itself would make it raise again.
local function reportBroken(observers, broken, event)
  local whole = {}
  for _, observer in ipairs(observers) do
    if not broken[observer] then whole[#whole + 1] = observer end
  end
  for _, trace in pairs(broken) do
    local report = {
      time = event.time, level = "critical", namespace = "log", isError = true,
      text = "A log observer raised and missed an event: " .. trace,
    }
    for _, observer in ipairs(whole) do pcall(observer, report) end
  end
end

local function deliver(observers, event)
  local broken
  for _, observer in ipairs(observers) do
    local ok, trace = xpcall(observer, debug.traceback, event)
    if not ok then
      broken = broken or {}
      broken[observer] = tostring(trace)
    end
  end
  if broken then reportBroken(observers, broken, event) end
end

-- Whether a host was told.
local function tellHost(event)
  if event.failure == nil then return core.host.unhandled(text.eventAsText(event)) end
  return core.host.unhandled(event.failure, text.saying(event))
end

---Hand an event to every observer; `level` is "info" when absent or unknown, and `time` is now when absent.
---@param event table
function LogPublisher:publish(event)
  if not LEVELS[event.level] then event.level = "info" end
  event.time = event.time or os.time()
  local isLoud = event.isError or LEVELS[event.level] >= LEVELS.error
  local isTold = isLoud and (event.isError or self._kept) and tellHost(event)
  if self._kept then
    self._kept[self._keptCount % KEPT_MAX + 1] = event
    self._keptCount = self._keptCount + 1
    if isLoud and not isTold then
      deliver({ text.fileObserver(io.stderr, { timestamps = false }) }, event)
    end
  end
  deliver(self._observers, event)
end

---Logging begins: `observers` get the events that were kept, then all that come. Errors no longer go
---to stderr.
---@param observers (fun(event: table))[]
function LogPublisher:beginLoggingTo(observers)
  local kept, count = self._kept or {}, self._keptCount
  self._kept, self._keptCount = nil, 0
  for index = math.max(0, count - KEPT_MAX), count - 1 do
    deliver(observers, kept[index % KEPT_MAX + 1])
  end
  for _, observer in ipairs(observers) do self:addObserver(observer) end
end

---Logging begins with one observer, and what was said before stays unsaid.
---@param observer fun(event: table)
function LogPublisher:beginLoggingAt(observer)
  self._kept, self._keptCount = nil, 0
  self:addObserver(observer)
end

---Raise at the caller's caller unless `level` is one.
---@param what string the function that was called
---@param level any
local function checkLevel(what, level)
  if not LEVELS[level] then error(("%s: unknown level '%s'"):format(what, tostring(level)), 3) end
end

---Wrap an observer so that it gets only events of `level` or above.
---@param observer fun(event: table)
---@param level twistlua.LogLevel for namespaces without one of their own
---@param namespaces? table<string, twistlua.LogLevel>
---@return fun(event: table)
local function filteringObserver(observer, level, namespaces)
  namespaces = namespaces or {}
  checkLevel("filteringObserver", level)
  for _, least in pairs(namespaces) do checkLevel("filteringObserver", least) end
  return function(event)
    local least = namespaces[event.namespace] or level
    if LEVELS[event.level] >= LEVELS[least] then observer(event) end
  end
end

return {
  LogPublisher      = LogPublisher,
  LEVELS            = LEVELS,
  checkLevel        = checkLevel,
  filteringObserver = filteringObserver,
}
