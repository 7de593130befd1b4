-- SPDX-License-Identifier: MIT
-- servers_spec.lua -- the poetry servers, the transform server and the proxies, with socat, nc and our clients.
local child    = require "system.child"
local programs = require "system.poetry.programs"

local SCIENCE = programs.poem "science"
local PATH = programs.POEMS .. "science.txt"

local function endsWell(process)
  local outcome = programs.stop(process)
  assert.equal("", outcome.stderr)
  assert.equal(0, outcome.status)
  return outcome.stdout
end

describe("slow_poetry", function()
  after_each(programs.stopAll)

  it("says whom it serves, and how many bytes it sends", function()
    local server, port, line = programs.serve("slow_poetry", "--num-bytes", "300", "--delay", "0", PATH)
    assert.equal("Serving scripts/poetry/poems/science.txt on port PORT.", line)
    assert.equal(SCIENCE, programs.ask(port))
    assert.equal(SCIENCE, programs.ask(port))
    local one = "Somebody at IPv4Address%(type='TCP', host='127.0.0.1', port=%d+%) wants poetry!\n"
      .. "Sending 300 bytes\nSending 300 bytes\nSending 53 bytes\n"
    assert.matches("^" .. one .. one .. "$", programs.stop(server).stdout)
  end)

  it("goes on when a client hangs up", function()
    local server, port = programs.serve("slow_poetry", "--num-bytes", "1", "--delay", "0.001", PATH)
    local outcome = child.python([[
import socket, struct, sys
for _ in range(3):
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
    s.recv(1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
]], port)
    assert.equal("", outcome.stderr)
    assert.equal(SCIENCE, programs.ask(port))
    assert.equal("", programs.stop(server).stderr)
  end)

  it("takes the port and the host that it is told", function()
    local port = programs.closedPort()
    local _, got = programs.serve("slow_poetry", "--port", port, "--iface=127.0.0.1", "--delay", "0", PATH)
    assert.equal(port, got)
    assert.equal(SCIENCE, programs.ask(port))
  end)
end)

describe("fast_poetry", function()
  after_each(programs.stopAll)

  it("serves the whole poem and closes", function()
    local server, port, line = programs.serve("fast_poetry", PATH)
    assert.equal("Serving scripts/poetry/poems/science.txt on IPv4Address(type='TCP', host='127.0.0.1', port=PORT).",
      line)
    assert.equal(SCIENCE, programs.ask(port))
    assert.equal(SCIENCE, child.run({ "nc", "-d", "127.0.0.1", port }).stdout)
    assert.equal("", endsWell(server))
  end)

  it("takes the port that it is told, and says where that is taken", function()
    local port = programs.closedPort()
    local _, got = programs.serve("fast_poetry", "--port", port, PATH)
    assert.equal(port, got)
    local second = programs.run("fast_poetry", "--port", port, PATH)
    assert.equal(1, second.status)
    assert.matches("CannotListenError: Couldn't listen on localhost:" .. port, second.stderr)
  end)

  it("goes on when clients hang up", function()
    local server, port = programs.serve("fast_poetry", programs.POEMS .. "ecstasy.txt")
    assert.equal(0, child.python([[
import socket, struct, sys
for _ in range(20):
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
]], port).status)
    assert.equal(programs.poem "ecstasy", programs.ask(port))
    endsWell(server)
  end)
end)

describe("transformed_poetry", function()
  local server, port, line
  before_each(function() server, port, line = programs.serve "transformed_poetry" end)
  after_each(programs.stopAll)

  it("transforms a poem, and closes", function()
    assert.equal("Serving transforms on IPv4Address(type='TCP', host='127.0.0.1', port=PORT).", line)
    assert.equal("15:here is my poem,", programs.ask(port, "27:cummingsify.HERE IS MY POEM,"))
    assert.equal("0:,", programs.ask(port, "12:cummingsify.,"))
    assert.equal("5:a.b.c,", programs.ask(port, "17:cummingsify.A.B.C,"))
    endsWell(server)
  end)

  it("closes without a reply on what is no request", function()
    for _, request in ipairs {
      "7:HERE IS,",                   -- no full stop
      "12:nonsense.ONE,", "5:.POEM,", "15:__index.NOTHING,",   -- no such transform
      "27;cummingsify.HERE IS MY POEM,", "027:cummingsify.HERE IS MY POEM,", "x", "100000:",   -- no netstring
    } do
      assert.equal("", programs.ask(port, request), request)
    end
    assert.equal("1:a,", programs.ask(port, "13:cummingsify.A,"))
    endsWell(server)
  end)

  it("answers transform_test.sh", function()
    local outcome = child.run { "sh", "scripts/poetry/transform_test.sh", port }
    assert.same({ status = 0, stdout = "4:poem,", stderr = "" }, outcome)
  end)
end)

for version = 1, 3 do
  local name = "proxy_" .. version
  describe(name, function()
    after_each(programs.stopAll)

    it("gets a poem once, and serves it from then on", function()
      local upstream, there = programs.serve("fast_poetry", PATH)
      local proxy, port, line = programs.serve(name, there)
      assert.equal(("Proxying ('127.0.0.1', %s) on IPv4Address(type='TCP', host='127.0.0.1', port=PORT).")
        :format(there), line)
      assert.equal(SCIENCE, programs.ask(port))
      endsWell(upstream)
      assert.equal(SCIENCE, programs.ask(port))
      assert.equal(SCIENCE, programs.ask(port))
      assert.equal("Fetching poem from server.\nUsing cached poem.\nUsing cached poem.\n", endsWell(proxy))
    end)

    it("closes where the server is down, and tries again for the next client", function()
      local there = programs.closedPort()
      local proxy, port = programs.serve(name, "localhost:" .. there)
      assert.equal("", programs.ask(port))
      programs.serve("fast_poetry", "--port", there, PATH)
      assert.equal(SCIENCE, programs.ask(port))
      local outcome = programs.stop(proxy)
      assert.equal("Fetching poem from server.\nFetching poem from server.\n", outcome.stdout)
      -- Version 2 logs it.
      assert.equal(version == 2, outcome.stderr:find("ConnectionRefusedError", 1, true) ~= nil)
    end)
  end)
end

describe("proxy_3", function()
  after_each(programs.stopAll)

  -- A server of which the proxy gets a part of the poem; it tells when the proxy hangs up.
  local HALF = [[
import socket
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1])
connection, _ = server.accept()
connection.sendall(b"Science! true daughter")
try: data = connection.recv(1)
except ConnectionResetError: data = b""   # the proxy has not read all of it
print("ended" if data == b"" else "data")
]]

  it("cancels the download when its client hangs up", function()
    local upstream = programs.python(HALF)
    local proxy, port = programs.serve("proxy_3", upstream:line())
    local socket = require "twistlua.socket"
    local client = assert(socket.connect("127.0.0.1", math.tointeger(tonumber(port))))
    assert.equal("Fetching poem from server.", proxy:line())
    client:close()
    assert.equal("Canceling poem download.", proxy:line())
    assert.equal("ended", upstream:line())
    assert.equal("", endsWell(proxy))
  end)

  it("gets the poem anew for the next client", function()
    local upstream = programs.python(HALF)
    local there = upstream:line()
    local proxy, port = programs.serve("proxy_3", there)
    local socket = require "twistlua.socket"
    local client = assert(socket.connect("127.0.0.1", math.tointeger(tonumber(port))))
    assert.equal("Fetching poem from server.", proxy:line())
    client:close()
    assert.equal("Canceling poem download.", proxy:line())
    assert.equal("ended", upstream:line())
    programs.serve("fast_poetry", "--port", there, PATH)
    assert.equal(SCIENCE, programs.ask(port))
    assert.equal("Fetching poem from server.\n", endsWell(proxy))
  end)
