-- fetch.lua: coroutine style; an errback becomes pcall, a timeout cancels
local reactor = require "twistlua.reactor"
local defer   = require "twistlua.defer"
local client  = require "twistlua.web.client"
local await   = defer.await

local fetch = defer.inlineCallbacks(function(url)
  local agent = client.Agent(reactor)
  local response = await(agent:request("GET", url):addTimeout(5, reactor))
  return await(client.readBody(response))
end)

require("twistlua.task").react(defer.inlineCallbacks(function(url)
  local ok, body = pcall(await, fetch(url))
  print(ok and #body .. " bytes" or "failed: " .. tostring(body))
end), arg)
