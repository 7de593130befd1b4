-- SPDX-License-Identifier: MIT
-- protocols/basic/file_sender.lua -- sends a file chunk by chunk, each when the consumer has room.

local Object = require("twistlua.class").Object
local defer  = require "twistlua.defer"
local errors = require "twistlua.error"

---A pull producer that reads a file.
---@class twistlua.FileSender: twistlua.Object
---@field CHUNK_SIZE integer bytes
---@operator call(...): twistlua.FileSender
local FileSender = Object:extend("FileSender")

FileSender.CHUNK_SIZE = 16384

---Send `file` to its end.
---@param file { read: fun(self, bytes: integer): string?, string? } such as `io.open` returns; stays open
---@param consumer twistlua.Transport
---@param transform? fun(chunk: string): string
---@return twistlua.Deferred last the last byte that was sent, or "" for an empty file
function FileSender:beginFileTransfer(file, consumer, transform)
  self._file = file
  self._consumer = consumer
  self._transform = transform
  self._last = ""
  self._done = defer.Deferred()
  local done = self._done
  consumer:registerProducer(self, false)
  return done
end

function FileSender:_finish(method, outcome)
  local done = self._done
  self._done, self._file = nil, nil
  self._consumer:unregisterProducer()
  done[method](done, outcome)
end

function FileSender:resumeProducing()
  if not self._done then return end
  local chunk, failed = self._file:read(self.CHUNK_SIZE)
  if failed then return self:_finish("errback", errors.IOError(failed)) end
  if not chunk or chunk == "" then return self:_finish("callback", self._last) end
  if self._transform then chunk = self._transform(chunk) end
  self._consumer:write(chunk)
  self._last = chunk:sub(-1)
end

function FileSender:pauseProducing() end

---The consumer wants no more, as when its connection is gone.
function FileSender:stopProducing()
  if not self._done then return end
  local done = self._done
  self._done, self._file = nil, nil
  done:errback(errors.Error("the consumer asked to stop before the file was sent"))
end

return { FileSender = FileSender }
