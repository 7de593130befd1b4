-- SPDX-License-Identifier: MIT
-- web/http/access_log.lua -- a line for each request in the combined format of Apache, in a file.

local Object = require("twistlua.class").Object

local MONTHS = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" }

---@param seconds? integer since 1970; default is now
---@return string "[21/Nov/2026:16:45:00 +0000]"
local function timestamp(seconds)
  local t = os.date("!*t", seconds)
  return ("[%02d/%s/%04d:%02d:%02d:%02d +0000]"):format(t.day, MONTHS[t.month], t.year, t.hour, t.min, t.sec)
end

-- What a client sends must not end the quotes or the line.
local function escape(text)
  return (text:gsub('[%c"\\\127-\255]', function(byte) return ("\\x%02x"):format(byte:byte()) end))
end

---@param request twistlua.web.HTTPRequest
---@return string line without its end
local function combinedFormat(request)
  return ('%s - - %s "%s %s %s" %d %s "%s" "%s"'):format(
    request:getClientIP() or "-", timestamp(), escape(request.method), escape(request.uri),
    request.clientproto, request.code, request.sentLength > 0 and request.sentLength or "-",
    escape(request:getHeader("referer") or "-"), escape(request:getHeader("user-agent") or "-"))
end

---@class twistlua.web.AccessLog: twistlua.Object
---@operator call(string): twistlua.web.AccessLog
local AccessLog = Object:extend("AccessLog")

---@param path string appended to
function AccessLog:init(path)
  self._file = assert(io.open(path, "a"))
  self._file:setvbuf("line")
end

---@param request twistlua.web.HTTPRequest
function AccessLog:write(request)
  self._file:write(combinedFormat(request), "\n")
end

function AccessLog:close()
  self._file:close()
end

---What was refused before it was a request, as far as functions that log need it.
---@class twistlua.web.Refused: twistlua.Object
---@field method string "-", as are uri and clientproto, where the first line is not that of a request
---@operator call(...): twistlua.web.Refused
local Refused = Object:extend("Refused")

---@param channel twistlua.web.HTTPChannel
---@param line string the first, or what has come of it
function Refused:init(channel, line)
  local method, uri, protocol = line:match("^(%u+) (%S+) ?(%S*)")
  self.channel = channel
  self.method, self.uri, self.clientproto = method or "-", uri or "-", protocol ~= "" and protocol or "-"
  self.code, self.sentLength, self.finished = 400, 0, true
end

function Refused:getClientIP() return self.channel:getPeer().host end

function Refused.getHeader() return nil end

function Refused.getHeaders() return {} end

return { Refused = Refused, AccessLog = AccessLog, combinedFormat = combinedFormat }
