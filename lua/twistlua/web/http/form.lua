-- SPDX-License-Identifier: MIT
-- web/http/form.lua -- names and values: of a query, and of a form in the body.

local form = {}

local function decode(text)
  return (text:gsub("+", " "):gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

---@param args table<string, string[]>
---@param name string
---@param value string
function form.add(args, name, value)
  local values = args[name]
  if values then
    values[#values + 1] = value
  else
    args[name] = { value }
  end
end

---Decode application/x-www-form-urlencoded into `args`. A name without "=" has the value "".
---@param text string
---@param args table<string, string[]>
---@param most integer further pairs are an error
---@return boolean|nil ok, string? message
function form.parse(text, args, most)
  local count = 0
  for pair in text:gmatch("[^&]+") do
    count = count + 1
    if count > most then return nil, ("there are more than %d names"):format(most) end
    local name, value = pair:match("^([^=]*)=?(.*)$")
    form.add(args, decode(name), decode(value))
  end
  return true
end

local function bodyInto(request, args, most)
  local kind = request:getHeader("content-type") or ""
  local media = kind:match("^%s*([^;%s]*)"):lower()
  if media == "application/x-www-form-urlencoded" then
    local content = request.content
    local ok, message = form.parse(content:read("a"), args, most)
    content:seek("set")
    return ok, message
  elseif media == "multipart/form-data" then
    local content = request.content
    local ok, message = require("twistlua.web.http.multipart").parse(content, kind, args, most)
    content:seek("set")
    return ok, message
  end
  return true
end

---The `args` of a request. Raises for a malformed form, which is answered by 400.
---@param request twistlua.web.HTTPRequest
---@return table<string, string[]>
function form.argsOf(request)
  local args, most = {}, request.channel.factory.formFields
  local query = request.uri:match("%?([^#]*)")
  local ok, message = true, nil
  if query then ok, message = form.parse(query, args, most) end
  if ok and request._buffer then ok, message = bodyInto(request, args, most) end
  if not ok then error(require("twistlua.web.error").BadRequest(message), 0) end
  return args
end

return form
