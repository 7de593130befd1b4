-- SPDX-License-Identifier: MIT
-- web/route/pattern.lua -- reads the patterns of routes, such as "/users/:id<integer>/posts/*rest".
-- A pattern is a list of segments between slashes, each of which is one of:
--   text           itself, as it is after decoding: "café", not "caf%C3%A9"; "\:x" is the text ":x"
--   :name          any text but the empty one
--   :name<type>    what the type takes, converted: integer, number, uuid
--   :name(pattern) what a pattern of Lua matches from its beginning to its end
--   *name          all that is left, which may be empty; the last segment only

---@class twistlua.web.route.Segment
---@field text string|nil of a text
---@field name string|nil of a parameter
---@field rest boolean|nil
---@field key string|nil what tells one constraint from another
---@field check nil|fun(text: string): any value of the parameter, nil for a text that does not fit

local TYPES = {}

function TYPES.integer(text)
  return #text <= 18 and text:find("^-?%d+$") and math.tointeger(text) or nil
end

function TYPES.number(text)
  return text:find("^-?%d+%.?%d*$") and tonumber(text) or nil
end

local FOUR = ("%x"):rep(4)
local UUID = "^" .. table.concat({ FOUR:rep(2), FOUR, FOUR, FOUR, FOUR:rep(3) }, "%-") .. "$"

function TYPES.uuid(text)
  return text:find(UUID) and text:lower() or nil
end

local pattern = {}

local function matcher(luaPattern)
  local anchored = "^" .. luaPattern .. "$"
  string.find("", anchored)   -- raises for one whose beginning is malformed; Lua looks no further
  return function(text)
    return text:find(anchored) and text or nil
  end
end

local function parameter(segment, fail)
  local name, constraint = segment:match("^:([%a_][%w_]*)(.*)$")
  if not name then fail("':' must be followed by a name") end
  if constraint == "" then return { name = name } end
  local typeName = constraint:match("^<(.*)>$")
  if typeName then
    local check = TYPES[typeName] or fail("unknown type '" .. typeName .. "' (known: integer, number, uuid)")
    return { name = name, key = constraint, check = check }
  end
  local luaPattern = constraint:match("^%((.+)%)$")
    or fail("after the name, '<type>' or '(pattern)' expected, not '" .. constraint .. "'")
  local ok, check = pcall(matcher, luaPattern)
  if not ok then fail((tostring(check):gsub("^[^:]*:%d+: ", ""))) end
  return { name = name, key = constraint, check = check }
end

local function read(segment, isLast, fail)
  local first = segment:sub(1, 1)
  if first == ":" then return parameter(segment, fail) end
  if first ~= "*" then return { text = (segment:gsub("^\\", "")) } end
  local name = segment:match("^%*([%a_][%w_]*)$") or fail("'*' must be followed by a name")
  if not isLast then fail("'*" .. name .. "' must be the last segment") end
  return { name = name, rest = true }
end

---@param text string
---@param level? integer of `error`; the default 2 blames the caller
---@return twistlua.web.route.Segment[]
---@return string[] names of its parameters, in their order
function pattern.parse(text, level)
  level = level or 2
  if type(text) ~= "string" or text:sub(1, 1) ~= "/" then
    error(("a pattern is a string that begins with '/', not '%s'"):format(tostring(text)), level)
  end
  local segments, names, known = {}, {}, {}
  local last = select(2, text:gsub("/", ""))
  for segment in (text:sub(2) .. "/"):gmatch("([^/]*)/") do
    local number = #segments + 1
    local function fail(problem)
      error(("pattern '%s': segment %d: %s"):format(text, number, problem), 0)
    end
    local ok, parsed = pcall(read, segment, number == last, fail)
    if not ok then error(parsed, level) end
    local name = parsed.name
    if name then
      if known[name] then error(("pattern '%s': two parameters '%s'"):format(text, name), level) end
      known[name] = true
      names[#names + 1] = name
    end
    segments[number] = parsed
  end
  return segments, names
end

return pattern
