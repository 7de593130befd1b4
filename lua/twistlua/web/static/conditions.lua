-- SPDX-License-Identifier: MIT
-- web/static/conditions.lua -- the preconditions of RFC 9110, 13: whether a client has what we would send.

local date = require "twistlua.web.date"

---What a representation can be recognised by.
---@class twistlua.web.Validators
---@field etag string|nil as it is sent: `"x"`, or `W/"x"` for a weak one
---@field modified integer|nil seconds since 1970
---@field settled boolean|nil the time of modification is so long ago that it tells two contents apart

local conditions = {}

-- Calls see(tag, weak) for each entity tag of a list, until it returns true; "*" is one.
local function anyTag(header, see)
  if header:match("^%s*%*%s*$") then return true end
  for weak, tag in header:gmatch('(W?/?)("[^"]*")') do
    if see(tag, weak == "W/") then return true end
  end
  return false
end

local function split(etag)
  local weak, tag = etag:match('^(W?/?)(".*")$')
  return tag, weak == "W/"
end

---Whether two entity tags match, one of them from a list or "*" (RFC 9110, 8.8.3.2).
---@param header string the value of If-Match or If-None-Match
---@param etag string|nil
---@param strongly boolean weak tags match nothing
---@return boolean
function conditions.matches(header, etag, strongly)
  local ours, weak
  if etag then ours, weak = split(etag) end
  return anyTag(header, function(tag, theirsIsWeak)
    return tag == ours and not (strongly and (weak or theirsIsWeak))
  end)
end

-- A date that cannot be read is as good as none.
local function isModifiedSince(header, modified)
  local since = date.parse(header)
  if not since or not modified then return nil end
  return modified > since
end

---What to answer instead of the representation.
---@param method string
---@param header fun(name: string): string|nil of the request
---@param validators twistlua.web.Validators
---@return 304|412|nil status
function conditions.check(method, header, validators)
  local reading = method == "GET" or method == "HEAD"
  local match, noneMatch = header("if-match"), header("if-none-match")
  if match then
    if not conditions.matches(match, validators.etag, true) then return 412 end
  else
    local since = header("if-unmodified-since")
    if since and isModifiedSince(since, validators.modified) then return 412 end
  end
  if noneMatch then
    if conditions.matches(noneMatch, validators.etag, false) then return reading and 304 or 412 end
  elseif reading then
    local since = header("if-modified-since")
    if since and isModifiedSince(since, validators.modified) == false then return 304 end
  end
end

---Whether If-Range lets the client have a part: what it holds must be of exactly this content (RFC 9110, 13.1.5).
---@param header string|nil the value of If-Range
---@param validators twistlua.web.Validators
---@return boolean
function conditions.allowsRange(header, validators)
  if not header then return true end
  local tag, weak = split(header)
  if tag then return not weak and tag == validators.etag end
  return validators.settled and date.parse(header) == validators.modified or false
end

return conditions
