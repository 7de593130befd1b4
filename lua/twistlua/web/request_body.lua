-- SPDX-License-Identifier: MIT
-- web/request_body.lua -- what a request brings, read as a query, a form or JSON. Something malformed is an error that
-- is answered with its status and a line that says what is wrong and where, unless the handler catches it.

local errors  = require "twistlua.web.error"
local form    = require "twistlua.web.http.form"
local options = require "twistlua.options"

local JSON_MAX = 1024 * 1024   -- bytes

local body = {}

-- name → values, as name → the last of them.
local function lastOf(args)
  local found = {}
  for name, values in pairs(args) do found[name] = values[#values] end
  return found
end

---@param request twistlua.web.Request
---@return table<string, string>
function body.query(request)
  local args = {}
  local text = request.uri:match("%?([^#]*)")
  local ok, message = true, nil
  if text then ok, message = form.parse(text, args, request.channel.factory.formFields) end
  if not ok then error(errors.BadRequest("query: " .. message), 0) end
  return lastOf(args)
end

-- Of a form that was read while it came.
local function valuesOf(parts)
  local found = {}
  for _, part in ipairs(parts) do found[part.name] = part.value or found[part.name] end
  return found
end

local function mediaOf(request)
  local kind = request:getHeader("content-type") or ""
  return kind:match("^%s*([^;%s]*)"):lower(), kind
end

local function refuseType(expected, found)
  if found == "" then found = "of unknown type" end
  error(errors.Error(415, ("the body must be %s, not %s"):format(expected, found)), 0)
end

---@param request twistlua.web.Request
---@return table<string, string>
function body.form(request)
  if request.parts then return valuesOf(request.parts) end
  local media, kind = mediaOf(request)
  local most, content, args = request.channel.factory.formFields, request.content, {}
  local ok, message
  if media == "application/x-www-form-urlencoded" then
    ok, message = form.parse(content:read("a"), args, most)
  elseif media == "multipart/form-data" then
    ok, message = require("twistlua.web.http.multipart").parse(content, kind, args, most)
  else
    refuseType("a form", media)
  end
  content:seek("set")
  if not ok then error(errors.BadRequest("form: " .. message), 0) end
  return lastOf(args)
end

-- "character 16" as a line and a column.
local function placed(message, text)
  return (message:gsub("at character (%d+)", function(number)
    local before = text:sub(1, math.tointeger(tonumber(number)) - 1)
    local line = select(2, before:gsub("\n", "")) + 1
    return ("at line %d, column %d"):format(line, #before:match("[^\n]*$") + 1)
  end))
end

local function isJSON(media)
  return media == "application/json" or media:find("%+json$")
end

---@param request twistlua.web.Request
---@param given? { max?: integer }
---@return any
function body.json(request, given)
  given = options.check("json", given, { max = "integer" }, 4)
  local media = mediaOf(request)
  if not isJSON(media) then refuseType("application/json", media) end
  local content, max = request.content, given.max or JSON_MAX
  local text = content:read(max + 1) or ""
  content:seek("set")
  if #text > max then error(errors.Error(413, ("JSON: longer than %d bytes"):format(max)), 0) end
  local value, message = require("twistlua.web.json").decode(text)
  if value == nil then error(errors.BadRequest(placed(message, text)), 0) end
  return value
end

return body
