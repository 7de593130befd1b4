-- SPDX-License-Identifier: MIT
-- plain_spec.lua -- responses that are written in one step come out as those that are put together in Lua, which is
-- what happens on a transport in memory.
local Served  = require "lua.web.served"
local raw     = require "system.web.raw"
local server  = require "twistlua.web.server"
local async   = require("twistlua.test").async
local reactor = require "twistlua.reactor"

local ANSWERS = {}
ANSWERS["/bare"]    = function() return "text" end
ANSWERS["/typed"]   = function(request) request:setHeader("Content-TYPE", "text/plain") return "text" end
ANSWERS["/fields"]  = function(request)
  for i = 1, 5 do request:setHeader("X-" .. i, ("v"):rep(i)) end
  request.responseHeaders:setRawHeaders("x-list", { "a", "b" })
  return "text"
end
ANSWERS["/length"]  = function(request) request:setHeader("content-length", 99) return "text" end
ANSWERS["/server"]  = function(request) request:setHeader("server", "mine") return "text" end
ANSWERS["/empty"]   = function() return "" end
ANSWERS["/1900"]    = function() return ("x"):rep(1900) end
ANSWERS["/2100"]    = function() return ("x"):rep(2100) end
ANSWERS["/9000"]    = function() return ("x"):rep(9000) end
ANSWERS["/field"]   = function(request) request:setHeader("x-long", ("y"):rep(3000)) return "text" end
ANSWERS["/created"] = function(request) request:setResponseCode(201) return "text" end
ANSWERS["/missing"] = function(request) request:setResponseCode(404) return "text" end
ANSWERS["/unknown"] = function(request) request:setResponseCode(299) return "text" end
ANSWERS["/reason"]  = function(request) request:setResponseCode(200, "Fine") return "text" end
ANSWERS["/nothing"] = function(request) request:setResponseCode(204) return "text" end
ANSWERS["/paused"]  = function(request) request:pauseProducing() return "text" end
ANSWERS["/written"] = function(request) request:write("te") return "xt" end
ANSWERS["/later"]   = function(request)
  reactor:callLater(0, request.finish, request)
  request:write("text")
  return server.NOT_DONE_YET
end
ANSWERS["/render"]  = function(request)
  reactor:callLater(0, request.render, request, Served.leaf(ANSWERS["/bare"]))
  return server.NOT_DONE_YET
end

local NAMES = {}
for name in pairs(ANSWERS) do NAMES[#NAMES + 1] = name end
table.sort(NAMES)

local function site()
  return Served.leaf(function(request) return ANSWERS[request.path](request) end)
end

local function without(answer)
  return (answer:gsub("Date: [^\r]*", "Date: now"))
end

-- What is answered in memory to requests one by one.
local function expected(bytes)
  local served = Served(site(), { reactor = reactor })
  local answer = served:send(bytes)
  while served.channel._request do
    require("twistlua.defer").await(require("twistlua.task").deferLater(reactor, 0, function() end))
    answer = answer .. served:take()
  end
  served:lose()
  return without(answer)
end

local function request(method, path, fields)
  return ("%s %s HTTP/1.1\r\nHost: h\r\n%s\r\n"):format(method, path, fields or "")
end

describe("a response in one step", function()
  it("is the same for each kind of answer", async(function()
    raw.serving(site(), function(port)
      for _, path in ipairs(NAMES) do
        for _, method in ipairs { "GET", "HEAD" } do
          local bytes = request(method, path, "Connection: close\r\n")
          assert.equal(expected(bytes), without((raw.send(port, bytes))), method .. path)
          bytes = ("%s %s HTTP/1.0\r\n\r\n"):format(method, path)
          assert.equal(expected(bytes), without((raw.send(port, bytes))), method .. path)
        end
      end
    end)
  end))

  it("comes in order, whatever is between", async(function()
    raw.serving(site(), function(port)
      for _, between in ipairs(NAMES) do
        local posted = request("POST", "/bare", "Content-Length: 3\r\n") .. "abc"
        local bytes = request("GET", "/bare") .. request("GET", between) .. request("GET", "/typed") .. posted
          .. request("GET", "/typed", "Connection: close\r\n")
        assert.equal(expected(bytes), without((raw.send(port, bytes))), between)
      end
    end)
  end))

  it("is logged", async(function()
    raw.serving(site(), function(port, served)
      local lines = {}
      served.log = function(asked) lines[#lines + 1] = ("%s %d"):format(asked.uri, asked.sentLength) end
      raw.send(port, request("GET", "/bare") .. request("GET", "/1900", "Connection: close\r\n"))
      assert.same({ "/bare 4", "/1900 1900" }, lines)
    end)
  end))
end)
