-- SPDX-License-Identifier: MIT
-- web/multipart/head.lua -- what stands before the content of a part: its fields, of which Content-Disposition tells
-- the name (RFC 7578, 4.2).

local http1 = require("twistlua.core").http1

local head = {}

-- The quoted string that begins at `at`, and where it ends; nil if it does not.
local function quoted(value, at)
  local pieces, from = {}, at + 1
  while true do
    local stop = value:find('["\\]', from)
    if not stop then return nil end
    pieces[#pieces + 1] = value:sub(from, stop - 1)
    if value:byte(stop) == 34 then return table.concat(pieces), stop + 1 end
    pieces[#pieces + 1] = value:sub(stop + 1, stop + 1)
    from = stop + 2
  end
end

---A parameter of a field's value, such as `boundary` or `filename`.
---@param value string
---@param wanted string in lower case
---@return string|nil
function head.parameter(value, wanted)
  local at = value:find(";", 1, true)
  while at do
    local name, from = value:match("^;%s*([^%s=;]+)%s*=%s*()", at)
    local found, after
    if name and value:byte(from) == 34 then
      found, after = quoted(value, from)
    elseif name then
      found, after = value:match("^([^%s;]*)()", from)
    end
    if name and name:lower() == wanted then return found end
    at = value:find(";", after or at + 1, true)
  end
end

local function fieldsOf(text)
  local fields = {}
  for line in text:gmatch("(.-)\r\n") do
    if line == "" then break end
    local name, value = line:match("^([^:%s]+):[ \t]*(.-)[ \t]*$")
    if not name or not http1.isToken(name) or not http1.isValue(value) then return nil end
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  return fields
end

---A part of a form.
---@class twistlua.web.multipart.Part
---@field name string of the form's field
---@field filename string|nil as the client has sent it: never to be taken for a path
---@field type string the media type, "text/plain" if the part has none
---@field headers twistlua.Headers
---@field size integer bytes of its content so far

---@param text string the fields with the empty line
---@return twistlua.web.multipart.Part|nil part, string? message
function head.parse(text)
  local fields = fieldsOf(text)
  if not fields then return nil, "the fields of a part are malformed" end
  local headers = require("twistlua.web.http_headers").Headers.fromFields(fields)
  local dispositions = headers:getRawHeaders("content-disposition", {})
  if #dispositions ~= 1 or not dispositions[1]:lower():find("^form%-data%f[^%w-]") then
    return nil, "a part is no field of a form"
  end
  local name = head.parameter(dispositions[1], "name")
  if not name then return nil, "a part has no name" end
  return {
    name     = name,
    filename = head.parameter(dispositions[1], "filename"),
    type     = headers:getHeader("content-type") or "text/plain",
    headers  = headers,
    size     = 0,
  }
end

return head
