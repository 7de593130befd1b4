-- Whom a sandboxed script can talk to, and whom not.
local child = require "system.child"
local confined = require "system.sandbox.confined"
local run = confined.run

-- A server on a port of 127.0.0.1, which it prints, that answers with "hello".
local function serve()
  return child.start({ child.program, "-e", [[
    local protocol, reactor = require "twistlua.protocol", require "twistlua.reactor"
    local Hello = protocol.Protocol:extend "Hello"
    function Hello:connectionMade() self.transport:write "hello\n" end
    local port = reactor:listenTCP(0, protocol.Factory.forProtocol(Hello), { interface = "127.0.0.1" })
    print(port:getHost().port)
    io.stdout:flush()]] }, { limit = 200 })
end

local function freePort()
  return tonumber((child.lua [[
    local port = require("twistlua.reactor"):listenTCP(0, require("twistlua.protocol").Factory(), {
      interface = "127.0.0.1" })
    print(port:getHost().port)
    os.exit(0, false)]]).stdout)
end

-- Connect to the endpoint, and print what comes, or why nothing does.
local CONNECT = [[
  local protocol, endpoints = require "twistlua.protocol", require "twistlua.endpoints"
  await(function()
    local heard = require("twistlua.defer").Deferred()
    local Hear = protocol.Protocol:extend "Hear"
    function Hear:dataReceived(data) heard:callback((data:gsub("\n", ""))) end
    local connection = wait(endpoints.clientFromString(reactor, [=[%s]=]):connect(protocol.Factory.forProtocol(Hear)))
    show(wait(heard))
    connection.transport:loseConnection()
  end)]]

local function refusal(deed, place)
  return ("failed|PermissionError: %s %s is not permitted (--allow-net=%s)\n"):format(deed, place, place)
end

