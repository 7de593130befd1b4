-- SPDX-License-Identifier: MIT
-- pieces_spec.lua -- requests of every kind behind each other on a connection, cut anywhere: each gets its own answer,
-- and all come in order.
local raw       = require "system.web.raw"
local async     = require("twistlua.test").async
local await     = require("twistlua.defer").await
local defer     = require "twistlua.defer"
local protocol  = require "twistlua.protocol"
local reactor   = require "twistlua.reactor"
local resource  = require "twistlua.web.resource"
local server    = require "twistlua.web.server"
local task      = require "twistlua.task"
local webErrors = require "twistlua.web.error"

local function later(f)
  return task.deferLater(reactor, 0, f or function() end)
end

-- How a handler may answer with `text`.
local ANSWERS = {
  function(_, text) return text end,
  function(request, text) request:setHeader("X-A", "b") request:setResponseCode(404) return text end,
  function(request, text) request.responseHeaders:setRawHeaders("x-list", { "a", "b" }) return text end,
  function(request, text) request.user = text return request.user end,
  function(_, text) await(later()) return text end,
  function(_, text) return later(function() return text end) end,
  function(request, text)
    later(function()
      request:write(text)
      request:finish()
    end)
    return server.NOT_DONE_YET
  end,
  function(request, text) request:write(text) request:finish() end,
  function(_, text) error(webErrors.Error(503, text)) end,
}

local Answering = resource.Resource:extend("Answering")

function Answering:render_GET(request)
  local kind, long = request.uri:match("^/(%d+)/(%d+)/")
  local text = ("<%s %s>"):format(request.uri, request.content:read("a"))
  return ANSWERS[tonumber(kind)](request, text .. ("."):rep(tonumber(long)))
end

Answering.render_POST = Answering.render_GET

local function leaf()
  local made = Answering()
  made.isLeaf = true
  return made
end

-- Its requests are found a resource by getChild.
local function tree()
  local made = resource.Resource()
  function made.getChild() return leaf() end
  return made
end

local function chunked(body)
  return body:gsub("..?.?", function(piece) return ("%x\r\n%s\r\n"):format(#piece, piece) end) .. "0\r\n\r\n"
end

-- Requests, and what of each answer is its own.
local function makeRequests(count)
  local requests, marks = {}, {}
  for i = 1, count do
    local long = math.random(4) == 1 and math.random(6000) or 0
    local uri = ("/%d/%d/%d"):format(math.random(#ANSWERS), long, i)
    local fields = i == count and "Connection: close\r\n" or ""
    local body, form = ("x"):rep(math.random(0, 40)), math.random(4)
    if form == 1 then
      fields = ("%sContent-Length: %d\r\n\r\n%s"):format(fields, #body, body)
    elseif form == 2 then
      fields = ("%sTransfer-Encoding: chunked\r\n\r\n%s"):format(fields, chunked(body))
    else
      fields, body = fields .. "\r\n", ""
    end
    requests[i] = ("%s %s HTTP/1.1\r\nHost: h\r\n%s"):format(form > 2 and "GET" or "POST", uri, fields)
    marks[i] = ("%s %s"):format(uri, body)
  end
  return table.concat(requests), marks
end

-- Sends a piece a turn.
local Sending = protocol.Protocol:extend("Sending")

function Sending:connectionMade()
  self.received = {}
  self.transport:setTcpNoDelay(true)
  self:sendFrom(1)
end

function Sending:sendFrom(at)
  local factory = self.factory
  if not self.connected or at > #factory.bytes then return end
  local next = at + math.random(factory.longest)
  self.transport:write(factory.bytes:sub(at, next - 1))
  reactor:callLater(0, self.sendFrom, self, next)
end

function Sending:dataReceived(data) self.received[#self.received + 1] = data end

function Sending:connectionLost()
  self.connected = false
  self.factory.answered:callback(table.concat(self.received))
end

local function send(port, bytes, longest)
  local factory = protocol.ClientFactory.forProtocol(Sending)
  factory.noisy, factory.bytes, factory.longest, factory.answered = false, bytes, longest, defer.Deferred()
  reactor:connectTCP("127.0.0.1", port, factory)
  return await(factory.answered)
end

describe("requests in pieces", function()
  for name, root in pairs { leaf = leaf, tree = tree } do
    it("are answered in order by a " .. name, async(function()
      raw.serving(root(), function(port)
        for seed = 1, 20 do
          math.randomseed(seed)
          local bytes, marks = makeRequests(math.random(30))
          local answer, found = send(port, bytes, ({ 3, 30, 300, 100000 })[seed % 4 + 1]), {}
          -- In the page of an error the brackets are escaped.
          for mark in answer:gmatch("[<;](/%d+/%d+/%d+ x*)[>&]") do found[#found + 1] = mark end
          assert.same(marks, found, "seed " .. seed)
          assert.equal(#marks, select(2, answer:gsub("HTTP/1.1 %d+ ", "")))
        end
      end)
    end))
  end
end)
