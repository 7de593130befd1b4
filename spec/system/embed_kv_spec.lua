-- scripts/embed/kv.c: commands are scripts that are replaced while it runs, and none holds up the others.
local async     = require("twistlua.test").async
local basic     = require "twistlua.protocols.basic"
local child     = require "system.child"
local defer     = require "twistlua.defer"
local endpoints = require "twistlua.endpoints"
local reactor   = require "twistlua.reactor"

local await = defer.await
local HOST  = child.program:gsub("[^/]+$", "embed_kv")

local Client = basic.LineOnlyReceiver:extend("Client")

Client.delimiter = "\n"

function Client:lineReceived(line) self.answers:put(line) end

describe("scripts/embed/kv", function()
  local folder, server, port

  local function write(name, code)
    local file <close> = assert(io.open(("%s/%s.lua"):format(folder, name), "w"))
    file:write(code)
  end

  setup(function()
    folder = os.tmpname()
    os.remove(folder)
    assert(os.execute(("mkdir %s && cp scripts/embed/kv/*.lua %s"):format(folder, folder)))
    write("wild", "function command() while true do end end")
    write("stubborn", "function command() while true do pcall(function() while true do end end) end end")
    write("greedy", "function command() local t = {} while true do t[#t + 1] = ('x'):rep(10000 + #t) end end")
    write("broken", "function command( return end")
    write("nosy", "function command() return assert(io.open('/etc/passwd')) end")
    server = child.start { HOST, "scripts/embed/kv_server.lua", folder, "0" }
    port = tonumber(server:line():match("listening on port (%d+)"))
  end)

  teardown(function()
    server:signal "TERM"
    server:finish()
    os.execute("rm -r " .. folder)
  end)

  -- A connection on which the lines were sent; answers:get() is the next answer.
  local function send(...)
    local client = Client()
    client.answers = defer.DeferredQueue()
    await(endpoints.connectProtocol(endpoints.TCP4ClientEndpoint(reactor, "127.0.0.1", port), client))
    for _, line in ipairs { ... } do client:sendLine(line) end
    return client
  end

  -- What is answered to some lines, in order.
  local function ask(...)
    local client, lines = send(...), {}
    for i = 1, select("#", ...) do lines[i] = await(client.answers:get()) end
    client.transport:loseConnection()
    return table.unpack(lines)
  end

  it("runs commands, in order", async(function()
    assert.same({ "+1", "+43", "+43", "+ok", "+two words" },
      { ask("incr visits", "incr visits 42", "get visits", "set poem two words", "get poem") })
  end))

  it("says what is wrong", async(function()
    local lines = { ask("get nothing", "nonesuch", "../kv_server", "broken", "incr poem", "nosy") }
    assert.equal("-there is no 'nothing'", lines[1])
    assert.equal("-no such command", lines[2])
    assert.equal("-no such command", lines[3])
    assert.matches("^%-.*broken.lua:1: ", lines[4])
    assert.equal("-'poem' holds no integer", lines[5])
    assert.matches("^%-.*not permitted", lines[6])
  end))

  for _, name in ipairs { "wild", "stubborn" } do
    it(("answers others while a command is %s, and ends it"):format(name), async(function()
      local client = send(name)
      local answer = client.answers:get()
      for _ = 1, 5 do assert.matches("^%+%d+$", ask "incr turns") end
      assert.is_false(answer.called)
      assert.matches("^%-", await(answer))
      client.transport:loseConnection()
    end))
  end

  it("ends one that takes too much memory, and goes on", async(function()
    assert.matches("^%-.*not enough memory", ask "greedy")
    assert.matches("^%+%d+$", ask "incr turns")
  end))

  it("takes a changed file for the next request", async(function()
    write("again", "function command() return 'first' end")
    assert.equal("+first", ask "again")
    write("again", "function command() return 'second' end")
    assert.equal("+second", ask "again")
    write("again", "function command() return 'third'")
    assert.matches("^%-.*again.lua:1: ", ask "again")
    write("again", "function command() return 'fourth' end")
    assert.equal("+fourth", ask "again")
  end))

  it("ends what a replaced command was doing", async(function()
    write("slow", "local defer = require 'twistlua.defer' function command() defer.await(defer.Deferred()) end")
    local client = send "slow"
    ask "incr turns"   -- behind which the slow one has begun
    write("slow", "function command() return 'quick' end")
    assert.equal("+quick", ask "slow")
    assert.equal("-the command was replaced", await(client.answers:get()))
    client.transport:loseConnection()
  end))
end)
