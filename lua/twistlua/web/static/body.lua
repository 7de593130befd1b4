-- SPDX-License-Identifier: MIT
-- web/static/body.lua -- the body of a response that lies in a file. The kernel sends it where it can (sendfile);
-- otherwise, with TLS or a content coding, slices of it are read by a thread while the connection takes the last one.

local core   = require "twistlua.core"
local Object = require("twistlua.class").Object
local log    = require "twistlua.log"

local SMALL = 64 * 1024     -- bytes that are read at once and leave together with the head
local SLICE = 128 * 1024    -- bytes that a thread reads at once

---A pull producer of pieces: strings, and parts of the file.
---@class twistlua.web.static.FileBody: twistlua.Object
---@operator call(...): twistlua.web.static.FileBody
local FileBody = Object:extend("FileBody")

---@param request twistlua.web.HTTPRequest
---@param file twistlua.OpenFile is closed at the end
---@param pieces (string|{ [1]: integer, [2]: integer })[] text, or the offsets of the first and last byte of a part
function FileBody:init(request, file, pieces)
  self._request = request
  self._file    = file
  self._pieces  = pieces
  self._next    = 1
  self._reading = nil   -- the Deferred of a slice
  self._stopped = false
end

---Send the head, and the body as the connection takes it.
function FileBody:start()
  local request = self._request
  request:write("")
  self:resumeProducing()
  if not self._stopped then request:registerProducer(self, false) end
end

function FileBody:resumeProducing()
  if self._stopped or self._reading then return end
  local piece = self._pieces[self._next]
  if not piece then return self:_finish() end
  if type(piece) == "string" then
    self._next = self._next + 1
    self._request:write(piece)
    if self._pieces[self._next] then self:resumeProducing() end
  elseif self:_sendFromKernel(piece) then
    self._next = self._next + 1
  else
    self:_readSlice(piece)
  end
end

-- Whether the transport took it. Framing and coding need the bytes themselves.
function FileBody:_sendFromKernel(part)
  local request = self._request
  if request.chunked or request.contentEncoder or not request.channel:sendsFiles() then return false end
  local length = part[2] - part[1] + 1
  local queued, message = request.channel.transport:writeFile(self._file, part[1], length)
  if queued == nil then
    self:_fail(message)
  elseif queued then
    request.sentLength = request.sentLength + length
  end
  return queued ~= false
end

function FileBody:_readSlice(part)
  local length = math.min(part[2] - part[1] + 1, SLICE)
  local pool = require("twistlua.reactor"):getThreadPool()
  self._reading = pool:_submit(2, function(...) return core.openfile.readLater(self._file, ...) end, part[1], length)
  self._reading:addCallbacks(function(bytes)
    self._reading = nil
    if self._stopped then return end
    if #bytes < length then return self:_fail("it has become shorter") end
    part[1] = part[1] + length
    if part[1] > part[2] then self._next = self._next + 1 end
    self._request:write(bytes)
  end, function(failure)
    self._reading = nil
    if not self._stopped then self:_fail(failure:getErrorMessage()) end
  end)
end

-- The length is promised: all that is left is to break the promise where the other side sees it.
function FileBody:_fail(message)
  log.msg(("Sending a file for %s failed: %s"):format(self._request.uri, message))
  self:stopProducing()
  self._request:unregisterProducer()
  self._request:loseConnection()
end

function FileBody:_finish()
  self:stopProducing()
  self._request:unregisterProducer()
  self._request:finish()
end

---The connection is gone, or all is sent.
function FileBody:stopProducing()
  self._stopped = true
  self._file:close()
end

local body = {}

local function lengthOf(pieces)
  local length = 0
  for _, piece in ipairs(pieces) do
    length = length + (type(piece) == "string" and #piece or piece[2] - piece[1] + 1)
  end
  return length
end

local function readAll(file, pieces)
  local texts = {}
  for index, piece in ipairs(pieces) do
    local text = piece
    if type(piece) ~= "string" then
      local message
      text, message = file:read(piece[1], piece[2] - piece[1] + 1)
      if not text or #text <= piece[2] - piece[1] then
        error(message or "the file became shorter while it was read", 0)
      end
    end
    texts[index] = text
  end
  return table.concat(texts)
end

---Answer with these pieces of `file`, whose owner this becomes. Content-Length is set here.
---@param request twistlua.web.HTTPRequest
---@param file twistlua.OpenFile
---@param pieces (string|{ [1]: integer, [2]: integer })[]
function body.send(request, file, pieces)
  local length = lengthOf(pieces)
  request:setHeader("content-length", length)
  if request.method == "HEAD" or length <= SMALL then
    local ok, text = pcall(readAll, file, request.method == "HEAD" and {} or pieces)
    file:close()
    if not ok then error(text, 0) end
    request:write(text)
    return request:finish()
  end
  FileBody(request, file, pieces):start()
end

return body
