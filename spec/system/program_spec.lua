-- SPDX-License-Identifier: MIT
-- program_spec.lua -- the program `twistlua`, and the module for a plain lua5.4.
local child = require "system.child"

local function folder()
  local pipe <close> = assert(io.popen "mktemp -d")
  return pipe:read "l"
end

local function write(path, content)
  local file <close> = assert(io.open(path, "w"))
  file:write(content)
end

describe("the program", function()
  local place
  before_each(function() place = folder() end)
  after_each(function() assert(os.execute("rm -r " .. place)) end)

  -- A file beside the others of this test.
  local function script(name, content)
    write(place .. "/" .. name, content)
    return place .. "/" .. name
  end

  local function prints(expected, ...)
    assert.same({ status = 0, stdout = expected, stderr = "" }, child.twistlua(...))
  end

  describe("runs", function()
    it("a script with its arguments", function()
      local path = script("show.lua", [[print(arg[0]:match "[^/]+$", #arg, arg[1], arg[2], ...)]])
      prints("show.lua\t2\tone\t--two\tone\t--two\n", path, "one", "--two")
    end)

    it("a script that begins with #!", function()
      prints("hello\n", script("hash.lua", "#!/usr/bin/env twistlua\nprint 'hello'\n"))
    end)

    it("CODE with its arguments", function()
      prints("2\tone\t-e\tone\n", "-e", [[print(#arg, arg[1], arg[2], (...))]], "one", "-e")
    end)

    it("standard input with its arguments", function()
      local outcome = child.run({ child.program, "-", "one" }, { stdin = "print(arg[0], arg[1], ...)" })
      assert.same({ status = 0, stdout = "-\tone\tone\n", stderr = "" }, outcome)
    end)

    it("an empty script", function()
      prints("", script("empty.lua", ""))
      prints("", "-e", "")
      prints("", "-")
    end)
  end)

  it("puts what stands before the script below arg[0], as lua does", function()
    local path = script("show.lua", [[print(arg[-1], arg[-2] ~= nil, arg[-3])]])
    prints("--reactor=poll\ttrue\tnil\n", "--reactor=poll", path)
  end)

  describe("finds modules", function()
    it("beside the script, wherever it is run from", function()
      script("beside.lua", [[return "found beside"]])
      local path = script("main.lua", [[print((require "beside"))]])
      prints("found beside\n", path)
      local outcome = child.run({ child.program, "main.lua" }, { cd = place })
      assert.same({ status = 0, stdout = "found beside\n", stderr = "" }, outcome)
    end)

    it("in a package beside the script", function()
      assert(os.execute("mkdir " .. place .. "/part"))
      script("part/init.lua", [[return require "part.inner"]])
      script("part/inner.lua", [[return "found inside"]])
      prints("found inside\n", script("main.lua", [[print((require "part"))]]))
    end)

    it("of its own inside itself, not in the working folder", function()
      assert(os.execute("mkdir " .. place .. "/twistlua"))
      script("twistlua/task.lua", [[error "taken from the working folder"]])
      script("main.lua", [[print(type(require "twistlua.task"))]])
      local outcome = child.run({ child.program, "main.lua" }, { cd = place, env = { TWISTLUA_LUA = false } })
      assert.same({ status = 0, stdout = "table\n", stderr = "" }, outcome)
    end)

    it("of its own in the folder that TWISTLUA_LUA names, where they are there", function()
      assert(os.execute("mkdir " .. place .. "/twistlua"))
      script("twistlua/task.lua", [[return "replaced"]])
      local outcome = child.run({ child.program, "-e",
        [[print(require "twistlua.task", type(require "twistlua.defer"))]] }, { env = { TWISTLUA_LUA = place } })
      assert.same({ status = 0, stdout = "replaced\ttable\n", stderr = "" }, outcome)
    end)
  end)

  describe("ends with status 1 and one message", function()
    local function fails(pattern, ...)
      local outcome = child.twistlua(...)
      assert.equal(1, outcome.status)
      assert.equal("", outcome.stdout)
      assert.matches("^twistlua: " .. pattern, outcome.stderr)
      return outcome.stderr
    end

    it("for a script that does not exist", function()
      local message = fails("cannot open [^\n]*nothing%.lua[^\n]*\n$", place .. "/nothing.lua")
      assert.matches("No such file", message)
    end)

    it("for a script that is a folder", function()
      fails("cannot read [^\n]*\n$", place)
    end)

    it("for a script that does not parse", function()
      fails("[^\n]*bad%.lua:2: [^\n]*\n$", script("bad.lua", "local x\nx = = 1\n"))
    end)

    it("for CODE that does not parse", function()
      fails("%-e:1: [^\n]*\n$", "-e", "x = = 1")
    end)

    it("for standard input that does not parse", function()
      local outcome = child.run({ child.program, "-" }, { stdin = "x = = 1" })
      assert.equal(1, outcome.status)
      assert.matches("^twistlua: stdin:1: [^\n]*\n$", outcome.stderr)
    end)

    it("with its traceback for a script that raises", function()
      local message = fails("[^\n]*raises%.lua:1: trouble\nstack traceback:\n",
        script("raises.lua", "local function inner() error 'trouble' end\ninner()\n"))
      assert.matches("raises%.lua:2: in main chunk", message)
    end)

    it("for a script whose module is missing or broken", function()
      script("broken.lua", "return = 1")
      fails("[^\n]*module 'nowhere' not found", script("first.lua", [[require "nowhere"]]))
      fails("[^\n]*error loading module 'broken'", script("second.lua", [[require "broken"]]))
    end)

    it("for a script that raises something else than a text", function()
      fails("ConnectError: ", "-e", [[error(require("twistlua.error").ConnectError("x"))]])
      fails("told by itself\n", "-e",
        [[error(setmetatable({}, { __tostring = function() return "told by itself" end }))]])
      fails("nil\n", "-e", "error()")
      fails("table: ", "-e", "error {}")
    end)

    it("for a script that raises after it set something up", function()
      fails("[^\n]*trouble\n", "-e", [[
        require("twistlua.reactor"):callLater(0, print, "called")
        error "trouble"
      ]])
    end)
  end)

  describe("ends with status 2 and its usage", function()
    for name, arguments in pairs {
      ["without a script"] = {}, ["for an unknown option"] = { "--nonsense", "x.lua" },
      ["for -e without CODE"] = { "-e" }, ["for --reactor without a name"] = { "--reactor" },
      ["for an unknown letter"] = { "-z", "x.lua" },
    } do
      it(name, function()
        local outcome = child.twistlua(table.unpack(arguments))
        assert.equal(2, outcome.status)
        assert.equal("", outcome.stdout)
        assert.matches("usage: twistlua", outcome.stderr)
      end)
    end
  end)

  it("ends with the status that a script asks for", function()
    assert.equal(7, child.lua("os.exit(7)").status)
    assert.equal(1, child.lua("os.exit(false)").status)
    assert.equal(0, child.lua("os.exit(true)").status)
  end)

  for name, code in pairs {
    ["a delayed call"] = [[reactor:callLater(0, os.exit, 7, true)]],
    ["callFromThread"] = [[reactor:callFromThread(os.exit, 7, true)]],
    ["a trigger of shutdown"] = [[
      reactor:addSystemEventTrigger("before", "shutdown", os.exit, 7, true)
      reactor:callWhenRunning(reactor.stop, reactor)]],
    ["a reader"] = [[
      local socket = require "twistlua.socket"
      local listening = socket.listen("127.0.0.1", 0)
      Client = socket.connect("127.0.0.1", listening:getsockname().port)
      reactor:addReader {
        fileno = function() return listening:fileno() end,
        doRead = function() os.exit(7, true) end,
      }]],
    ["a protocol"] = [[
      local protocol = require "twistlua.protocol"
      local Server = protocol.Protocol:extend("Server")
      function Server:connectionMade() self.transport:write "hello" end
      local Client = protocol.Protocol:extend("Client")
      function Client:dataReceived() os.exit(7, true) end
      local port = reactor:listenTCP(0, protocol.Factory.forProtocol(Server), { interface = "127.0.0.1" })
      reactor:connectTCP("127.0.0.1", port:getHost().port, protocol.ClientFactory.forProtocol(Client))]],
  } do
    it("may be ended by os.exit, closing everything, inside " .. name, function()
      local outcome = child.lua([[local reactor = require "twistlua.reactor" ]] .. code)
      assert.same({ status = 7, stdout = "", stderr = "" }, outcome)
    end)
  end

  it("shows warnings once they are turned on, as lua does", function()
    local result = child.lua([[warn("unseen"); warn("@on"); warn("half", " and half"); warn("@off"); warn("unseen")]])
    assert.equal("Lua warning: half and half\n", result.stderr)
  end)

  it("tells its version, Lua's, libev's and the reactors", function()
    local outcome = child.twistlua "--version"
    assert.equal(0, outcome.status)
    assert.equal("", outcome.stderr)
    assert.matches("^twistlua %d+%.%d+%.%d+ %(Lua 5%.4%.%d+, libev %d%.%d+; reactors: epoll poll select%)\n$",
      outcome.stdout)
  end)

  it("tells its usage", function()
    local outcome = child.twistlua "--help"
    assert.equal(0, outcome.status)
    assert.equal("", outcome.stderr)
    for _, option in ipairs { "-e CODE", "--reactor=NAME", "--debug", "--version", "--help", "TWISTLUA_REACTOR" } do
      assert.is_truthy(outcome.stdout:find(option, 1, true), option)
    end
  end)

  describe("runs the reactor for a script that returned without", function()
    for name, code in pairs {
      ["a call"] = [[reactor:callLater(0, done)]],
      ["callWhenRunning"] = [[reactor:callWhenRunning(done)]],
      ["callFromThread"] = [[reactor:callFromThread(done)]],
      ["a server"] = [[
        local protocol = require "twistlua.protocol"
        local Server = protocol.Protocol:extend("Server")
        function Server:connectionMade() done() end
        local port = reactor:listenTCP(0, protocol.Factory.forProtocol(Server), { interface = "127.0.0.1" })
        Client = require("twistlua.socket").connect("127.0.0.1", port:getHost().port)]],
      ["a client"] = [[
        local protocol = require "twistlua.protocol"
        local factory = protocol.ClientFactory.forProtocol(protocol.Protocol)
        function factory:clientConnectionFailed() done() end
        reactor:connectTCP("127.0.0.1", 1, factory)]],
      ["a reader"] = [[
        reactor:addReader {
          fileno = function() return 0 end,
          doRead = function() return require("twistlua.main").CONNECTION_DONE end,
          connectionLost = function() done() end,
        }]],
    } do
      it("having set up " .. name, function()
        prints("returned\ndone\n", "-e", [[
          local reactor = require "twistlua.reactor"
          local function done()
            print "done"
            reactor:stop()
          end
        ]] .. code .. [[

          print "returned"
        ]])
      end)
    end
  end)

  it("does not run the reactor for a script that set up nothing", function()
    prints("", "-e", [[require("twistlua.reactor"):addSystemEventTrigger("before", "shutdown", print, "shutdown")]])
  end)

  it("does not run the reactor again for a script that did", function()
    prints("once\n", "-e", [[
      local reactor = require "twistlua.reactor"
      reactor:callWhenRunning(function()
        print "once"
        reactor:stop()
      end)
      reactor:run()
      reactor:callLater(0, print, "twice")
    ]])
  end)

  it("tells at the end of the failure that nobody handled", function()
    local outcome = child.lua [[require("twistlua.defer").fail("nobody listens")]]
    assert.equal(0, outcome.status)
    assert.matches("Unhandled error in Deferred.*nobody listens", outcome.stderr)
  end)

  it("tells with --debug also where the Deferred was made", function()
    local code = "local made = require('twistlua.defer').Deferred()\nmade:errback 'nobody listens'"
    assert.is_nil(child.lua(code).stderr:find("-e:1:", 1, true))
    local debugging = child.twistlua("--debug", "-e", code)
    assert.equal(0, debugging.status)
    assert.is_truthy(debugging.stderr:find("-e:1:", 1, true))
    assert.is_truthy(debugging.stderr:find("-e:2:", 1, true))
  end)

  it("logs an error in a callback with its traceback, and goes on", function()
    local outcome = child.lua [[
      local reactor = require "twistlua.reactor"
      reactor:callLater(0, function() error "in a callback" end)
      reactor:callLater(0, function()
        print "goes on"
        reactor:stop()
      end)
    ]]
    assert.equal(0, outcome.status)
    assert.equal("goes on\n", outcome.stdout)
    assert.matches("Traceback.*%-e:2.*in a callback", outcome.stderr)
  end)
end)

describe("a plain lua5.4", function()
  -- Built beside the program; a sanitized one needs its own runtime loaded first.
  local modules = child.program:match("^(.*)/[^/]*$") .. "/module/?.so"

  local function sanitizer()
    local pipe <close> = assert(io.popen("ldd " .. child.quote(child.program)))
    return pipe:read("a"):match("(/%S*libasan%S*)") or false
  end

  local function lua(code)
    return child.run({ "lua5.4", "-e", code }, { env = {
      LUA_CPATH = modules, LD_PRELOAD = sanitizer(),
      ASAN_OPTIONS = "detect_leaks=0",   -- that program's own leaks are not ours
    } })
  end

  it("loads the module, which brings all of the others", function()
    assert.same({ status = 0, stdout = "0.1.0\ntable\tfunction\n", stderr = "" }, lua [[
      print(require("twistlua")._VERSION)
      print(type(require "twistlua.reactor"), type(require("twistlua.defer").await))
    ]])
  end)

  it("serves with it", function()
    assert.same({ status = 0, stdout = "there and back\n", stderr = "" }, lua [[
      require "twistlua"
      local reactor  = require "twistlua.reactor"
      local protocol = require "twistlua.protocol"
      local Echo, Client = protocol.Protocol:extend("Echo"), protocol.Protocol:extend("Client")
      function Echo:dataReceived(data) self.transport:write(data) end
      function Client:connectionMade() self.transport:write "there and back" end
      function Client:dataReceived(data)
        print(data)
        reactor:stop()
      end
      local port = reactor:listenTCP(0, protocol.Factory.forProtocol(Echo), { interface = "127.0.0.1" })
      reactor:connectTCP("127.0.0.1", port:getHost().port, protocol.ClientFactory.forProtocol(Client))
      reactor:run()
    ]])
  end)

  it("has the backend of the environment, and refuses an unknown one with the list", function()
    local code = [[
      require "twistlua"
      print(pcall(require, "twistlua.reactor"))
    ]]
    local outcome = child.run({ "lua5.4", "-e", code }, { env = {
      LUA_CPATH = modules, LD_PRELOAD = sanitizer(), ASAN_OPTIONS = "detect_leaks=0", TWISTLUA_REACTOR = "nonsense",
    } })
    assert.equal(0, outcome.status)
    assert.matches("^false\t.*'nonsense'.*epoll, poll, select", outcome.stdout)
  end)
end)
