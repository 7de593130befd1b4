-- What Lua itself can do in a sandbox; and what docs/sandbox.md shows.
local child = require "system.child"
local confined = require "system.sandbox.confined"
local run = confined.run

describe("Lua in a sandbox", function()
  local place
  setup(function() place = confined.folder() end)
  teardown(function() assert(os.execute("rm -r " .. place)) end)

  local function file(name, content)
    local f <close> = assert(io.open(place .. "/" .. name, "wb"))
    f:write(content)
    return place .. "/" .. name
  end

  local function all(options, code) assert.equal("fine\n", run(options, code:gsub("@", place) .. "\nshow 'fine'")) end

  it("loads text and nothing else", function()
    file("in/code.luac", string.dump(function() return "bytecode" end))
    file("in/code.lua", "#!/usr/bin/env twistlua\nreturn 'text', ...")
    all({ "--allow-read=" .. place }, [[
      local bytes = string.dump(function() return 1 end)
      assert(not load(bytes)) assert(not load(bytes, "x", "b")) assert(not load(bytes, "x", "bt"))
      local parts = { bytes:sub(1, 5), bytes:sub(6) }
      assert(not load(function() return table.remove(parts, 1) end, "x", "b"))
      assert(load("return 7", "x", "b")() == 7 and load("return x", "x", "t", { x = 8 })() == 8)
      assert(not loadfile "@/in/code.luac") assert(not loadfile("@/in/code.luac", "b"))
      assert(not pcall(dofile, "@/in/code.luac"))
      assert(loadfile("@/in/code.lua")(1) == "text" and dofile "@/in/code.lua" == "text")
      package.path = "@/in/?.luac" assert(not pcall(require, "code"))]])
    assert.truthy(child.twistlua("--sandbox", place .. "/in/code.luac").stderr:find "binary")
    all({ "--sandbox" }, [[assert(not loadfile "@/in/code.lua")
      local ok, e = pcall(dofile, "@/in/code.lua") assert(not ok and e.permission == "read")]])
  end)

  it("has no C, no registry, no upvalues", function()
    all({ "--allow-read", "--allow-write", "--allow-net", "--allow-run", "--allow-env" }, [[
      assert(not package.loadlib and not package.cpath and #package.searchers == 3)
      for name in pairs(debug) do assert(name == "traceback" or name == "getinfo", name) end
      assert(not pcall(debug.getinfo, 1, "f") and debug.getinfo(1, "l").currentline and not debug.getinfo(1).func)
      assert(debug.getinfo(print).what == "C" and debug.getinfo(1, "S").source == "=-e")
      local function here() return debug.getinfo(2, "l").currentline end
      assert(here() == debug.getinfo(1, "l").currentline)
      assert(debug.traceback "x":find "^x\nstack traceback")
      assert(getmetatable(require("twistlua.defer").Deferred()) == false)
      assert(not pcall(os.setlocale, "C") and os.setlocale() == "C")]])
  end)

  it("can replace its own functions, and gets nowhere by it", function()
    all({ "--sandbox" }, [[
      getmetatable("").__index = function() return "x" end
      local real = require
      function require(name) if name == "twistlua.error" then return {
        PermissionError = function() return "mine" end } end return real(name) end
      package.loaded["twistlua.core"].file = nil
      assert(select(2, pcall(os.getenv, "HOME")) == "mine")
      getmetatable("").__index = string
      require = real
      table.insert(package.searchers, 1, function() return function() return io.open("/etc/passwd") end end)
      assert(real "anything" == true or real "anything" == nil or not io.type(real "anything"))
      assert(not io.open "/etc/passwd")
      local co = coroutine.wrap(function() return io.open "/etc/passwd" end)
      assert(not co())
      assert(not select(2, xpcall(io.open, print, "/etc/passwd")))
      assert(not setmetatable({}, { __gc = function() assert(not io.open "/etc/passwd") end }).x) collectgarbage()]])
  end)

  it("finds modules beside the script, and where reading is permitted", function()
    file("in/beside.lua", "return 'beside'")
    file("out/elsewhere.lua", "return 'elsewhere'")
    file("in/data.txt", "return 'data'")
    assert(os.execute(("ln -sf ../out/elsewhere.lua %s/in/linked.lua"):format(place)))
    local main = file("in/main.lua", ([[
      print((require "beside"))
      print((io.open "%s/in/beside.lua"))
      package.path = "%s/in/?.txt;%s/out/?.lua;" .. package.path
      print((select(2, pcall(require, "elsewhere")):match "[^\n]*elsewhere%%.lua[^\n]*%%-%%-[^\n]*"))
      print((pcall(require, "data")), (pcall(require, "linked")))
      print((package.searchpath("beside", package.path)))]]):format(place, place, place))
    local outcome = child.twistlua("--sandbox", main)
    assert.equal(("beside\nnil\n\tnot permitted: file '@/out/elsewhere.lua' (--allow-read=@/out/elsewhere.lua)\n" ..
      "false\tfalse\n@/in/beside.lua\n")
      :gsub("@", place), outcome.stdout .. outcome.stderr)
    assert.truthy(child.twistlua("--allow-read=" .. place .. "/out", main).stdout:find "beside\nnil\n.*false\ttrue\n")
  end)

  it("is no different on a thread", function()
    assert.equal("false|false|nil|nil|true\n", run({ "--sandbox" }, [[await(function()
      local out = wait(require("twistlua.threads").deferToThread(function()
        return { (io.open "/etc/passwd") ~= nil, (pcall(os.getenv, "HOME")), not load(string.dump(function() end)) }
      end))
      show(out[1], out[2], debug.getregistry, package.loadlib, out[3])
    end)]]))
    assert.truthy(run({ "--sandbox" }, [[await(function()
      wait(require("twistlua.threads").deferToThread("os:getenv", "HOME")) end)]])
      :find "failed|PermissionError: reading the variable HOME is not permitted %(%-%-allow%-env=HOME%)")
    assert.truthy(run({ "--sandbox" }, [[await(function()
      wait(require("twistlua.threads").deferToThread(os.getenv, "HOME")) end)]]):find "upvalues")
    assert.equal("7\n", run({ "--sandbox" }, [[await(function()
      show(wait(require("twistlua.threads").deferToThread(function(a) return a + 1 end, 6))) end)]]))
  end)

  it("may end the program", function()
    assert.equal(3, child.twistlua("--sandbox", "-e", "os.exit(3)").status)
  end)
end)

describe("docs/sandbox.md", function()
  local function read(path)
    local f <close> = assert(io.open(path))
    return f:read "a"
  end

  local number = 0
  for options, code in read("docs/sandbox.md"):gmatch("\n```lua\n%-%- twistlua ([^\n]+)\n(.-)```\n") do
    number = number + 1
    it(("shows code that runs (%d)"):format(number), function()
      local expected, words = "", { child.program }
      for text in code:gmatch("%-%-> ([^\n]+)") do expected = expected .. text .. "\n" end
      for option in options:gmatch "%S+" do words[#words + 1] = option end
      words[#words + 1], words[#words + 2] = "-e", [[local reactor = require "twistlua.reactor"
        reactor:callLater(0.2, function() reactor:stop() end) ]] .. code .. "\nreactor:run()"
      assert.equal(expected, (child.run(words).stdout:gsub("\t", "  ")))
    end)
  end

  it("shows some", function() assert.is_true(number > 1) end)
end)
