-- SPDX-License-Identifier: MIT
-- inotify.lua -- watching files and directories (Linux), in the model of twisted.internet.inotify.
-- A notifier is a reader of the reactor: from startReading on it keeps the program running until loseConnection.

local core    = require "twistlua.core"
local Object  = require("twistlua.class").Object
local errors  = require "twistlua.error"
local guard   = require "twistlua.guard"
local log     = require "twistlua.log"
local options = require "twistlua.options"

-- The kernel's numbers, the same on every Linux, and the words of humanReadableMask.
local FLAGS = {
  { "IN_ACCESS", 0x1, "access" },              -- read
  { "IN_MODIFY", 0x2, "modify" },              -- written or truncated
  { "IN_ATTRIB", 0x4, "attrib" },              -- permissions, times, links, owner
  { "IN_CLOSE_WRITE", 0x8, "close_write" },    -- closed by one who could write
  { "IN_CLOSE_NOWRITE", 0x10, "close_nowrite" },
  { "IN_OPEN", 0x20, "open" },
  { "IN_MOVED_FROM", 0x40, "moved_from" },     -- out of the watched directory
  { "IN_MOVED_TO", 0x80, "moved_to" },         -- into it
  { "IN_CREATE", 0x100, "create" },            -- in it
  { "IN_DELETE", 0x200, "delete" },            -- in it
  { "IN_DELETE_SELF", 0x400, "delete_self" },  -- the watched path itself
  { "IN_MOVE_SELF", 0x800, "move_self" },
  { "IN_UNMOUNT", 0x2000, "unmount" },
  { "IN_Q_OVERFLOW", 0x4000, "queue_overflow" },   -- events were lost: look at the files
  { "IN_IGNORED", 0x8000, "ignored" },
  { "IN_ONLYDIR", 0x1000000, "only_dir" },
  { "IN_DONT_FOLLOW", 0x2000000, "dont_follow" },
  { "IN_MASK_ADD", 0x20000000, "mask_add" },
  { "IN_ISDIR", 0x40000000, "is_dir" },        -- the event is about a directory
  { "IN_ONESHOT", 0x80000000, "one_shot" },
}

local inotify = {}
for _, flag in ipairs(FLAGS) do inotify[flag[1]] = flag[2] end

inotify.IN_CLOSE   = inotify.IN_CLOSE_WRITE | inotify.IN_CLOSE_NOWRITE
inotify.IN_MOVED   = inotify.IN_MOVED_FROM | inotify.IN_MOVED_TO
inotify.IN_CHANGED = inotify.IN_MODIFY | inotify.IN_ATTRIB

---What `watch` looks for unless it is told.
inotify.IN_WATCH_MASK = inotify.IN_CHANGED | inotify.IN_CREATE | inotify.IN_DELETE | inotify.IN_DELETE_SELF
  | inotify.IN_MOVE_SELF | inotify.IN_UNMOUNT | inotify.IN_MOVED

local APPEARS = inotify.IN_CREATE | inotify.IN_MOVED_TO
local ALWAYS  = inotify.IN_DELETE_SELF | inotify.IN_UNMOUNT | inotify.IN_Q_OVERFLOW
local ALL     = 0xfff | inotify.IN_UNMOUNT | inotify.IN_ONLYDIR | inotify.IN_DONT_FOLLOW

