-- SPDX-License-Identifier: MIT
-- reactor/readiness.lua -- addReader and addWriter: objects with a descriptor of their own.
-- A descriptor has one watch, with at most one reader and one writer on it.

local core    = require "twistlua.core"
local Object  = require("twistlua.class").Object
local Failure = require("twistlua.failure").Failure
local errors  = require "twistlua.error"
local log     = require "twistlua.log"
local guard = require "twistlua.guard"

local METHOD = { reader = "doRead", writer = "doWrite" }
local WENT_AWAY = "its file descriptor went away"

local Readiness = Object:extend("Readiness")

function Readiness:init(reactor)
  self._reactor = reactor
  self._entries = {}   -- descriptor → { watch, reader, writer }
  self._fds = { reader = {}, writer = {} }   -- object → descriptor
end

local function update(entry)
  entry.watch:set(entry.reader ~= nil, entry.writer ~= nil)
end

-- nil for an object that has lost its descriptor, or cannot tell.
local function descriptorOf(object)
  local ok, fd = guard.call(object.fileno, object)
  if ok then return fd end
  log.err(fd, "Unhandled error in fileno")
end

-- Whether one of the entry's objects has left the descriptor: its number has a new owner now.
local function isStale(entry, fd)
  for role in pairs(METHOD) do
    if entry[role] and descriptorOf(entry[role]) ~= fd then return true end
  end
  return false
end

function Readiness:_entry(fd)
  local entry = self._entries[fd]
  if entry and isStale(entry, fd) then
    entry.watch:set(false, false)
    self:_forget(fd, entry)
    entry = nil
  end
  if not entry then
    entry = {}
    entry.watch = core.watch.new(fd, function(_, readable, writable)
      self:_ready(fd, entry, readable, writable)
    end)
    self._entries[fd] = entry
  end
  return entry
end

local function checkObject(what, object, method)
  if type(object) ~= "table" and type(object) ~= "userdata" then
    error(("%s: object expected, got %s"):format(what, type(object)), 4)
  end
  for _, name in ipairs { "fileno", method } do
    if object[name] == nil then error(("%s: the object has no %s"):format(what, name), 4) end
  end
end

function Readiness:add(object, role)
  local what = role == "reader" and "addReader" or "addWriter"
  checkObject(what, object, METHOD[role])
  local fd = object:fileno()
  if math.type(fd) ~= "integer" or fd < 0 then
    error(("%s: fileno() must return a descriptor, got %s"):format(what, tostring(fd)), 3)
  end
  if self._fds[role][object] == fd then return end
  self:remove(object, role)
  local entry = self:_entry(fd)
  if entry[role] then self._fds[role][entry[role]] = nil end
  entry[role] = object
  self._fds[role][object] = fd
  update(entry)
end

function Readiness:remove(object, role)
  local fd = self._fds[role][object]
  if not fd then return end
  self._fds[role][object] = nil
  local entry = self._entries[fd]
  entry[role] = nil
  update(entry)
  if not entry.reader and not entry.writer then self._entries[fd] = nil end
end

function Readiness:list(role)
  local objects = {}
  for object in pairs(self._fds[role]) do objects[#objects + 1] = object end
  return objects
end

function Readiness:removeAll()
  local all, seen = {}, {}
  for _, role in ipairs { "reader", "writer" } do
    for _, object in ipairs(self:list(role)) do
      self:remove(object, role)
      if not seen[object] then all[#all + 1] = object end
      seen[object] = true
    end
  end
  return all
end

function Readiness:_lose(object, reason)
  self:remove(object, "reader")
  self:remove(object, "writer")
  local failure = guard.isFailure(reason) and reason or Failure(reason)
  guard.run("Unhandled error in connectionLost", object.connectionLost, object, failure)
end

-- One half of an event. doRead and doWrite tell an end by returning or raising it.
function Readiness:_dispatch(object, role, fd)
  if descriptorOf(object) ~= fd then
    return self:_lose(object, errors.ConnectionLost(WENT_AWAY))
  end
  local ok, why = guard.call(object[METHOD[role]], object)
  if not ok then log.err(why, "Unhandled Error") end
  if why ~= nil then self:_lose(object, why) end
end

function Readiness:_ready(fd, entry, readable, writable)
  if not readable and not writable then return self:_forget(fd, entry) end
  local reader, writer = entry.reader, entry.writer
  if readable and reader then self:_dispatch(reader, "reader", fd) end
  if writable and writer and entry.writer == writer then self:_dispatch(writer, "writer", fd) end
end

function Readiness:_has(object)
  return self._fds.reader[object] ~= nil or self._fds.writer[object] ~= nil
end

-- The number belongs to another descriptor now, or to none: this one was closed without a word.
function Readiness:_forget(fd, entry)
  self._entries[fd] = nil
  local lost = {}
  for role, fds in pairs(self._fds) do
    local object = entry[role]
    if object then
      fds[object] = nil
      lost[object] = true
    end
  end
  for object in pairs(lost) do
    -- In a turn of its own: this may be inside somebody else's addReader.
    self._reactor:_soon(function()
      if not self:_has(object) then self:_lose(object, errors.ConnectionLost(WENT_AWAY)) end
    end)
  end
end

function Readiness:disconnectAll()
  for _, object in ipairs(self:removeAll()) do
    self:_lose(object, errors.ConnectionLost())
  end
end

return Readiness
