-- SPDX-License-Identifier: MIT
-- web/http/multipart.lua -- multipart/form-data, RFC 7578: the parts of a form as names and values.
-- A part is in memory as a whole: who takes large files uses onBody.

local http1 = require("twistlua.core").http1
local form  = require "twistlua.web.http.form"

local HEAD_MAX = 8192   -- bytes of the fields of one part

local multipart = {}

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
function multipart.parameter(value, wanted)
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

-- The name of the form's field that a part is for, from the fields of the part.
local function nameOf(fields)
  for line in fields:gmatch("[^\r\n]+") do
    local name, value = line:match("^([^:%s]+):%s*(.*)$")
    if not name or not http1.isToken(name) then return nil end
    if name:lower() == "content-disposition" then return multipart.parameter(value, "name") end
  end
end

local function part(body, from, to, args)
  local stop = body:find("\r\n\r\n", from - 2, true)
  if not stop or stop > to or stop - from > HEAD_MAX then return nil, "the fields of a part do not end" end
  local name = nameOf(body:sub(from, stop - 1))
  if not name then return nil, "a part has no name" end
  form.add(args, name, body:sub(stop + 4, to))
  return true
end

local function parts(body, delimiter, args, most)
  local from, count = select(2, body:find(delimiter, 1, true)), 0
  if not from then return nil, "the boundary is missing" end
  while body:sub(from + 1, from + 2) ~= "--" do
    count = count + 1
    if count > most then return nil, ("there are more than %d parts"):format(most) end
    local begins = body:match("^[ \t]*\r\n()", from + 1)
    local ends, after = body:find("\r\n" .. delimiter, begins and begins - 2 or 1, true)
    if not begins or not ends then return nil, "the last boundary is missing" end
    local ok, message = part(body, begins, ends - 1, args)
    if not ok then return nil, message end
    from = after
  end
  return true
end

---@param content file*|twistlua.StringFile
---@param kind string the value of Content-Type
---@param args table<string, string[]> the parts are added to
---@param most integer more parts are an error
---@return boolean|nil ok, string? message
function multipart.parse(content, kind, args, most)
  local boundary = multipart.parameter(kind, "boundary")
  if not boundary or boundary == "" or #boundary > 70 then return nil, "multipart without a boundary" end
  return parts(content:read("a"), "--" .. boundary, args, most)
end

return multipart
