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

local Readiness = Object:extend("Readiness")

function Readiness:init()
  self._entries = {}   -- descriptor → { watch, reader, writer }
  self._fds = { reader = {}, writer = {} }   -- object → descriptor
end

local function update(entry)
  entry.watch:set(entry.reader ~= nil, entry.writer ~= nil)
end

function Readiness:_entry(fd)
  local entry = self._entries[fd]
  if not entry then
    entry = {}
    entry.watch = core.watch.new(fd, function(_, readable, writable)
      self:_ready(fd, entry, readable, writable)
    end)
    self._entries[fd] = entry
  end
  return entry
end

function Readiness:add(object, role)
  if type(object) ~= "table" and type(object) ~= "userdata" then
    error(("add%s: object expected, got %s"):format(role == "reader" and "Reader" or "Writer", type(object)), 3)
  end
  local fd = object:fileno()
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
  local ok, why = true, nil
  if object:fileno() ~= fd then
    why = errors.ConnectionLost("its file descriptor went away")
  else
    ok, why = guard.call(object[METHOD[role]], object)
    if not ok then log.err(why, "Unhandled Error") end
  end
  if why ~= nil then self:_lose(object, why) end
end

function Readiness:_ready(fd, entry, readable, writable)
  if not readable and not writable then return self:_forget(fd, entry) end
  local reader, writer = entry.reader, entry.writer
  if readable and reader then self:_dispatch(reader, "reader", fd) end
  if writable and writer and entry.writer == writer then self:_dispatch(writer, "writer", fd) end
end

-- The number belongs to another descriptor now: this one was closed without a word.
function Readiness:_forget(fd, entry)
  self._entries[fd] = nil
  for role, fds in pairs(self._fds) do
    local object = entry[role]
    if object then fds[object] = nil end
  end
end

function Readiness:disconnectAll()
  for _, object in ipairs(self:removeAll()) do
    self:_lose(object, errors.ConnectionLost())
  end
end

return Readiness
