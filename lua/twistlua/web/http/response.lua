-- SPDX-License-Identifier: MIT
-- web/http/response.lua -- how HTTP/1 sends responses: methods of HTTPChannel. It alone decides on the framing: what a
-- handler says of that is taken out, but for Content-Length where it writes the body piece by piece.

local core = require "twistlua.core"
local log  = require "twistlua.log"

local http1 = core.http1
local message = http1.message

local HTTPChannel = {}

local NO_BODY = { [204] = true, [304] = true }

-- "HTTP/1.1 200 OK", by status.
local STATUS_LINES = setmetatable({}, { __index = function(lines, code)
  local line = ("HTTP/1.1 %d %s"):format(code, http1.reason(code) or "")
  lines[code] = line
  return line
end })

-- The lines that every response has: a string made once a second, unless the handler has set one of them.
local function commonLines(channel, store, hasBody)
  local factory = channel.factory
  local withType = hasBody and not (store and store["content-type"])
  if store and (store.date or store.server) then return factory:linesWithout(store, withType) end
  return withType and factory.linesWithType or factory.lines
end

local function startLine(request)
  if not request.codeMessage then return STATUS_LINES[request.code] end
  return ("HTTP/1.1 %d %s"):format(request.code, request.codeMessage)
end

-- What to say of the connection, after which the response decides: a handler may have set Connection.
local function connection(channel, request, store)
  local said = store and store.connection
  if said then
    if type(said) == "table" then said = table.concat(said, ",") end
    if http1.hasWord(said, "close") then channel._keepAlive = false end
    return nil
  end
  if not channel._keepAlive or channel._unread then
    channel._keepAlive = false
    return "close"
  end
  return request._minor == 0 and "keep-alive" or nil
end

local function hasNoBody(request)
  return NO_BODY[request.code] or request.code < 200
end

-- Take away what would contradict the framing that we choose.
local function dropField(store, name)
  if store and store[name] then require("twistlua.web.http_headers").Headers.over(store):removeHeader(name) end
end

-- Take the fields of the framing out of the store, but for the length that a handler of HEAD tells; whether there is
-- that.
local function dropFraming(request, store)
  dropField(store, "transfer-encoding")
  if not store["content-length"] then return false end
  if request.method == "HEAD" and not hasNoBody(request) then return true end
  dropField(store, "content-length")
  return false
end

local function respond(channel, request, store, body)
  local length, sent = #body, body
  if store and dropFraming(request, store) then length = nil end
  if hasNoBody(request) then
    length, sent = nil, nil
  elseif request.method == "HEAD" then
    sent = nil
  end
  local lines = commonLines(channel, store, length ~= 0 and length ~= nil)
  local said = connection(channel, request, store)
  if not sent or #sent < 8192 then
    channel.transport:write(message(startLine(request), lines, store, length, said, sent))
  else
    channel.transport:write(message(startLine(request), lines, store, length, said))
    channel.transport:write(sent)
  end
  return sent and #sent or 0
end

---Write the whole response if there is nothing special about it, and be done with the request if there is nothing
---special about the connection either.
---@param request twistlua.web.HTTPRequest
---@param body any
---@return boolean|nil over nil: it was not written; false: `requestDone` is to be called
HTTPChannel.respondPlainly = http1.respond

---The whole response.
---@param request twistlua.web.HTTPRequest
---@param body string
function HTTPChannel:respond(request, body)
  self:wasSent(request, respond(self, request, request._store, body))
end

---The whole response is written.
---@param request twistlua.web.HTTPRequest
---@param length integer bytes of its body
function HTTPChannel:wasSent(request, length)
  if self.factory.log then request.sentLength = length end
  self:requestDone(request)
end

---Whether the kernel can send files on this connection. Head and file are then written one after the other: without
---TCP_NODELAY the last piece of the file would wait until the client has acknowledged what was before (Nagle), which it
---delays.
---@return boolean
function HTTPChannel:sendsFiles()
  if self._sendsFiles == nil then
    local transport = self.transport
    self._sendsFiles = transport.writeFile ~= nil and not transport.TLS
    if transport.setTcpNoDelay then pcall(transport.setTcpNoDelay, transport, true) end   -- not on a UNIX socket
  end
  return self._sendsFiles
end

---The head of a response whose body is yet to be written.
---@param request twistlua.web.HTTPRequest
function HTTPChannel:beginResponse(request)
  local store, length = request._store, nil
  dropField(store, "transfer-encoding")
  request.bodyless = hasNoBody(request) or request.method == "HEAD"
  if hasNoBody(request) then
    dropField(store, "content-length")
  elseif store and store["content-length"] then
    local declared = store["content-length"]
    request.declared = math.tointeger(tonumber(type(declared) == "table" and declared[#declared] or declared))
  elseif request.method ~= "HEAD" then
    if request._minor > 0 then
      request.chunked, length = true, true
    else
      self._keepAlive = false
    end
  end
  local lines = commonLines(self, store, not hasNoBody(request))
  local said = connection(self, request, store)
  self.transport:write(message(startLine(request), lines, store, length, said))
end

---@param request twistlua.web.HTTPRequest
---@param data string not empty
function HTTPChannel:writeBody(request, data)
  if request.bodyless then return end
  request.sentLength = request.sentLength + #data
  local transport = self.transport
  if not request.chunked then
    transport:write(data)
  elseif #data < 8192 then
    transport:write(http1.chunk(data))
  else
    transport:writeSequence { http1.chunkHead(#data), data, "\r\n" }
  end
end

---@param request twistlua.web.HTTPRequest
function HTTPChannel:endResponse(request)
  request:unregisterProducer()
  if request.chunked then self.transport:write(http1.LAST_CHUNK) end
  local declared = not request.bodyless and request.declared
  if declared and declared ~= request.sentLength then
    log.err(("%s %s: %d bytes were written, but Content-Length is %d")
      :format(request.method, request.uri, request.sentLength, declared))
    self._keepAlive = false
  end
  self:requestDone(request)
end

---The head of a response behind which the connection speaks another protocol.
---@param request twistlua.web.HTTPRequest
function HTTPChannel:sendSwitch(request)
  local store = request._store
  self.transport:write(message(startLine(request), commonLines(self, store, false), store))
end

---What tells a client that its request is refused.
---@param status integer
---@param detail string
---@return integer length of its page
function HTTPChannel:sendRefusal(status, detail)
  local page = require("twistlua.web.http.error_page").statusPage(status, detail)
  local store = { "content-type", ["content-type"] = "text/html; charset=utf-8" }
  self.transport:write(message(STATUS_LINES[status], self.factory.lines, store, #page, "close", page))
  return #page
end

return HTTPChannel
