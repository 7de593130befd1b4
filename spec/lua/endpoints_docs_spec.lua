-- What docs/endpoints.md shows is run, on a reactor in memory.
local endpoints = require "twistlua.endpoints"
local errors    = require "twistlua.error"
local Failure   = require("twistlua.failure").Failure
local test      = require "twistlua.test"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

-- These hold the reactor that they were loaded with, which is not to be one in memory.
require "twistlua.file"
require "twistlua.threads"

local page = read("docs/endpoints.md")

local function section(title)
  return page:match("\n#+ " .. title .. "\n(.-)\n##")
end

-- The strings that open the rows of a table.
local function strings(title)
  local found = {}
  for text in section(title):gmatch("\n| `([^`]+)` |") do found[#found + 1] = text end
  return found
end

local folder

setup(function()
  folder = os.tmpname()
  os.remove(folder)
  assert(os.execute(([[mkdir %s && cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -subj /CN=localhost -keyout site.key -out site.pem 2>/dev/null]]):format(folder, folder)))
end)

teardown(function() os.execute("rm -r " .. folder) end)

describe("docs/endpoints.md", function()
  it("shows strings of every kind that there is, all of them right", function()
    local ok, problem = pcall(endpoints.serverFromString, nil, "none:")
    assert.is_false(ok)
    local known = {}
    for prefix in problem:match("known: (.-)%)"):gmatch("%w+") do known[prefix] = true end
    for _, text in ipairs(strings "Servers") do
      known[text:match("^%w+")] = nil
      local made, endpoint = pcall(endpoints.serverFromString, test.MemoryReactor(),
        (text:gsub("site%.", folder .. "/site.")))
      if text:find("^systemd") then
        assert.matches("systemd passed no socket", endpoint)   -- nor did it, to a test
      else
        assert.is_true(made, tostring(endpoint))
        assert.is_function(endpoint.listen)
      end
    end
    known.spec = nil   -- other specs'
    assert.same({}, known)
    assert.is_true(#strings "Clients" >= 6)
    for _, text in ipairs(strings "Clients") do
      assert.is_function(endpoints.clientFromString(test.MemoryReactor(), text).connect)
    end
  end)

  it("shows the message of an error as it is", function()
    local shown = page:match("\n    (serverFromString: [^\n]*)")
    local _, problem = pcall(endpoints.serverFromString, test.MemoryReactor(), "tcp:http")
    assert.equal(shown, problem:match("serverFromString.*"))
  end)

  -- Each piece of code, and what is to be seen of it on the reactor.
  local EXPECTED = {
    function(reactor) assert.equal(8000, reactor.tcpServers[1].port) end,
    function(reactor) assert.equal("localhost", reactor.lookups[1].name) end,
    function() end,
    function(reactor, printed)
      assert.equal("/run/app.sock", reactor.unixClients[1].path)
      local refused = Failure(errors.ConnectionRefusedError())
      for index = 1, 3 do
        reactor.unixClients[index].factory:clientConnectionFailed(nil, refused)
        reactor:advance(30)
      end
      assert.matches("not there: ConnectionRefusedError", printed[1])
      reactor:fireSystemEvent("shutdown")
      assert.is_true(reactor.unixClients[4].connector.stoppedConnecting)
    end,
    function(reactor)
      assert.equal(8080, reactor.tcpServers[1].port)
      assert.is_not_nil(reactor.tcpServers[1].factory.wrappedFactory.maxConnectionsPerPeer)
    end,
    function(reactor)
      endpoints.serverFromString(reactor, "loop:8080:backlog=3"):listen(require("twistlua.protocol").Factory())
      assert.equal("127.0.0.1", reactor.tcpServers[1].interface)
      assert.equal(3, reactor.tcpServers[1].backlog)
    end,
  }

  it("shows code that runs", function()
    local count = 0
    for code in page:gmatch("\n```lua\n(.-)\n```\n") do
      count = count + 1
      local reactor, printed = test.MemoryReactor(), {}
      local env = setmetatable({ arg = {} }, { __index = _G })
      function env.print(text) printed[#printed + 1] = tostring(text) end
      local real = package.loaded["twistlua.reactor"]
      package.loaded["twistlua.reactor"] = reactor
      local ok, problem = pcall(function()
        assert(load(code, "=endpoints.md", "t", env))()
        EXPECTED[count](reactor, printed)
      end)
      package.loaded["twistlua.reactor"] = real
      if not ok then error(problem, 0) end
    end
    assert.equal(#EXPECTED, count)
  end)
end)
