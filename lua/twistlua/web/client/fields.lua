-- SPDX-License-Identifier: MIT
-- web/client/fields.lua -- what agents do to the headers of a request: copies, never the given ones, as plain tables.

local fields = {}

---@param headers twistlua.Headers|table<string, string|string[]>
---@return fun(...): string, string|string[] each name and its value or values, for a generic for
function fields.each(headers)
  if headers.getAllRawHeaders then return headers:getAllRawHeaders() end
  return pairs(headers)
end

---@param headers twistlua.Headers|table<string, string|string[]>|nil
---@param keep? fun(lowerName: string): boolean
---@return table<string, string|string[]>
function fields.copy(headers, keep)
  local copy = {}
  if not headers then return copy end
  for name, values in fields.each(headers) do
    if not keep or keep(name:lower()) then copy[name] = values end
  end
  return copy
end

---@param headers twistlua.Headers|table<string, string|string[]>|nil
---@param wanted string in lower case
---@return string|string[]|nil
function fields.get(headers, wanted)
  if not headers then return nil end
  for name, values in fields.each(headers) do
    if name:lower() == wanted then return values end
  end
end

return fields
