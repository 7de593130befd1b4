-- SPDX-License-Identifier: MIT
-- file.lua -- files without blocking the reactor: each call is done by a thread of its pool. A failure is a
-- FileError with the path. A call that is cancelled before it has begun does nothing; after that it is finished.

local core    = require("twistlua.core").file
local errors  = require "twistlua.error"
local options = require "twistlua.options"
local reactor = require "twistlua.reactor"

local MAX_SIZE = 64 * 1024 * 1024

core.open(function(verb, path, message, code, errno)
  if code == "EDENIED" then return errors.PermissionError(message) end
  local text = ("Couldn't %s %s: %d: %s."):format(verb, path, errno, message)
  return errors.FileError(text, { path = path, code = code, errno = errno })
end)

---@class twistlua.file
local file = {}

local function checkPath(what, path)
  if type(path) ~= "string" or path == "" or path:find("\0", 1, true) then
    local got = type(path) == "string" and ("%q"):format(path) or type(path)
    error(("%s: a path expected, got %s"):format(what, got), 3)
  end
end

-- Permissions as open(2) takes them: the umask takes some away.
local function modeOf(what, given, default)
  local mode = given or default
  if mode < 0 or mode > 4095 then error(what .. ": mode must be between 0 and tonumber(\"7777\", 8)", 3) end
  return mode
end

local function start(call, ...)
  return reactor:getThreadPool():_submit(2, call, ...)
end

local READ = { maxSize = "integer" }

---Read a file in one go.
---@param path string
---@param given? { maxSize?: integer } bytes, default 64 MiB; a larger file is a FileError with the code "EFBIG"
---@return twistlua.Deferred content a string
function file.read(path, given)
  checkPath("file.read", path)
  local maxSize = options.check("file.read", given, READ).maxSize or MAX_SIZE
  if maxSize < 0 then error("file.read: maxSize must not be negative", 2) end
  return start(core.read, path, maxSize)
end

local WRITE = { mode = "integer", append = "boolean", atomic = "boolean", new = "boolean" }

---Write a file: make it, or replace what is in it.
---@param path string
---@param data string
---@param given? { mode?: integer, append?: boolean, atomic?: boolean, new?: boolean } mode of a new file, default
---  tonumber("666", 8); append adds to what is there; atomic writes a file beside it, which takes the other's place
---  and mode when its content is on the disk, so that nobody ever sees half of it, and a link is replaced by a file;
---  new fails with the code "EEXIST" if there is one
---@return twistlua.Deferred done nil
function file.write(path, data, given)
  checkPath("file.write", path)
  if type(data) ~= "string" then error("file.write: data must be a string, got " .. type(data), 2) end
  given = options.check("file.write", given, WRITE)
  if given.atomic and (given.append or given.new) then
    error("file.write: atomic goes with neither append nor new", 2)
  end
  local mode = modeOf("file.write", given.mode, 438)
  return start(core.write, path, data, mode, given.append, given.atomic, given.new)
end

local STAT = { followLinks = "boolean" }

---@class twistlua.FileInfo
---@field type "file"|"directory"|"link"|"other"
---@field size integer bytes
---@field mode integer permission bits
---@field uid integer
---@field gid integer
---@field ino integer
---@field dev integer
---@field nlink integer
---@field atime number seconds since 1970, as are mtime and ctime
---@field mtime number
---@field ctime number

---Look at what a path names.
---@param path string
---@param given? { followLinks?: boolean } false looks at a symbolic link itself
---@return twistlua.Deferred info a FileInfo
function file.stat(path, given)
  checkPath("file.stat", path)
  return start(core.stat, path, options.check("file.stat", given, STAT).followLinks ~= false)
end

---@param path string a directory
---@return twistlua.Deferred names sorted by their bytes, without "." and ".."
function file.list(path)
  checkPath("file.list", path)
  return start(core.list, path)
end

---Rename a file or directory. A file that is there is replaced, at once for whoever looks.
---@param from string
---@param to string on the same file system
---@return twistlua.Deferred done nil
function file.rename(from, to)
  checkPath("file.rename", from)
  checkPath("file.rename", to)
  return start(core.rename, from, to)
end

---Remove a file, a symbolic link or an empty directory.
---@param path string
---@return twistlua.Deferred done nil
function file.remove(path)
  checkPath("file.remove", path)
  return start(core.remove, path)
end

local MAKE_DIRECTORY = { mode = "integer", parents = "boolean" }

---Make a directory.
---@param path string
---@param given? { mode?: integer, parents?: boolean } mode default tonumber("777", 8); parents makes those above it,
---  too, and is content with one that exists
---@return twistlua.Deferred done nil
function file.makeDirectory(path, given)
  checkPath("file.makeDirectory", path)
  given = options.check("file.makeDirectory", given, MAKE_DIRECTORY)
  return start(core.makeDirectory, path, modeOf("file.makeDirectory", given.mode, 511), given.parents)
end

return file
