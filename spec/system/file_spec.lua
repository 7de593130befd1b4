-- SPDX-License-Identifier: MIT
-- file_spec.lua -- files by Deferreds: their contents, what they are, directories, and what goes wrong.
local async   = require "twistlua.test".async
local child   = require "system.child"
local defer   = require "twistlua.defer"
local errors  = require "twistlua.error"
local file    = require "twistlua.file"
local reactor = require "twistlua.reactor"
local threads = require "twistlua.threads"

local await = defer.await

local function octal(digits) return tonumber(digits, 8) end

local function errorOf(d)
  local ok, problem = pcall(await, d)
  assert.is_false(ok)
  assert.is_true(problem:is(errors.FileError))
  return problem
end

describe("file", function()
  local folder

  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder))
  end)

  after_each(function() assert(os.execute("chmod -R u+w " .. folder .. " && rm -r " .. folder)) end)

  local function at(name) return folder .. "/" .. name end

  local function make(name, content)
    local f <close> = assert(io.open(at(name), "wb"))
    f:write(content)
  end

  local function content(name)
    local f <close> = assert(io.open(at(name), "rb"))
    return f:read("a")
  end

  describe("read", function()
    it("gives the whole content", async(function()
      for _, text in ipairs { "", "text", "a\0b\r\n", ("0123456789"):rep(1000000) } do
        make("f", text)
        assert.is_true(text == await(file.read(at "f")))
      end
    end))

    it("reads files that do not tell their size", async(function()
      assert.matches("^Linux version", await(file.read "/proc/version"))
      assert.equal(0, #await(file.read "/dev/null"))
    end))

    it("refuses what is larger than maxSize", async(function()
      make("f", "12345")
      assert.equal("12345", await(file.read(at "f", { maxSize = 5 })))
      local problem = errorOf(file.read(at "f", { maxSize = 4 }))
      assert.equal("EFBIG", problem.code)
      assert.equal(("Couldn't read %s: 27: File too large."):format(at "f"), problem.message)
      assert.equal("EFBIG", errorOf(file.read("/dev/zero", { maxSize = 100000 })).code)
      assert.equal("", await(file.read("/dev/null", { maxSize = 0 })))
    end))

    it("fails with errno, path and sentence", async(function()
      local problem = errorOf(file.read(at "none"))
      assert.same({ 2, "ENOENT", at "none" }, { problem.errno, problem.code, problem.path })
      assert.equal(("FileError: Couldn't read %s: 2: No such file or directory."):format(at "none"),
        tostring(problem))
      assert.equal("EISDIR", errorOf(file.read(folder)).code)
      assert.equal("ENOTDIR", errorOf(file.read("/dev/null/x")).code)
      assert.equal("ENAMETOOLONG", errorOf(file.read(("x"):rep(5000))).code)
    end))
  end)

  describe("write", function()
    it("makes a file, and replaces what is in it", async(function()
      assert.is_nil(await(file.write(at "f", "long content")))
      assert.equal("long content", content "f")
      await(file.write(at "f", "a\0b"))
      assert.equal("a\0b", content "f")
      await(file.write(at "f", ""))
      assert.equal("", content "f")
    end))

    it("appends", async(function()
      await(file.write(at "f", "a", { append = true }))
      await(file.write(at "f", "b", { append = true }))
      assert.equal("ab", content "f")
    end))

    it("makes a new file only, if asked to", async(function()
      await(file.write(at "f", "first", { new = true }))
      assert.equal("EEXIST", errorOf(file.write(at "f", "second", { new = true })).code)
      assert.equal("first", content "f")
    end))

    it("gives a new file its mode, less the umask", async(function()
      await(file.write(at "f", "", { mode = octal "600" }))
      assert.equal(octal "600", (await(file.stat(at "f"))).mode)
    end))

    describe("atomic", function()
      it("replaces the file and leaves nothing else", async(function()
        make("f", "before")
        assert(os.execute("chmod 640 " .. at "f"))
        local before = await(file.stat(at "f")).ino
        await(file.write(at "f", "after", { atomic = true }))
        assert.equal("after", content "f")
        local info = await(file.stat(at "f"))
        assert.not_equal(before, info.ino)
        assert.equal(octal "640", info.mode)
        await(file.write(at "new", "made", { atomic = true, mode = octal "600" }))
        assert.equal(octal "600", (await(file.stat(at "new"))).mode)
        assert.same({ "f", "new" }, await(file.list(folder)))
      end))

      it("leaves nothing where it fails", async(function()
        make("d", "")
        os.remove(at "d")
        await(file.makeDirectory(at "d"))
        assert.equal("EISDIR", errorOf(file.write(at "d", "x", { atomic = true })).code)
        assert.same({ "d" }, await(file.list(folder)))
        assert.equal("ENOENT", errorOf(file.write(at "none/f", "x", { atomic = true })).code)
      end))

      it("lets many write at once, of whom one wins", async(function()
        local all = {}
        for i = 1, 50 do all[i] = file.write(at "f", ("%d\n"):format(i):rep(1000), { atomic = true }) end
        await(defer.gatherResults(all))
        local text = content "f"
        assert.equal(text:match("^%d+\n"):rep(1000), text)
        assert.same({ "f" }, await(file.list(folder)))
      end))
    end)

    it("fails where the disk is full", async(function()
      local problem = errorOf(file.write("/dev/full", "x"))
      assert.equal("ENOSPC", problem.code)
      assert.matches("^Couldn't write /dev/full: 28: No space left on device.$", problem.message)
    end))
  end)

  describe("stat", function()
    it("tells the type, size, times and mode", async(function()
      make("f", "12345")
      local info = await(file.stat(at "f"))
      assert.same({ "file", 5, 1 }, { info.type, info.size, info.nlink })
      assert.is_true(math.abs(info.mtime - os.time()) < 60)
      for _, name in ipairs { "atime", "ctime" } do assert.equal("float", math.type(info[name])) end
      for _, name in ipairs { "uid", "gid", "ino", "dev", "mode" } do
        assert.equal("integer", math.type(info[name]))
      end
      assert.equal("directory", await(file.stat(folder)).type)
      assert.equal("other", await(file.stat "/dev/null").type)
    end))

    it("follows links, or does not", async(function()
      make("f", "12345")
      assert(os.execute(("ln -s f %s; ln -s none %s"):format(at "l", at "dangling")))
      assert.equal("file", await(file.stat(at "l")).type)
      assert.equal("link", await(file.stat(at "l", { followLinks = false })).type)
      assert.equal("ENOENT", errorOf(file.stat(at "dangling")).code)
      assert.equal("link", await(file.stat(at "dangling", { followLinks = false })).type)
    end))
  end)

  it("list gives the sorted names", async(function()
    assert.same({}, await(file.list(folder)))
    for _, name in ipairs { "b", ".hidden", "a", "B", "ä" } do make(name, "") end
    assert.same({ ".hidden", "B", "a", "b", "ä" }, await(file.list(folder)))
    for i = 1, 1000 do make(("n%04d"):format(i), "") end
    local names = await(file.list(folder))
    assert.equal(1005, #names)
    assert.equal("n1000", names[1004])
    assert.equal("ENOTDIR", errorOf(file.list "/dev/null").code)
  end))

  it("rename replaces", async(function()
    make("a", "A")
    make("b", "B")
    await(file.rename(at "a", at "b"))
    assert.equal("A", content "b")
    assert.same({ "b" }, await(file.list(folder)))
    local problem = errorOf(file.rename(at "none", at "b"))
    assert.same({ "ENOENT", at "none" }, { problem.code, problem.path })
    assert.matches("^Couldn't rename .*/none: 2: No such", problem.message)
  end))

  it("remove takes files, links and empty directories", async(function()
    make("f", "")
    assert(os.execute(("ln -s f %s; mkdir -p %s"):format(at "l", at "d/e")))
    await(file.remove(at "l"))
    assert.same({ "d", "f" }, await(file.list(folder)))
    assert.equal("ENOTEMPTY", errorOf(file.remove(at "d")).code)
    await(file.remove(at "d/e"))
    await(file.remove(at "d"))
    await(file.remove(at "f"))
    assert.same({}, await(file.list(folder)))
    assert.equal("ENOENT", errorOf(file.remove(at "f")).code)
  end))

  it("makeDirectory makes one, or with its parents", async(function()
    await(file.makeDirectory(at "a", { mode = octal "700" }))
    assert.equal(octal "700", (await(file.stat(at "a"))).mode)
    assert.equal("EEXIST", errorOf(file.makeDirectory(at "a")).code)
    assert.equal("ENOENT", errorOf(file.makeDirectory(at "b/c")).code)
    await(file.makeDirectory(at "b/c/d", { parents = true }))
    await(file.makeDirectory(at "b/c/d/", { parents = true }))
    assert.equal("directory", await(file.stat(at "b/c/d")).type)
    make("f", "")
    assert.equal("ENOTDIR", errorOf(file.makeDirectory(at "f/x", { parents = true })).code)
    assert.equal("EEXIST", errorOf(file.makeDirectory(at "f", { parents = true })).code)
  end))

  it("can be cancelled before it has begun", async(function()
    local pool = reactor:getThreadPool()
    reactor:suggestThreadPoolSize(1)
    local blocked = defer.Deferred()
    threads.export("blocked", function() return blocked end)
    local first = threads.deferToThread(function()
      require("twistlua.threads").blockingCallFromThread("blocked")
    end)
    while pool:statistics().threads > 1 do await(require("twistlua.task").deferLater(reactor, 0)) end
    local second = file.write(at "f", "must not be")
    second:cancel()
    assert.equal(defer.CancelledError, select(2, pcall(await, second)):is(defer.CancelledError)
      and defer.CancelledError)
    blocked:callback()
    await(first)
    reactor:suggestThreadPoolSize(10)
    threads.export("blocked", nil)
    assert.same({}, await(file.list(folder)))
  end))

  it("blames the caller for what is no path, and for options", function()
    for name, f in pairs(file) do
      for _, bad in ipairs { "", "a\0b", 5, false, {} } do
        local ok, message = pcall(function() local d = f(bad, "x") return d end)
        assert.is_false(ok)
        assert.matches("file_spec.lua:%d+: file." .. name .. ": a path expected, got", message)
      end
    end
    assert.has_error(function() local d = file.read("x", { size = 1 }) return d end)
    assert.has_error(function() local d = file.read("x", { maxSize = -1 }) return d end)
    assert.has_error(function() local d = file.write("x", 5) return d end)
    assert.has_error(function() local d = file.write("x", "", { mode = -1 }) return d end)
    assert.has_error(function() local d = file.write("x", "", { atomic = true, append = true }) return d end)
  end)

  it("keeps a program running until it is done", function()
    assert.same({ status = 0, stdout = "true\n", stderr = "" }, child.lua [[
      local reactor = require "twistlua.reactor"
      require("twistlua.file").read("/proc/version"):addCallback(function(text)
        print(text:find("Linux") ~= nil)
        reactor:stop()
      end)
    ]])
  end)
end)
