-- SPDX-License-Identifier: MIT
-- web/http/multipart.lua -- the parts of a multipart form in a body that has come, as names and values.
-- Each is in memory as a whole: who takes large files uses web/multipart.lua.

local isA       = require("twistlua.class").isA
local errors    = require "twistlua.web.error"
local form      = require "twistlua.web.http.form"
local multipart = require "twistlua.web.multipart"

local PIECE = 64 * 1024   -- bytes that are read at once

local function run(content, kind, args, most)
  local name, pieces
  local sink = {}
  function sink:write(data) pieces[#pieces + 1] = data end
  function sink:finish() form.add(args, name, table.concat(pieces)) end
  local parser = multipart.Parser(multipart.boundaryOf(kind), function(part)
    name, pieces = part.name, {}
    return sink
  end, { maxParts = most })
  for piece in content:lines(PIECE) do parser:write(piece) end
  parser:finish()
end

---@param content file*|twistlua.StringFile
---@param kind string the value of Content-Type, of a multipart form
---@param args table<string, string[]> the parts are added to
---@param most integer more parts are an error
---@return boolean|nil ok, string? message
local function parse(content, kind, args, most)
  local ok, problem = pcall(run, content, kind, args, most)
  if ok then return true end
  if isA(problem, errors.Error) then return nil, problem.message end
  error(problem, 0)
end

return { parse = parse }
