-- client.lua -- client.lua URL COUNT CONNECTIONS
local client  = require "twistlua.web.client"
local defer   = require "twistlua.defer"
local reactor = require "twistlua.reactor"

local await = defer.await

require("twistlua.task").react(defer.inlineCallbacks(function(url, count, connections)
  count, connections = tonumber(count), tonumber(connections)
  local pool = client.HTTPConnectionPool(reactor, { maxPersistentPerHost = connections })
  local agent = client.Agent(reactor, { pool = pool })

  local function run(requests)
    local left, workers = requests, {}
    for i = 1, connections do
      workers[i] = defer.run(function()
        while left > 0 do
          left = left - 1
          local response = await(agent:request("GET", url))
          assert(#await(client.readBody(response)) == 13)
        end
      end)
    end
    await(defer.DeferredList(workers, { fireOnOneErrback = true }))
  end

  run(1000)
  local before = os.clock()
  run(count)
  print(("requests=%d cpu=%.3f"):format(count, os.clock() - before))
  await(pool:closeCachedConnections())
end), arg)