end)

describe("each server", function()
  for name, cases in pairs {
    slow_poetry = {
      ["Provide exactly one poetry file."] = {}, ["No such file: none.txt"] = { "none.txt" },
      ["option --delay: invalid number: 'x'"] = { "--delay", "x", PATH },
      ["option --num-bytes: invalid number: '1.5'"] = { "--num-bytes=1.5", PATH },
      ["option --delay: invalid number: '-1'"] = { "--delay=-1", PATH },
      ["Nobody gets poetry by 0 bytes."] = { "--num-bytes", "0", PATH },
    },
    fast_poetry = {
      ["Provide exactly one poetry file."] = { PATH, PATH }, ["No such file: none.txt"] = { "none.txt" },
      ["option --port: invalid number: 'http'"] = { "--port", "http", PATH },
      ["--port option requires an argument"] = { PATH, "--port" },
    },
    transformed_poetry = { ["Bad arguments."] = { PATH }, ["no such option: --poem"] = { "--poem" } },
    proxy_1 = { ["Provide exactly one server address."] = {}, ["Ports must be integers."] = { "localhost:" } },
    proxy_2 = { ["Provide exactly one server address."] = { "1", "2" }, ["Ports must be integers."] = { "x" } },
    proxy_3 = { ["Provide exactly one server address."] = {}, ["Ports must be integers."] = { "1:2:x" } },
  } do
    it(name .. " tells its usage, and what is wrong", function()
      local help = programs.run(name, "--help")
      assert.matches("^usage: " .. name .. ".lua ", help.stdout)
      assert.equal(0, help.status)
      for problem, arguments in pairs(cases) do
        local outcome = programs.run(name, table.unpack(arguments))
        assert.equal(2, outcome.status)
        assert.equal("", outcome.stdout)
        assert.matches(("^usage: %s.lua .*\n%s.lua: error: %s\n$"):format(name, name, problem:gsub("%p", "%%%0")),
          outcome.stderr)
      end
    end)
  end
end)

describe("poetry_spec", function()
  it("passes", function()
    local outcome = child.run { child.program, "test", "--output=plainTerminal", programs.path "poetry_spec" }
    assert.matches("2 successes / 0 failures / 0 errors", outcome.stdout)
    assert.equal(0, outcome.status)
  end)
end)