---@param mask integer
---@return string[] words such as "create", "is_dir"
function inotify.humanReadableMask(mask)
  local words = {}
  for _, flag in ipairs(FLAGS) do
    if mask & flag[2] ~= 0 then words[#words + 1] = flag[3] end
  end
  return words
end

---A path that is watched.
---@class twistlua.inotify.Watch: twistlua.Object
---@field path string
---@field mask integer
---@field autoAdd boolean
local Watch = Object:extend("Watch")

function Watch:init(number, path, given)
  self.path = path
  self.mask = given.mask
  self.autoAdd = given.autoAdd
  self._number, self._given = number, given
end

function Watch:_tell(path, mask)
  if mask & (self.mask | ALWAYS) == 0 then return end
  for _, callback in ipairs(self._given.callbacks) do
    guard.run("Unhandled error in a callback of inotify", callback, self, path, mask)
  end
end

---Watches paths. Raises IOError where the system has no more notifiers, or none at all.
---@class twistlua.inotify.INotify: twistlua.Object
---@field reactor twistlua.Reactor
---@operator call(...): twistlua.inotify.INotify
local INotify = Object:extend("INotify")

local function failed(what, message, code, errno)
  return errors.permission(code, message) or errors.IOError(what .. ": " .. message, { errno = errno, code = code })
end

---@param reactor? twistlua.Reactor default the one there is
function INotify:init(reactor)
  local notifier, message, code, errno = core.inotify.open()
  if not notifier then error(failed("INotify", message, code, errno), 0) end
  self.reactor = reactor or require "twistlua.reactor"
  self._notifier = notifier
  self._watches = {}   -- the kernel's number → Watch
  self._paths = {}     -- path → Watch
end

---Begin to call the callbacks; events since `watch` are told, too.
function INotify:startReading() self.reactor:addReader(self) end

---Call none until startReading.
function INotify:stopReading() self.reactor:removeReader(self) end

function INotify:fileno() return self._notifier:fd() end
function INotify:logPrefix() return self.__name end

---Stop watching, for good.
function INotify:loseConnection()
  self.reactor:removeReader(self)
  self:connectionLost()
end

function INotify:connectionLost()
  self._notifier:close()
  self._watches, self._paths = {}, {}
end

-- ---- Watches --------------------------------------------------------------------------------

local WATCH = { mask = "integer", autoAdd = "boolean", recursive = "boolean", callbacks = "table" }

local function withoutSlash(path)
  return #path > 1 and path:gsub("(.)/+$", "%1") or path
end

local function child(path, name)
  return path:sub(-1) == "/" and path .. name or path .. "/" .. name
end

-- What the kernel is asked for: what we need to know ourselves, too.
local function kernelMask(given)
  return given.mask | inotify.IN_DELETE_SELF | (given.autoAdd and inotify.IN_CREATE | inotify.IN_MOVED or 0)
end

-- The watch, or nil and why.
function INotify:_add(path, given)
  local number, message, code, errno = self._notifier:add(path, kernelMask(given))
  if not number then return nil, failed(path, message, code, errno) end
  local other = self._watches[number]
  if other then
    self._notifier:add(other.path, kernelMask(other._given))   -- the call has replaced its mask
    return nil, failed(path, "it is watched already, as " .. other.path)
  end
  local watch = Watch(number, path, given)
  self._watches[number], self._paths[path] = watch, watch
  return watch
end

-- Watch what is in a directory, and below. It may change meanwhile: what has gone is left out.
function INotify:_addBelow(path, given, tell)
  for name, directory in pairs((core.inotify.list(path)) or {}) do
    local below = child(path, name)
    if tell then tell(below, directory) end
    if directory and not self._paths[below] and self:_add(below, given) then self:_addBelow(below, given, tell) end
  end
end

---Watch a file or directory: each callback is called with the watch, the path that changed, and the mask of what
---happened. The path's own end (IN_DELETE_SELF, IN_UNMOUNT) and lost events (IN_Q_OVERFLOW) are always told.
---@param path string
---@param given? { mask?: integer, autoAdd?: boolean, recursive?: boolean, callbacks?: function[] } mask default
---  IN_WATCH_MASK; autoAdd watches directories that appear, and tells what is in them already as IN_CREATE: at least
---  once, so that nothing is missed; recursive watches all directories below now (links are not followed)
---@return twistlua.inotify.Watch watch raises IOError for a path that is not there, or is watched already
function INotify:watch(path, given)
  given = options.check("watch", given, WATCH)
  if type(path) ~= "string" or path:find("\0", 1, true) then
    error("watch: path must be a string without zero bytes, got " .. type(path), 2)
  end
  local mask = given.mask or inotify.IN_WATCH_MASK
  if mask & ALL == 0 or mask & ~ALL ~= 0 then error(("watch: no mask: %#x"):format(mask), 2) end
  for _, callback in ipairs(given.callbacks or {}) do
    if type(callback) ~= "function" then error("watch: a callback is no function but a " .. type(callback), 2) end
  end
  path = withoutSlash(path)
  if self:fileno() < 0 then error("watch: the notifier is closed", 2) end
  local kept = { mask = mask, autoAdd = given.autoAdd or false, callbacks = given.callbacks or {} }
  local watch, problem = self:_add(path, kept)
  if not watch then error(problem, 0) end
  if given.recursive then self:_addBelow(path, kept) end
  return watch
end

function INotify:_forget(watch)
  self._watches[watch._number] = nil
  if self._paths[watch.path] == watch then self._paths[watch.path] = nil end
end

---Watch a path no more. Raises for one that is not watched. What is below it goes on being watched.
---@param path string
function INotify:ignore(path)
  local watch = type(path) == "string" and self._paths[withoutSlash(path)]
  if not watch then error(("ignore: '%s' is not watched"):format(tostring(path)), 2) end
  self:_forget(watch)
  self._notifier:remove(watch._number)
end

-- A directory went away under its old name: its watches would tell paths that are none.
function INotify:_ignoreBelow(path)
  for _, watch in pairs(self._watches) do
    if watch.path == path or watch.path:sub(1, #path + 1) == path .. "/" then self:ignore(watch.path) end
  end
end

-- ---- Events ---------------------------------------------------------------------------------------

-- Its first files may have come before its watch.
function INotify:_directoryAppeared(watch, path)
  local given = watch._given
  if self._paths[path] or not self:_add(path, given) then return end
  self:_addBelow(path, given, function(below, directory)
    watch:_tell(below, inotify.IN_CREATE | (directory and inotify.IN_ISDIR or inotify.IN_CLOSE_WRITE))
  end)
end

function INotify:_happened(number, mask, name)
  local watch = self._watches[number]
  if not watch then return end   -- ignored since
  if mask & inotify.IN_IGNORED ~= 0 then return self:_forget(watch) end
  local path = name == "" and watch.path or child(watch.path, name)
  local isDirectory = watch.autoAdd and mask & inotify.IN_ISDIR ~= 0 and name ~= ""
  if isDirectory and mask & inotify.IN_MOVED_FROM ~= 0 then self:_ignoreBelow(path) end
  watch:_tell(path, mask)
  if isDirectory and mask & APPEARS ~= 0 and self._watches[number] then self:_directoryAppeared(watch, path) end
end

function INotify:_overflowed()
  log.msg("inotify: events were lost, there were too many")
  local watches = {}
  for _, watch in pairs(self._watches) do watches[#watches + 1] = watch end
  for _, watch in ipairs(watches) do watch:_tell(watch.path, inotify.IN_Q_OVERFLOW) end
end

---Called by the reactor.
function INotify:doRead()
  local events, message, code, errno = self._notifier:read()
  if not events then
    if code == "EAGAIN" then return nil end
    return failed("inotify", message, code, errno)
  end
  for index = 1, #events, 3 do
    local number, mask, name = events[index], events[index + 1], events[index + 2]
    if mask & inotify.IN_Q_OVERFLOW ~= 0 then
      self:_overflowed()
    else
      self:_happened(number, mask, name)
    end
  end
end

inotify.INotify, inotify.Watch = INotify, Watch

return inotify
