-- SPDX-License-Identifier: MIT
-- write_file_spec.lua -- Transport:writeFile, and the files that are held open for it.
local await    = require("twistlua.defer").await
local child    = require "system.child"
local core     = require "twistlua.core"
local ends     = require "system.streams.pairs"
local openfile = core.openfile

local CONTENT = ("0123456789"):rep(1000000)

local path = os.tmpname()
local directory, name = path:match("^(.*)/(.-)$")
do
  local file = assert(io.open(path, "w"))
  file:write(CONTENT)
  file:close()
end

local function openIt() return assert(openfile.open(directory, name, false)) end

for _, kind in ipairs { "TCP", "UNIX" } do
  describe("writeFile on " .. kind, function()
    it("sends parts between other bytes, and keeps a closed file until then", ends.joined(kind, nil, nil,
      function(server, client)
        local file = openIt()
        server.transport:write("<")
        assert.is_true(server.transport:writeFile(file, 3, #CONTENT - 3))
        server.transport:write("|")
        assert.is_true(server.transport:writeFile(file, 0, 2))
        file:close()
        assert.truthy(tostring(file):find("closing", 1, true))
        assert.same({ file }, openfile.live())
        assert.has_error(function() server.transport:writeFile(file, 0, 1) end, "the file is closed")
        await(client:whenReceived(#CONTENT + 1))
        ends.turns(3)
        assert.same({}, openfile.live())
        assert.truthy(tostring(file):find("closed", 1, true))
      end))

    it("does not count towards the limit of output", ends.joined(kind, nil, nil, function(server, client)
      local file <close> = openIt()
      server.transport:setOutputLimit(1000)
      client.transport:pauseProducing()
      server.transport:writeFile(file, 0, #CONTENT)
      for _ = 1, 5 do server.transport:write("x") end
      ends.turns(5)
      assert.is_true(server.transport.connected)
      client.transport:resumeProducing()
      await(client:whenReceived(#CONTENT + 5))
    end))
  end)
end

describe("an open file", function()
  teardown(function() os.remove(path) end)

  it("tells what it is, and reads", function()
    local file <close>, kind, length, changed = openfile.open(directory, name, false)
    local type, size, modified, inode = file:stat()
    assert.same({ type, size, modified }, { kind, length, changed })
    assert.same({ "file", #CONTENT, "integer" }, { type, size, math.type(inode) })
    assert.is_true(math.abs(os.time() - modified) < 1000)
    assert.equal("2345", file:read(2, 4))
    assert.equal("9", file:read(#CONTENT - 1, 100))
    assert.equal("", file:read(#CONTENT, 1))
    assert.has_error(function() file:read(-1, 1) end)
    assert.has_error(function() file:read(0, -1) end)
  end)

  it("is looked at anew in another turn", ends.joined("TCP", nil, nil, function(server)
    local other = os.tmpname()
    local writer <close> = assert(io.open(other, "w"))
    writer:write("0123456789"):flush()
    local file <close> = assert(openfile.open(other:match("^(.*)/(.-)$")))
    ends.turns(1)
    os.execute(": > " .. other)
    local queued, _, code = server.transport:writeFile(file, 0, 10)
    assert.same({ nil, "EINVAL" }, { queued, code })
    assert.equal(0, select(2, file:stat()))
    os.remove(other)
  end))

  it("needs no reactor", function()
    local outcome = child.lua(([[
      local file = assert(require("twistlua.core").openfile.open("%s", "%s", false))
      print((file:stat()), file:read(0, 3))
    ]]):format(directory, name))
    assert.same({ status = 0, stdout = "file\t012\n", stderr = "" }, outcome)
  end)

  it("is of no use when closed, twice if need be", function()
    local file = openIt()
    file:close()
    file:close()
    assert.has_error(function() file:read(0, 1) end, "the file is closed")
    assert.has_error(function() file:stat() end, "the file is closed")
  end)

  it("is not there where nothing is", function()
    local file, _, code = openfile.open(directory, "no/such/file", false)
    assert.same({ nil, "ENOENT" }, { file, code })
    assert.has_error(function() openfile.open(directory, "a\0b", false) end)
  end)
end)

describe("a file of memory", function()
  it("has the bytes", function()
    local file <close> = assert(openfile.memory "0123456789")
    local type, size = file:stat()
    assert.same({ "file", 10 }, { type, size })
    assert.equal("234", file:read(2, 3))
  end)

  it("is sent as often as one likes", ends.joined("TCP", nil, nil, function(server, client)
    local file <close> = assert(openfile.memory(CONTENT))
    for _ = 1, 3 do assert.is_true(server.transport:writeFile(file, 0, #CONTENT)) end
    await(client:whenReceived(3 * #CONTENT))
  end))

  it("is one of few", function()
    local files = {}
    for index = 1, 64 do files[index] = assert(openfile.memory "x") end
    local file, _, code = openfile.memory "x"
    assert.same({ nil, "EOPNOTSUPP" }, { file, code })
    files[1]:close()
    files[1]:close()
    files[1] = assert(openfile.memory "x")
    assert.is_nil((openfile.memory "x"))
    files = nil   -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    local much = ("x"):rep(40 * 1024 * 1024)
    local one <close> = assert(openfile.memory(much))   -- luacheck: ignore
    assert.is_nil((openfile.memory(much)))
  end)

  it("is not made in a sandbox, where memory is counted", function()
    local code = [[print((select(3, require("twistlua.core").openfile.memory "x")))]]
    assert.equal("EOPNOTSUPP\n", child.twistlua("--sandbox", "-e", code).stdout)
  end)
end)
