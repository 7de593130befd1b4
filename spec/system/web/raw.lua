-- SPDX-License-Identifier: MIT
-- raw.lua -- servers on ports of their own, and requests to them byte by byte, since clients put paths in order.

local await    = require("twistlua.defer").await
local defer    = require "twistlua.defer"
local protocol = require "twistlua.protocol"
local reactor  = require "twistlua.reactor"
local server   = require "twistlua.web.server"

local raw = {}

local Asking = protocol.Protocol:extend("Asking")

function Asking:connectionMade()
  self.pieces = {}
  self.transport:write(self.factory.bytes)
end

function Asking:dataReceived(data)
  self.pieces[#self.pieces + 1] = data
end

function Asking:connectionLost(reason)
  self.factory.answered:callback({ bytes = table.concat(self.pieces), reason = reason })
end

local AskingFactory = protocol.ClientFactory:extend("AskingFactory")
AskingFactory.protocol = Asking
AskingFactory.noisy = false

---Send bytes and wait until the server closes.
---@return string answer, twistlua.Failure reason
function raw.send(port, bytes)
  local factory = AskingFactory()
  factory.bytes, factory.answered = bytes, defer.Deferred()
  reactor:connectTCP("127.0.0.1", port, factory)
  local answer = await(factory.answered)
  return answer.bytes, answer.reason
end

---@return { status: integer, headers: table<string, string>, body: string }
function raw.parse(answer)
  local head, body = answer:match("^(.-\r\n)\r\n(.*)$")
  assert(head, "no response: " .. answer)
  local headers = {}
  for name, value in head:gmatch("([^:\r\n]+): ?([^\r\n]*)\r\n") do headers[name:lower()] = value end
  return { status = tonumber(head:match("^HTTP/1%.1 (%d+)")), headers = headers, body = body }
end

---One request on a connection of its own.
---@param target string
---@param fields? table<string, string>
---@param method? string
function raw.ask(port, target, fields, method, body)
  local lines = { ("%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"):format(method or "GET", target) }
  for name, value in pairs(fields or {}) do lines[#lines + 1] = ("%s: %s\r\n"):format(name, value) end
  return raw.parse((raw.send(port, table.concat(lines) .. "\r\n" .. (body or ""))))
end

---Serve `root` while `body(port)` runs.
function raw.serving(root, body, listen)
  local site = server.Site(root)
  local port = (listen or function(factory)
    return reactor:listenTCP(0, factory, { interface = "127.0.0.1" })
  end)(site)
  local ok, problem = pcall(body, port:getHost().port, site)
  await(port:stopListening())
  if not ok then error(problem, 0) end
end

---Run a shell command on another thread.
---@return string output without the last line's end
function raw.shell(command)
  return await(require("twistlua.threads").deferToThread(function(line)
    local pipe = io.popen(line .. " 2>&1")
    local output = pipe:read("a")
    pipe:close()
    return (output:gsub("\n$", ""))
  end, command))
end

---A new directory, and a function that writes files below it.
function raw.directory()
  local path = os.tmpname()
  os.remove(path)
  assert(os.execute("mkdir " .. path))
  return path, function(name, content)
    local file = assert(io.open(path .. "/" .. name, "w"))
    file:write(content)
    file:close()
  end
end

return raw
