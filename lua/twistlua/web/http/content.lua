-- SPDX-License-Identifier: MIT
-- web/http/content.lua -- the body of a request: in memory while it is small, in a temporary file from then on. Either
-- reads like a file of Lua.

local Object = require("twistlua.class").Object

---A string that reads like a file opened for reading.
---@class twistlua.StringFile: twistlua.Object
---@operator call(string): twistlua.StringFile
local StringFile = Object:extend("StringFile")

---@param text string
function StringFile:init(text)
  self._text = text
  self._at = 1
end

local READERS = {}

function READERS.a(file)
  local rest = file._text:sub(file._at)
  file._at = #file._text + 1
  return rest
end

local function line(file, keep)
  if file._at > #file._text then return nil end
  local stop = file._text:find("\n", file._at, true)
  local last = stop or #file._text
  local found = file._text:sub(file._at, stop and not keep and stop - 1 or last)
  file._at = last + 1
  return found
end

function READERS.l(file) return line(file, false) end

function READERS.L(file) return line(file, true) end

function READERS.n(file)
  local _, stop, found = file._text:find("^%s*([+-]?[%w.]+)", file._at)
  local number = found and tonumber(found)
  if number then file._at = stop + 1 end
  return number
end

local function readOne(file, format)
  if type(format) == "number" then
    if file._at > #file._text then return format == 0 and #file._text > 0 and "" or nil end
    local found = file._text:sub(file._at, file._at + format - 1)
    file._at = file._at + #found
    return found
  end
  local reader = READERS[format:gsub("^%*", ""):sub(1, 1)]
  if not reader then error("read: invalid format '" .. format .. "'", 3) end
  return reader(file)
end

---As the method of Lua's files.
---@param ... string|integer
---@return string|number|nil ...
function StringFile:read(...)
  if select("#", ...) == 0 then return readOne(self, "l") end
  local results = table.pack(...)
  for index = 1, results.n do results[index] = readOne(self, results[index]) end
  return table.unpack(results, 1, results.n)
end

---As the method of Lua's files.
---@param ... string|integer
---@return fun(): string|number|nil
function StringFile:lines(...)
  local formats = table.pack(...)
  return function() return self:read(table.unpack(formats, 1, formats.n)) end
end

---As the method of Lua's files.
---@param whence? "set"|"cur"|"end"
---@param offset? integer
---@return integer|nil position, string? message
function StringFile:seek(whence, offset)
  local base = whence == "set" and 0 or whence == "end" and #self._text or self._at - 1
  local position = base + (offset or 0)
  if position < 0 then return nil, "Invalid argument" end
  self._at = position + 1
  return position
end

function StringFile:close()
  return true
end

---Takes a body in as it comes.
---@class twistlua.ContentBuffer: twistlua.Object
---@operator call(integer): twistlua.ContentBuffer
local ContentBuffer = Object:extend("ContentBuffer")

---@param memory integer bytes; more go to a temporary file
function ContentBuffer:init(memory)
  self._memory = memory
  self._pieces = {}
  self._size = 0
  self._file = nil
end

---@param data string
function ContentBuffer:write(data)
  self._size = self._size + #data
  if self._file then
    assert(self._file:write(data))
    return
  end
  self._pieces[#self._pieces + 1] = data
  if self._size <= self._memory then return end
  self._file = assert(io.tmpfile())
  assert(self._file:write(table.unpack(self:_join())))
  self._pieces = nil
end

-- Pieces may be many and small: what is unpacked must not be.
function ContentBuffer:_join()
  self._pieces = { table.concat(self._pieces) }
  return self._pieces
end

---What has been taken in, from its beginning.
---@return twistlua.StringFile|file*
function ContentBuffer:content()
  if not self._file then return StringFile(table.concat(self._pieces)) end
  self._file:seek("set")
  return self._file
end

---@param content table|file*
---@return boolean it is a file, to be closed when the request is over
local function isFile(content)
  return io.type(content) == "file"
end

return { StringFile = StringFile, ContentBuffer = ContentBuffer, isFile = isFile }
