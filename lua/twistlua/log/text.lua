-- SPDX-License-Identifier: MIT
-- log/text.lua -- events as text: for people (fileObserver) and for programs (jsonObserver).
-- Here an event's format meets its fields, and nowhere earlier.

local options = require "twistlua.options"

local text = {}

-- "a.b" is a field of a field; "f()" calls what it finds, so that what is dear is computed only when read.
local function lookUp(event, path)
  local call = path:sub(-2) == "()"
  if call then path = path:sub(1, -3) end
  local value = event
  for name in path:gmatch("[^.]+") do value = value[name] end
  if call then value = value() end
  return tostring(value)
end

local function format(event)
  -- Doubled braces are set aside as control bytes, which no format contains.
  local prepared = event.format:gsub("{{", "\1"):gsub("}}", "\2")
  local filled = prepared:gsub("{([^{}]*)}", function(path) return lookUp(event, path) end)
  return (filled:gsub("[\1\2]", { ["\1"] = "{", ["\2"] = "}" }))
end

local function formatSafely(event)
  local ok, filled = pcall(format, event)
  if ok then return filled end
  return ("Unformattable event %q: %s"):format(event.format, tostring(filled))
end

---The words of an event, without its failure.
---@param event table
---@return string|nil
function text.saying(event)
  return event.format and formatSafely(event) or event.text
end

---What an event says, without its time and origin.
---@param event table
---@return string
function text.eventAsText(event)
  local said = text.saying(event)
  if not event.failure then return said or "" end
  local ok, trace = pcall(event.failure.getTraceback, event.failure)
  if not ok then trace = tostring(event.failure) end
  return (said or "Unhandled Error") .. "\n" .. trace:gsub("\n$", "")
end

local function system(event)
  if event.system then return tostring(event.system) end
  if not event.namespace then return "-" end
  return event.namespace .. "#" .. event.level
end

---Make an observer that writes events to `file`, each beginning a line as in
---`2024-10-18 09:30:00+0200 [namespace#level] text`; further lines of an event are indented.
---@param file { write: function, flush: function? }
---@param given? { timestamps?: boolean } default true; without them the origin is left out too
---@return fun(event: table)
function text.fileObserver(file, given)
  local timestamps = options.check("fileObserver", given, { timestamps = "boolean" }).timestamps ~= false
  return function(event)
    local line = text.eventAsText(event)
    if timestamps then
      local stamp = os.date("%Y-%m-%d %H:%M:%S%z", math.floor(event.time))
      line = ("%s [%s] %s"):format(stamp, system(event), line:gsub("\n", "\n\t"))
    end
    file:write(line, "\n")
    if file.flush then file:flush() end
  end
end

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function escape(byte)
  return ESCAPES[byte] or ("\\u%04x"):format(byte:byte())
end

-- JSON holds Unicode only: bytes that are not UTF-8 are written as the code points of the same number.
local function jsonString(value)
  local pattern = utf8.len(value) and '[%c"\\]' or '[%c"\\\128-\255]'
  return '"' .. value:gsub(pattern, escape) .. '"'
end

local function jsonValue(value)
  local kind = math.type(value) or type(value)
  if kind == "integer" or kind == "boolean" then return tostring(value) end
  if kind == "float" and value - value == 0 then return ("%.17g"):format(value) end
  return jsonString(tostring(value))
end

---An event as one line of JSON: a flat object with sorted names, in which `text` is what the event says and
---all but numbers and booleans are strings.
---@param event table
---@return string
function text.eventAsJSON(event)
  local members = { ('"text":%s'):format(jsonString(text.eventAsText(event))) }
  for name, value in pairs(event) do
    if name ~= "text" and type(name) == "string" then
      members[#members + 1] = jsonString(name) .. ":" .. jsonValue(value)
    end
  end
  table.sort(members)
  return "{" .. table.concat(members, ",") .. "}"
end

---Make an observer that writes each event to `file` as one line of JSON.
---@param file { write: function, flush: function? }
---@return fun(event: table)
function text.jsonObserver(file)
  return function(event)
    file:write(text.eventAsJSON(event), "\n")
    if file.flush then file:flush() end
  end
end

return text
