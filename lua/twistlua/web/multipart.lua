-- SPDX-License-Identifier: MIT
-- web/multipart.lua -- multipart/form-data (RFC 7578, 2046) as it comes: each part goes to a sink of its own, and no
-- more is held than a head of a part, or what may be the beginning of a boundary. Of n bytes each is looked at once or
-- twice, however they are cut.
-- Invariant: what is before `_at` in `_buffer` is done; a step that needs more leaves the rest there.

local core      = require "twistlua.core"
local Object    = require("twistlua.class").Object
local defer     = require "twistlua.defer"
local errors    = require "twistlua.web.error"
local options   = require "twistlua.options"
local partHead  = require "twistlua.web.multipart.head"

local isDeferred = core.deferred.isDeferred

local MAX_PARTS, MAX_HEAD = 1000, 8192
local MAX_PADDING = 64   -- bytes of blanks behind a boundary

local function malformed(message)
  error(errors.BadRequest(message), 0)
end

local function tooMuch(message)
  error(errors.Error(413, message), 0)
end

-- ---- The parser ---------------------------------------------------------------------------------------

---Takes a body in pieces, and hands the content of its parts on.
---@class twistlua.web.multipart.Parser: twistlua.Object
---@operator call(...): twistlua.web.multipart.Parser
local Parser = Object:extend("Parser")

local PARSER = { maxParts = "integer", headLimit = "integer", partLimit = "number" }

---@param boundary string
---@param onPart fun(part: twistlua.web.multipart.Part): table|nil called with each part before its content: returns
---  what gets that, or nil if nobody wants it. A sink has `write(data)`, and if it likes `finish()`, both of which may
---  return a Deferred, until which nothing more comes, and `abort()`, called where the rest does not come
---@param given? { maxParts?: integer, headLimit?: integer, partLimit?: number } default 1000, 8192 bytes, no limit for
---  the bytes of one part; what is more is an error of the status 413
function Parser:init(boundary, onPart, given)
  given = options.check("multipart.Parser", given, PARSER)
  self._delimiter = "\r\n--" .. boundary
  self._onPart    = onPart
  self._maxParts  = given.maxParts or MAX_PARTS
  self._headLimit = given.headLimit or MAX_HEAD
  self._partLimit = given.partLimit or math.huge
  self._count     = 0
  self._buffer    = "\r\n"   -- the first boundary need not have a line before it
  self._at        = 1
  self._skip      = 2        -- bytes of the buffer that are no content
  self._state     = "content"
  self._part      = nil      -- whose content comes
  self._sink      = nil
end

local STEPS = {}

-- Hand content on; a Deferred where that takes its time.
local function pass(parser, from, to)
  local skipped = math.min(parser._skip, to - from + 1)
  parser._skip, from = parser._skip - skipped, from + skipped
  local part, sink = parser._part, parser._sink
  if to < from or not part then return nil end
  part.size = part.size + to - from + 1
  if part.size > parser._partLimit then
    tooMuch(("the part '%s' is longer than %d bytes"):format(part.name, parser._partLimit))
  end
  return sink and sink:write(parser._buffer:sub(from, to))
end

