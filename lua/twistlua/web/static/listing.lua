-- SPDX-License-Identifier: MIT
-- web/static/listing.lua -- a directory as a page.

local escape = require("twistlua.web.http.error_page").escape

local PAGE = [[
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Directory listing for %s</title>
<style>th,td{text-align:left;padding:.2em 1em .2em 0}td.size{text-align:right}</style>
</head><body><h1>Directory listing for %s</h1>
<table><thead><tr><th>Name</th><th>Size</th><th>Type</th></tr></thead><tbody>
%s</tbody></table></body></html>
]]
local ROW = '<tr><td><a href="%s">%s</a></td><td class="size">%s</td><td>%s</td></tr>\n'

local UNITS = { "B", "K", "M", "G", "T" }

local function describeSize(size)
  local unit = 1
  while size >= 1024 and unit < #UNITS do size, unit = size / 1024, unit + 1 end
  return ("%d%s"):format(math.floor(size), UNITS[unit])
end

-- "./" keeps "a:b" from being a scheme.
local function reference(name)
  return "./" .. name:gsub("[^%w%-._~]", function(byte) return ("%%%02X"):format(byte:byte()) end)
end

local listing = {}

---@param place string the path of the directory, as it was asked for
---@param entries { name: string, size: integer, type: string }[]
---@param typeOf fun(name: string): string
---@return string html
function listing.page(place, entries, typeOf)
  table.sort(entries, function(a, b)
    if a.type ~= b.type then return a.type == "directory" end
    return a.name < b.name
  end)
  local rows = {}
  for index, entry in ipairs(entries) do
    local slash = entry.type == "directory" and "/" or ""
    rows[index] = ROW:format(reference(entry.name) .. slash, escape(entry.name) .. slash,
      slash == "" and describeSize(entry.size) or "",
      slash == "" and escape("[" .. typeOf(entry.name):match("^[^;]*") .. "]") or "[Directory]")
  end
  place = escape(place)
  return PAGE:format(place, place, table.concat(rows))
end

return listing
