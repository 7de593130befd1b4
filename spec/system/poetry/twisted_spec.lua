-- SPDX-License-Identifier: MIT
-- twisted_spec.lua -- our programs and Twisted, each as the other's server and client: the bytes agree.
local programs = require "system.poetry.programs"

local SCIENCE, ECSTASY = programs.poem "science", programs.poem "ecstasy"

local function path(name)
  return programs.POEMS .. name .. ".txt"
end

local function succeeds(outcome)
  assert.equal("", outcome.stderr)
  assert.equal(0, outcome.status)
  return outcome.stdout
end

local function twisted(...)
  return succeeds(programs.runTwisted(...))
end

describe("a poem of Twisted's server", function()
  local one, two, transformer
  before_each(function()
    one = select(2, programs.serveTwisted("serve", path "science", "37"))
    two = select(2, programs.serveTwisted("serve", path "ecstasy", "100"))
  end)
  after_each(programs.stopAll)

  it("is counted by the clients that count", function()
    for _, name in ipairs { "blocking_client", "select_client", "client_1", "client_1_broken", "client_2" } do
      local printed = succeeds(programs.run(name, one, two))
      local bytes = { 0, 0 }
      for task, count in printed:gmatch("Task (%d): got (%d+) bytes") do
        bytes[tonumber(task)] = bytes[tonumber(task)] + tonumber(count)
      end
      -- Version 2 numbers the tasks as they connect.
      table.sort(bytes)
      assert.same({ #SCIENCE, #ECSTASY }, bytes, name)
    end
  end)

  it("is printed by the clients that print", function()
    for _, name in ipairs { "client_2_simple", "client_3", "client_3_1", "client_4", "client_timeout" } do
      assert.equal(ECSTASY .. "\n", succeeds(programs.run(name, two)), name)
    end
  end)

  it("is transformed by Twisted's transform server", function()
    transformer = select(2, programs.serveTwisted "transform")
    for _, name in ipairs { "client_6", "client_7", "client_8" } do
      assert.equal(ECSTASY:upper() .. "\n", succeeds(programs.run(name, transformer, two)), name)
    end
  end)

  it("is passed on by our proxies to Twisted's clients", function()
    for version = 1, 3 do
      local proxy, port = programs.serve("proxy_" .. version, two)
      assert.equal(ECSTASY, twisted("get", port))
      assert.equal(ECSTASY, twisted("get", port))
      assert.equal("Fetching poem from server.\nUsing cached poem.\n", succeeds(programs.stop(proxy)))
    end
  end)

  it("is passed on by Twisted's proxy to our clients", function()
    local _, port = programs.serveTwisted("proxy", two)
    assert.equal(ECSTASY .. "\n", succeeds(programs.run("client_4", port)))
  end)
end)

describe("a poem of ours", function()
  after_each(programs.stopAll)

  it("is got by Twisted's client", function()
    for _, arguments in ipairs {
      { "slow_poetry", "--num-bytes", "500", "--delay", "0.001" },
      { "fast_poetry" },
    } do
      arguments[#arguments + 1] = path "ecstasy"
      local server, port = programs.serve(table.unpack(arguments))
      assert.equal(ECSTASY, twisted("get", port))
      assert.equal(ECSTASY, twisted("get", port))
      assert.equal("", programs.stop(server).stderr)
    end
  end)

  it("is passed on by Twisted's proxy to Twisted's and our clients", function()
    local _, there = programs.serve("fast_poetry", path "science")
    local _, port = programs.serveTwisted("proxy", there)
    assert.equal(SCIENCE, twisted("get", port))
    assert.equal(SCIENCE .. "\n", succeeds(programs.run("client_4", port)))
  end)
end)

describe("our transform server", function()
  after_each(programs.stopAll)

  it("answers Twisted's netstrings", function()
    local server, port = programs.serve "transformed_poetry"
    assert.equal("15:here is my poem,\n4:poem,\n\n\n7:größe,\n",
      twisted("ask", port, "cummingsify.HERE IS MY POEM", "cummingsify.POEM", "shout.poem", "no request",
              "cummingsify.GRößE"))
    assert.equal(("%d:%s,\n"):format(#ECSTASY, ECSTASY:lower()), twisted("ask", port, "cummingsify." .. ECSTASY))
    assert.equal("", succeeds(programs.stop(server)))
  end)
end)

describe("proxy_3", function()
  after_each(programs.stopAll)

  it("leaves Twisted's server when Twisted's client leaves it", function()
    local upstream, there = programs.serveTwisted("serve", path "ecstasy", "1")
    local proxy, port = programs.serve("proxy_3", there)
    local client = programs.startTwisted("get", port)
    assert.equal("Fetching poem from server.", proxy:line())
    programs.stop(client)
    assert.equal("Canceling poem download.", proxy:line())
    assert.equal("left", upstream:line())
    assert.equal("", succeeds(programs.stop(proxy)))
  end)
end)