-- Where the end of the buffer may be the beginning of a delimiter; behind it if it is not.
local function findHeld(buffer, at, delimiter)
  local size = #buffer
  local from = buffer:find("\r", math.max(at, size - #delimiter + 2), true)
  while from and buffer:sub(from) ~= delimiter:sub(1, size - from + 1) do
    from = buffer:find("\r", from + 1, true)
  end
  return from or size + 1
end

-- Steps return whether there is more to do with what is there, and a Deferred to wait for.

function STEPS.content(parser)
  local buffer, at, delimiter = parser._buffer, parser._at, parser._delimiter
  local from, to = buffer:find(delimiter, at, true)
  if not from then
    local held = findHeld(buffer, at, delimiter)
    parser._at = held
    return false, pass(parser, at, held - 1)
  end
  parser._at, parser._state = to + 1, "ending"
  return true, pass(parser, at, from - 1)
end

function STEPS.ending(parser)
  local sink = parser._sink
  parser._part, parser._sink = nil, nil
  parser._state = "boundary"
  return true, sink and sink.finish and sink:finish() or nil
end

-- Behind a boundary: the end of its line, or of all.
function STEPS.boundary(parser)
  local buffer, at = parser._buffer, parser._at
  if buffer:sub(at, at + 1) == "--" then
    parser._state = "over"
    return true
  end
  local head = buffer:match("^[ \t]*\r\n()", at)
  if head then
    parser._count = parser._count + 1
    if parser._count > parser._maxParts then tooMuch(("there are more than %d parts"):format(parser._maxParts)) end
    parser._at, parser._state = head, "head"
    parser._head, parser._headSize, parser._tail = {}, 0, "\r\n"
    return true
  end
  local rest = buffer:sub(at, at + MAX_PADDING)
  if #rest > MAX_PADDING or not (rest == "-" or rest:find("^[ \t]*\r?$")) then
    malformed("there is something behind a boundary")
  end
  return false
end

-- Where the empty line behind the fields of a part ends, which may have begun before this buffer.
local function findHeadEnd(parser)
  local buffer, at, tail = parser._buffer, parser._at, parser._tail
  local found = (tail .. buffer:sub(at, at + 2)):find("\r\n\r\n", 1, true)
  if found then return at + found + 2 - #tail end
  return select(2, buffer:find("\r\n\r\n", at, true))
end

function STEPS.head(parser)
  local buffer, at = parser._buffer, parser._at
  local last = findHeadEnd(parser)
  parser._headSize = parser._headSize + (last or #buffer) - at + 1
  if parser._headSize > parser._headLimit then
    tooMuch(("the fields of a part are longer than %d bytes"):format(parser._headLimit))
  end
  parser._head[#parser._head + 1] = buffer:sub(at, last or #buffer)
  if not last then
    parser._tail = (parser._tail .. buffer:sub(-3)):sub(-3)
    parser._at = #buffer + 1
    return false
  end
  local part, message = partHead.parse(table.concat(parser._head))
  if not part then malformed(message) end
  -- The next boundary may begin with the end of this line: then there is no content.
  if last - at < 1 then
    parser._buffer, last = "\r\n" .. buffer:sub(last + 1), 2
  end
  parser._at, parser._skip, parser._state = last - 1, 2, "content"
  parser._part = part
  parser._sink = parser._onPart(part)
  return true
end

function STEPS.over(parser)
  parser._at = #parser._buffer + 1
  return false
end

-- Go on until more is needed, or there is a Deferred to wait for, which is returned.
local function advance(parser)
  local more, result
  repeat
    more, result = STEPS[parser._state](parser)
    if isDeferred(result) then return result, more end
  until not more
end

---@param data string
---@return twistlua.Deferred|nil taken all has gone to the sinks, which a Deferred tells if they take their time: no
---  more may be written before. Raises errors of twistlua.web.error
function Parser:write(data)
  self._buffer = self._at > #self._buffer and data or self._buffer:sub(self._at) .. data
  self._at = 1
  local waiting, more = advance(self)
  if not waiting then return nil end
  return defer.run(function()
    defer.await(waiting)
    while more do
      waiting, more = advance(self)
      if waiting then defer.await(waiting) end
    end
  end)
end

---The body is at its end; raises an error if the form is not.
function Parser:finish()
  if self._state == "over" then return end
  malformed(self._count == 0 and self._state == "content" and "the boundary is missing"
    or "the last boundary is missing")
end

---The rest does not come.
function Parser:abort()
  local sink = self._sink
  self._part, self._sink = nil, nil
  if sink and sink.abort then return sink:abort() end
end

-- ---- Forms in requests ----------------------------------------------------------------------------------

---The boundary of a multipart form; nil for another type. Raises a BadRequest where it is malformed.
---@param kind string|nil the value of Content-Type
---@return string|nil
local function boundaryOf(kind)
  local media = (kind or ""):match("^%s*([^;%s]*)"):lower()
  if media ~= "multipart/form-data" then return nil end
  local boundary = partHead.parameter(kind, "boundary")
  if not boundary or boundary == "" or #boundary > 70 then malformed("multipart without a boundary") end
  return boundary
end

local function receive(given)
  return require("twistlua.web.multipart.receiver").receive(given)
end

return {
  Parser     = Parser,
  boundaryOf = boundaryOf,
  receive    = receive,
}
