-- SPDX-License-Identifier: MIT
-- web/static/response.lua -- answers with an open file: validators, preconditions, ranges (RFC 9110, 8.8, 13, 14).

local body       = require "twistlua.web.static.body"
local conditions = require "twistlua.web.static.conditions"
local date       = require "twistlua.web.date"
local core       = require "twistlua.core"

local respond = core.openfile.respond

local SETTLED = 2   -- seconds after which a further change has another time, on any file system's clock

-- The tag of a file that changed just now is weak: another change may leave time and size as they are. That of a
-- coded one differs from that of the plain one, whose neighbour it is (RFC 9110, 8.8.3.3).
local function validatorsOf(info)
  local now = os.time()
  local settled = now - info.modified >= SETTLED
  local tag = ('"%x-%x%s"'):format(math.floor(info.modified * 1e6), info.size, info.coding and "-" .. info.coding or "")
  return {
    etag = settled and tag or "W/" .. tag,
    modified = math.min(math.floor(info.modified), now),
    settled = settled,
  }
end

local function sendPage(request, status)
  request:setResponseCode(status)
  request:setHeader("content-type", "text/html; charset=utf-8")
  request:respond(require("twistlua.web.http.error_page").statusPage(status))
end

-- RFC 9110, 14.6: multipart/byteranges.
local function partsOf(request, info, wanted)
  local ranges = require "twistlua.web.static.ranges"
  local boundary = require("twistlua.core").random.hex(12)
  request:setHeader("content-type", "multipart/byteranges; boundary=" .. boundary)
  local pieces = {}
  for _, range in ipairs(wanted) do
    pieces[#pieces + 1] = ("\r\n--%s\r\nContent-Type: %s\r\nContent-Range: %s\r\n\r\n"):format(
      boundary, info.type, ranges.describe(range, info.size))
    pieces[#pieces + 1] = range
  end
  pieces[#pieces + 1] = "\r\n--" .. boundary .. "--\r\n"
  return pieces
end

-- The ranges that are to be sent, or nil for everything.
local function rangesWanted(request, info, validators)
  local header = request.method == "GET" and request:getHeader("range")
  if not header or not conditions.allowsRange(request:getHeader("if-range"), validators) then return nil end
  return require("twistlua.web.static.ranges").parse(header, info.size)
end

local function sendRanges(request, file, info, wanted)
  if #wanted == 0 then
    file:close()
    request:setHeader("content-range", "bytes */" .. info.size)
    return sendPage(request, 416)
  end
  request:setResponseCode(206)
  if #wanted > 1 then return body.send(request, file, partsOf(request, info, wanted)) end
  request:setHeader("content-range", require("twistlua.web.static.ranges").describe(wanted[1], info.size))
  body.send(request, file, wanted)
end

---What a file is.
---@class twistlua.web.static.FileInfo
---@field size integer bytes
---@field modified number seconds since 1970
---@field type string
---@field coding string|nil the content coding that it is in
---@field varies boolean|nil another coding may be there
---@field lines string|nil the fields of the response to who asks for all of it

local response = {}

local function linesOf(store)
  return (core.http1.message("", "", store):match("^\r\n(.*\r\n)\r\n$"))
end

---@param kind string the media type of constant bytes
---@return string lines what is said of them
function response.linesOfType(kind)
  return linesOf(core.http1.setField(false, "content-type", kind))
end

---Find out what is said of a file to who asks for all of it.
---@param info twistlua.web.static.FileInfo of one that is not coded; gets `lines`
---@return boolean done false as long as another change of the file could not be told from this
function response.describe(info)
  local validators = validatorsOf(info)
  if not validators.settled then return false end
  local store = core.http1.setField(false, "etag", validators.etag)
  core.http1.setField(store, "last-modified", date.format(validators.modified))
  core.http1.setField(store, "accept-ranges", "bytes")
  if info.varies then core.http1.setField(store, "vary", "Accept-Encoding") end
  core.http1.setField(store, "content-type", info.type)
  info.lines = linesOf(store)
  return true
end

---Answer who asks for all of a file that is described, and nothing else.
---@param request twistlua.web.HTTPRequest
---@param file twistlua.OpenFile is left open
---@param info twistlua.web.static.FileInfo
---@return boolean done false where there is more to decide
function response.sendWhole(request, file, info)
  local channel = request.channel
  channel:sendsFiles()   -- sets the socket up for it
  if not respond(file, request, channel.transport, channel.factory.lines, info.lines, info.varies) then return false end
  channel:wasSent(request, info.size)
  return true
end

---Answer GET or HEAD. The file is closed when it is sent, or cannot be.
---@param request twistlua.web.HTTPRequest
---@param file twistlua.OpenFile
---@param info twistlua.web.static.FileInfo
function response.send(request, file, info)
  local validators = validatorsOf(info)
  request:setHeader("etag", validators.etag)
  request:setHeader("last-modified", date.format(validators.modified))
  request:setHeader("accept-ranges", "bytes")
  if info.varies then request:setHeader("vary", "Accept-Encoding") end
  local status = conditions.check(request.method, function(name) return request:getHeader(name) end, validators)
  if status then
    file:close()
    if status == 412 then return sendPage(request, 412) end
    request:setResponseCode(304)
    return request:finish()
  end
  request:setHeader("content-type", info.type)
  if info.coding then request:setHeader("content-encoding", info.coding) end
  local wanted = rangesWanted(request, info, validators)
  if wanted then return sendRanges(request, file, info, wanted) end
  body.send(request, file, info.size > 0 and { { 0, info.size - 1 } } or {})
end

return response
