-- SPDX-License-Identifier: MIT
-- events_spec.lua -- EventStream and Channel, in a Site on a transport in memory.
local Served = require "lua.web.served"
local events = require "twistlua.web.events"
local server = require "twistlua.web.server"

-- A site all of whose requests get a stream; the streams in their order.
local function serve(given)
  local streams = {}
  local served
  given = given or {}
  served = Served(function(request)
    given.reactor = served.clock
    streams[#streams + 1] = events.EventStream(request, given)
    return server.NOT_DONE_YET
  end)
  return served, streams
end

-- The data of a chunked body.
local function data(chunks)
  local found = {}
  for size, rest in chunks:gmatch("(%x+)\r\n()") do
    found[#found + 1] = chunks:sub(rest, rest + tonumber(size, 16) - 1)
  end
  return table.concat(found)
end

local function open(given, fields)
  local served, streams = serve(given)
  local status, body, head = served:get("/", fields)
  return served, streams[1], status, body, head
end

describe("EventStream", function()
  it("begins its response at once", function()
    local served, stream, status, body, head = open()
    assert.equal(200, status)
    assert.equal("", body)
    for _, line in ipairs { "content-type: text/event-stream", "cache-control: no-store", "x-accel-buffering: no" } do
      assert.is_truthy(head:find("\r\n" .. line .. "\r\n", 1, true), line)
    end
    assert.is_nil(stream.lastEventId)
    served:lose()
  end)

  it("sends events in the format of HTML 9.2.6", function()
    local served, stream = open()
    local function sent(event)
      assert.is_true(stream:send(event))
      return data(served:take())
    end
    assert.equal("data: hello\n\n", sent("hello"))
    assert.equal("event: tick\nid: 7\nretry: 1500\ndata: a\ndata: b\ndata: \ndata: c\n\n",
      sent { event = "tick", id = "7", retry = 1.5, data = "a\nb\r\n\rc" })
    assert.equal("data: \n\n", sent { data = "" })
    assert.equal("id: 8\n\n", sent { id = "8" })
    stream:comment("note")
    assert.equal(": note\n\n", data(served:take()))
    served:lose()
  end)

  it("refuses what would become other events", function()
    local served, stream = open()
    assert.error_matches(function() stream:send { event = "a\nb" } end, "event must be one line")
    assert.error_matches(function() stream:send { id = "a\rb" } end, "id must be one line")
    assert.error_matches(function() stream:send { id = "a\0b" } end, "id must be one line")
    assert.error_matches(function() stream:send { name = "x" } end, "unknown option 'name'")
    assert.error_matches(function() stream:comment("a\n\ndata: x") end, "a comment must be one line")
    served:lose()
  end)

  it("tells what the client saw last", function()
    local served, stream = open(nil, "Last-Event-ID: 41\r\n")
    assert.equal("41", stream.lastEventId)
    served:lose()
  end)

  it("sends a comment when nothing was sent for a while", function()
    local served, stream = open { keepAlive = 10 }
    served.clock:advance(9)
    stream:send("x")
    served:take()
    served.clock:advance(9)
    assert.equal("", served:take())
    served.clock:advance(1)
    assert.equal(": \n\n", data(served:take()))
    served.clock:advance(10)
    assert.equal(": \n\n", data(served:take()))
    served:lose()
    assert.same({}, served.clock:getDelayedCalls())
  end)

  it("is closed when the client goes away", function()
    local served, stream = open()
    local told
    stream:notifyClose():addCallback(function(which) told = which end)
    served:lose()
    assert.equal(stream, told)
    assert.is_true(stream.closed)
    assert.is_false(stream:send("nobody hears"))
    stream:close()
    stream:notifyClose():addCallback(function(which) told = { which } end)
    assert.same({ stream }, told)
  end)

  it("ends the response when it is closed", function()
    local served, stream = open()
    stream:send("last")
    stream:close()
    assert.equal("c\r\ndata: last\n\n\r\n0\r\n\r\n", served:take())
    assert.equal(200, (served:get("/")))     -- the connection goes on
    served:lose()
  end)

  it("has no body for HEAD", function()
    local served, streams = serve()
    local status, body = Served.parse(served:send("HEAD / HTTP/1.1\r\nHost: example.com\r\n\r\n"))
    assert.same({ 200, "" }, { status, body })
    assert.is_true(streams[1].closed)
    served:lose()
  end)

  it("closes a client that does not read", function()
    local served, stream = open { pendingEvents = 2 }
    served.transport.producer:pauseProducing()
    assert.is_true(stream.paused)
    assert.is_false(stream:send("1"))
    assert.is_false(stream:send("2"))
    served.transport.producer:resumeProducing()
    assert.is_true(stream:send("3"))
    served.transport.producer:pauseProducing()
    for i = 1, 3 do stream:send(tostring(i)) end
    assert.is_true(stream.closed)
    assert.is_true(served:isClosed())
  end)
end)

describe("Channel", function()
  it("sends to all its streams, until each is closed", function()
    local channel = events.Channel()
    local one, first = open()
    local two, second = open()
    channel:add(first)
    channel:add(second)
    channel:add(second)
    assert.equal(2, channel.count)
    channel:send { data = "x" }
    assert.equal("data: x\n\n", data(one:take()))
    assert.equal("data: x\n\n", data(two:take()))
    one:lose()
    assert.equal(1, channel.count)
    channel:send("y")
    assert.equal("data: y\n\n", data(two:take()))
    channel:close()
    assert.equal(0, channel.count)
    assert.is_true(second.closed)
    two:lose()
  end)

  it("brings who comes back up to date", function()
    local channel = events.Channel { history = 3 }
    for i = 1, 5 do channel:send { id = tostring(i), data = "event " .. i } end
    local function missed(id)
      local served, stream = open(nil, id and ("Last-Event-ID: %s\r\n"):format(id))
      channel:add(stream)
      local sent = data(served:take())
      served:lose()
      return sent
    end
    assert.equal("id: 4\ndata: event 4\n\nid: 5\ndata: event 5\n\n", missed("3"))
    assert.equal("", missed("5"))
    assert.equal("", missed("1"))      -- not known any more
    assert.equal("", missed(nil))
  end)
end)
