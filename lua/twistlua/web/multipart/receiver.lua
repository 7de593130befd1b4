-- SPDX-License-Identifier: MIT
-- web/multipart/receiver.lua -- takes the form in the body of a request while it comes: `onBody` of routes and
-- resources.

local Object    = require("twistlua.class").Object
local content   = require "twistlua.web.http.content"
local errors    = require "twistlua.web.error"
local form      = require "twistlua.web.http.form"
local multipart = require "twistlua.web.multipart"
local options   = require "twistlua.options"

local MEMORY, TEXT_LIMIT, MAX_FILES = 100000, 1024 * 1024, 100

-- ---- Sinks ----------------------------------------------------------------------------------------------

-- Keeps a value in memory; all of one form share a bound.
local Text = Object:extend("Text")

function Text:init(receiver, part)
  self._receiver, self._part, self._pieces = receiver, part, {}
end

function Text:write(data)
  local receiver = self._receiver
  receiver._textLeft = receiver._textLeft - #data
  if receiver._textLeft < 0 then
    error(errors.Error(413, ("the values of the form are longer than %d bytes"):format(receiver._textLimit)), 0)
  end
  self._pieces[#self._pieces + 1] = data
end

function Text:finish()
  self._part.value = table.concat(self._pieces)
end

-- Keeps a file: in memory while it is small, then in a temporary one.
local Kept = Object:extend("Kept")

function Kept:init(part, memory)
  self._part, self._buffer = part, content.ContentBuffer(memory)
end

function Kept:write(data) self._buffer:write(data) end

function Kept:finish() self._part.content = self._buffer:content() end

function Kept:abort() self._buffer:content():close() end

-- ---- The receiver ---------------------------------------------------------------------------------------

local Receiver = Object:extend("Receiver")

function Receiver:init(request, boundary, given)
  self._request   = request
  self._given     = given
  self._textLimit = given.textLimit or TEXT_LIMIT
  self._textLeft  = self._textLimit
  self._files     = 0
  self._parser    = multipart.Parser(boundary, function(part) return self:_begin(part) end, {
    maxParts = given.maxParts or request.channel.factory.formFields, headLimit = given.headLimit,
    partLimit = given.partLimit,
  })
  request:_keep("parts", {})
  request:notifyFinish():addBoth(function() self:_over() end)
end

function Receiver:_begin(part)
  if part.filename == "" then return nil end   -- an input that no file was chosen for
  local parts = self._request.parts
  parts[#parts + 1] = part
  if not part.filename then return Text(self, part) end
  self._files = self._files + 1
  local most = self._given.maxFiles or MAX_FILES
  if self._files > most then error(errors.Error(413, ("there are more than %d files"):format(most)), 0) end
  if self._given.onFile then return self._given.onFile(part, self._request) end
  return Kept(part, self._given.memory or MEMORY)
end

function Receiver:write(data) return self._parser:write(data) end

-- The body is complete: what is no file is in `args`, too.
function Receiver:finish()
  self._parser:finish()
  local args = self._request.args
  for _, part in ipairs(self._request.parts) do
    if part.value then form.add(args, part.name, part.value) end
  end
end

function Receiver:_over()
  self._parser:abort()
  for _, part in ipairs(self._request.parts) do
    if part.content then part.content:close() end
  end
end

local GIVEN = {
  onFile = "function", memory = "integer", textLimit = "integer", maxParts = "integer", maxFiles = "integer",
  headLimit = "integer", partLimit = "number",
}

local receiver = {}

---What to give as `onBody` to have forms read as they come. The handler finds the list `request.parts`: parts with
---`name`, `filename`, `type`, `headers`, `size`, and `value`, or for a file `content`, which reads like a file of Lua;
---`request.args` has the values. Bodies of other types are left alone, `parts` is nil then. Malformed forms are
---answered by 400, what is more than the limits by 413.
---@param given? { onFile?: (fun(part, request): table|nil), memory?: integer, textLimit?: integer, maxParts?: integer,
---  maxFiles?: integer, headLimit?: integer, partLimit?: number } onFile: returns the sink of a file (see Parser), and
---  then `content` is not there; memory: bytes of a file that are kept in memory, and not in a temporary one, default
---  100,000; textLimit: bytes of all values together, 1 MiB; maxParts: formFields of the site; maxFiles: 100;
---  headLimit: bytes of the fields of one part, 8192; partLimit: bytes of one part, no limit but that of the body
---@return fun(...): table|nil onBody for a route, or a resource
function receiver.receive(given)
  given = options.check("receive", given, GIVEN)
  return function(first, second)
    local request = second or first   -- the first is a resource, if there are two
    local boundary = multipart.boundaryOf(request:getHeader("content-type"))
    return boundary and Receiver(request, boundary, given) or nil
  end
end

return receiver