describe("the network in a sandbox", function()
  local port, server
  setup(function()
    server = serve()
    port = tonumber(server:line())
  end)
  teardown(function()
    server:signal "TERM"
    server:finish()
  end)

  local function connect(options, host)
    return run(options, CONNECT:format(("tcp:%s:%d"):format(host:gsub(":", "\\:"), port)))
  end

  it("connects to what is permitted", function()
    for _, word in ipairs { "127.0.0.1:%d", "127.0.0.1", "*:%d", "127.0.0.0/8:%d", "localhost:%d",
      "192.0.2.1,127.0.0.1" } do
      assert.equal("hello\n", connect({ "--allow-net=" .. word:format(port) }, "127.0.0.1"))
    end
    assert.equal("hello\n", connect({ "--allow-net" }, "127.0.0.1"))
    assert.equal("hello\n", connect({}, "127.0.0.1"))
  end)

  it("connects to nothing else", function()
    local there = "127.0.0.1:" .. port
    for _, option in ipairs { "--sandbox", "--allow-net=127.0.0.1:1", "--allow-net=127.0.0.2",
      "--allow-net=192.0.2.1:%d",
      "--allow-net=unix", "--allow-net=example.com", "--allow-read" } do
      assert.equal(refusal("connecting to", there), connect({ (option:format(port)) }, "127.0.0.1"))
    end
  end)

  it("looks at the address, whatever it is written as", function()
    local only = { "--allow-net=192.0.2.1" }
    assert.equal(refusal("connecting to", "[::ffff:127.0.0.1]:" .. port), connect(only, "::ffff:127.0.0.1"))
    assert.equal(refusal("connecting to", "0.0.0.0:" .. port), connect(only, "0.0.0.0"))
    assert.equal(refusal("connecting to", "[::1]:" .. port), connect({ "--allow-net=127.0.0.1" }, "::1"))
    assert.equal(refusal("connecting to", "0.0.0.0:" .. port), connect({ "--allow-net=0.0.0.0" }, "0.0.0.0"))
    assert.equal("hello\n", connect({ "--allow-net=127.0.0.1" }, "::ffff:127.0.0.1"))
    assert.equal("hello\n", connect({ "--allow-net=127.0.0.1" }, "0.0.0.0"))
  end)

  it("looks up only what is permitted", function()
    assert.equal(("failed|PermissionError: looking up name.example is not permitted (--allow-net=name.example)\n"),
      connect({ "--allow-net=other.example" }, "name.example"))
    assert.equal("hello\n", connect({ "--allow-net=127.0.0.1" }, "localhost"))
    assert.truthy(connect({ "--allow-net=192.0.2.1" },
      "localhost"):find "^failed|PermissionError: .*connecting to .* is not permitted")
  end)

  it("does not follow a name to this machine", function()
    -- A name that is permitted, and a file of the script's that says where it leads.
    local hosts = child.file("127.0.0.1 near.example\n192.0.2.7 far.example\n")
    local tries = ([[
      local core = require "twistlua.core"
      require "twistlua.reactor"
      show((select(2, core.resolver.configure { hosts = "%s" })))
      show((select(2, core.socket.connect("TCP", "127.0.0.1", %d))))]]):format(hosts, port)
    assert.equal("configuring the resolver is not permitted (--allow-net)\n" ..
      ("connecting to 127.0.0.1:%d is not permitted (--allow-net=127.0.0.1:%d)\n"):format(port, port),
      run({ "--allow-net=near.example,far.example", "--allow-read" }, tries))
    assert.truthy(run({ "--allow-net" }, tries):find("reading " .. hosts .. " is not permitted", 1, true))
    os.remove(hosts)
  end)

  it("listens where that is permitted", function()
    local code = [[local ok, p = pcall(function() reactor = require "twistlua.reactor"
      return reactor:listenTCP(%s, require("twistlua.protocol").Factory(), { interface = "%s" }) end)
      show(ok, ok and p:getHost().host or p) os.exit(0, true)]]
    local free = freePort()
    assert.equal("true|127.0.0.1\n", run({ "--allow-net=127.0.0.1" }, code:format(0, "127.0.0.1")))
    assert.equal("true|127.0.0.1\n", run({ "--allow-net=127.0.0.1:" .. free }, code:format(free, "127.0.0.1")))
    assert.equal("true|127.0.0.1\n", run({ "--allow-net=localhost:0" }, code:format(0, "127.0.0.1")))
    assert.equal("true|0.0.0.0\n", run({ "--allow-net=*:0" }, code:format(0, "")))
    local function refused(place) return
      ("false|PermissionError: listening on %s is not permitted (--allow-net=%s)\n"):format(place, place) end
    assert.equal(refused "127.0.0.1:0", run({ "--sandbox" }, code:format(0, "127.0.0.1")))
    assert.equal(refused "0.0.0.0:0", run({ "--allow-net=127.0.0.1" }, code:format(0, "")))
    assert.equal(refused "[::]:0", run({ "--allow-net=0.0.0.0" }, code:format(0, "::")))
    assert.equal(refused("127.0.0.1:" .. free), run({ "--allow-net=127.0.0.1:0" }, code:format(free, "127.0.0.1")))
  end)

  it("gives the raw sockets no more", function()
    local code = ([[local socket = require "twistlua.socket"
      show((select(2, socket.connect("127.0.0.1", %d)))) show((select(2, socket.listen("127.0.0.1", 0))))
      await(function() show(wait(require("twistlua.threads").deferToThread(function(p)
        return select(2, require("twistlua.socket").connect("127.0.0.1", p)) end, %d))) end)]]):format(port, port)
    local text = run({ "--allow-net=192.0.2.1" }, code)
    local sentence = ("connecting to 127.0.0.1:%d is not permitted (--allow-net=127.0.0.1:%d)\n"):format(port, port)
    assert.equal(sentence .. "listening on 127.0.0.1:0 is not permitted (--allow-net=127.0.0.1:0)\n" .. sentence, text)
  end)

  describe("for datagrams", function()
    local code = [[
      local protocol = require "twistlua.protocol"
      await(function()
        local got = require("twistlua.defer").Deferred()
        local Hear = protocol.DatagramProtocol:extend "Hear"
        function Hear:datagramReceived(data, from) self.transport:write(data .. "!", from) end
        local Ask = protocol.DatagramProtocol:extend "Ask"
        function Ask:datagramReceived(data) got:callback(data) end
        local server = reactor:listenUDP(%d, Hear(), { interface = "127.0.0.1" })
        local client = reactor:listenUDP(0, Ask(), { interface = "127.0.0.1" })
        try(client.write, client, "hi", "127.0.0.2", 9)
        client:write("ping", "127.0.0.1", %d)
        show(wait(got))
        wait(server:stopListening()) wait(client:stopListening())
      end)]]

    it("listens, sends and answers where that is permitted", function()
      local here = freePort()
      -- The client's own port is the system's choice: the answer goes there because it has asked.
      assert.equal("false|PermissionError: sending to 127.0.0.2:9 is not permitted (--allow-net=127.0.0.2:9)\nping!\n",
        run({ ("--allow-net=127.0.0.1:0,127.0.0.1:%d"):format(here) }, code:format(here, here)))
    end)

    it("does not otherwise", function()
      local here = freePort()
      assert.equal(refusal("listening on", "127.0.0.1:" .. here), run({ "--allow-net=127.0.0.1:0" }, code:format(here,
        here)))
      assert.equal(("false|PermissionError: sending to 127.0.0.2:9 is not permitted (--allow-net=127.0.0.2:9)\n")
        .. refusal("sending to", "127.0.0.1:9"), run({ ("--allow-net=127.0.0.1:0,127.0.0.1:%d"):format(here) },
          code:format(here, 9)))
      assert.equal("false|PermissionError: sending to 127.0.0.1:9 is not permitted (--allow-net=127.0.0.1:9)\n",
        run({ "--allow-net=127.0.0.1:0" }, [[local ok, m = pcall(function() reactor = require "twistlua.reactor"
          local p = reactor:listenUDP(0, require("twistlua.protocol").DatagramProtocol(), { interface = "127.0.0.1" })
          local ok, m = pcall(p.connect or p.transport.connect, p, "127.0.0.1", 9) error(m, 0) end) show(ok,
            m) os.exit(0, true)]]))
    end)
  end)

  describe("for UNIX sockets", function()
    local place
    setup(function() place = confined.folder() end)
    teardown(function() assert(os.execute("rm -r " .. place)) end)

    local CODE = [[
      local protocol = require "twistlua.protocol"
      local ok, p = pcall(function() reactor = require "twistlua.reactor"
        return reactor:listenUNIX("%s", protocol.Factory()) end)
      show(ok, ok or p)
      show((select(2, require("twistlua.core").socket.connect("UNIX", "%s.none"))))
      os.exit(0, true)]]
    local function try(option, path)
      return (run({ option }, CODE:format(path, path)):gsub(place, "@"))
    end

    it("takes those that are permitted", function()
      for _, option in ipairs { "--allow-net=unix", "--allow-net=unix:" .. place, "--allow-net=unix:" .. place
        .. "/in" } do
        assert.equal("true|true\nNo such file or directory\n", try(option, place .. "/in/socket"))
      end
    end)

    it("takes no others", function()
      local refused = "false|PermissionError: listening on unix:@%s is not permitted (--allow-net=unix:@%s)\n" ..
        "connecting to unix:@%s.none is not permitted (--allow-net=unix:@%s.none)\n"
      local function expect(option, path)
        assert.equal((refused:gsub("%%s", path)), try(option, place .. path))
      end
      expect("--allow-net", "/in/socket")
      expect("--allow-read", "/in/socket")
      expect("--allow-net=unix:" .. place .. "/in", "/out/socket")
      expect("--allow-net=unix:" .. place .. "/in", "/in/folder/socket")
      expect("--allow-net=unix:" .. place .. "/in", "/in/../out/socket")
      expect("--allow-net=unix:@name", "/in/socket")
    end)
  end)

  it("adopts descriptors only with all of it", function()
    local code = [[reactor = require "twistlua.reactor"
      local core, protocol = require "twistlua.core", require "twistlua.protocol"
      try(reactor.adoptStreamPort, reactor, 9, "AF_INET", protocol.Factory())
      try(reactor.adoptStreamConnection, reactor, 9, "AF_INET", protocol.Factory())
      require("twistlua.endpoints").serverFromString(reactor,
        "fd:9"):listen(protocol.Factory()):addErrback(function(f) show(f.value) end)
      os.exit(0, true)]]
    local sentence = "adopting a descriptor is not permitted (--allow-net)"
    assert.equal(("false|PermissionError: %s\nfalse|PermissionError: %s\nPermissionError: %s\n"):format(sentence,
      sentence, sentence),
      run({ "--allow-net=*:80" }, code))
    local text = run({ "--allow-net" }, code)
    assert.falsy(text:find "not permitted")
    assert.truthy(text:find "Bad file descriptor")
  end)
end)
