-- SPDX-License-Identifier: MIT
-- inotify_spec.lua -- watching real files.
local async   = require("twistlua.test.async").async
local child   = require "system.child"
local defer   = require "twistlua.defer"
local flush   = require("twistlua.test.async").flushLoggedErrors
local inotify = require "twistlua.inotify"
local reactor = require "twistlua.reactor"

local await = defer.await

local function sh(command, ...) assert(os.execute(command:format(...))) end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text or "")
  file:close()
end

local function raised(f, ...)
  local ok, problem = pcall(f, ...)
  assert.is_false(ok)
  return problem
end

-- What was told: "create,is_dir NAME" with the name below the directory that the test has.
local Told = {}
Told.__index = Told

function Told:callback()
  return function(_, path, mask)
    local words = table.concat(inotify.humanReadableMask(mask), ",")
    table.insert(self.list, words .. " " .. path:sub(#self.root + 2))
    if self.waiting and self.list[#self.list] == self.waiting[1] then
      local fired = self.waiting[2]
      self.waiting = nil
      reactor:callLater(0, fired.callback, fired)   -- the notifier is done with the event then
    end
  end
end

function Told:has(text)
  for _, entry in ipairs(self.list) do
    if entry == text then return true end
  end
  return false
end

-- Until it was told.
function Told:wait(text)
  if self:has(text) then return end
  self.waiting = { text, defer.Deferred() }
  await(self.waiting[2])
end

-- `body(notifier, directory, told)` with a directory that is removed afterwards.
local function watching(body)
  return async(function()
    local root = os.tmpname()
    os.remove(root)
    sh("mkdir %s", root)
    local notifier, told = inotify.INotify(reactor), setmetatable({ root = root, list = {} }, Told)
    notifier:startReading()
    body(notifier, root, told)
    notifier:loseConnection()
    sh("rm -r %s", root)
  end)
end

describe("watch", function()
  it("tells what happens to the files of a directory", watching(function(notifier, root, told)
    notifier:watch(root, { callbacks = { told:callback() } })
    write(root .. "/a", "text")
    told:wait "modify a"
    sh("mv %s/a %s/b", root, root)
    sh("rm %s/b", root)
    told:wait "delete b"
    assert.same({ "create a", "modify a", "moved_from a", "moved_to b", "delete b" }, told.list)
  end))

  it("tells only what the mask asks for, to each callback, with the watch", watching(function(notifier, root, told)
    local seen
    local watch = notifier:watch(root .. "/", {
      mask = inotify.IN_CLOSE_WRITE,
      callbacks = { function(...) seen = { ... } end, told:callback() },
    })
    write(root .. "/a", "text")
    told:wait "close_write a"
    assert.same({ "close_write a" }, told.list)
    assert.equal(watch, seen[1])
    assert.equal(root .. "/a", seen[2])
    assert.equal(inotify.IN_CLOSE_WRITE, seen[3])
    assert.equal(root, watch.path)
  end))

  it("watches a file, and tells its end", watching(function(notifier, root, told)
    write(root .. "/a")
    notifier:watch(root .. "/a", { mask = inotify.IN_MODIFY, callbacks = { told:callback() } })
    write(root .. "/a", "text")
    sh("rm %s/a", root)
    told:wait "delete_self a"
    assert.equal("modify a", told.list[1])
    write(root .. "/a")
    -- The watch ended with the file: there may be a new one.
    local done = defer.Deferred()
    reactor:callLater(0, done.callback, done)
    await(done)
    notifier:watch(root .. "/a")
  end))

  it("with autoAdd watches directories that appear, and misses nothing in them", watching(
    function(notifier, root, told)
      notifier:watch(root, { autoAdd = true, callbacks = { told:callback() } })
      sh("mkdir -p %s/one/two/three && touch %s/one/file %s/one/two/three/deep", root, root, root)
      told:wait "create,is_dir one/two/three"
      if not told:has "create one/two/three/deep" then told:wait "close_write,create one/two/three/deep" end
      assert.is_true(told:has "create one/file" or told:has "close_write,create one/file")
      write(root .. "/one/two/three/late")
      told:wait "create one/two/three/late"
    end))

  it("with autoAdd follows a directory that is moved", watching(function(notifier, root, told)
    sh("mkdir -p %s/a/b", root)
    notifier:watch(root, { autoAdd = true, recursive = true, callbacks = { told:callback() } })
    sh("mv %s/a %s/c", root, root)
    told:wait "moved_to,is_dir c"
    write(root .. "/c/b/file")
    told:wait "create c/b/file"
    assert.matches("'" .. root .. "/a' is not watched", raised(notifier.ignore, notifier, root .. "/a"))
  end))

  it("with recursive watches what is below, and does not follow links", watching(function(notifier, root, told)
    sh("mkdir -p %s/a/b && ln -s %s %s/a/b/up", root, root, root)
    notifier:watch(root, { recursive = true, callbacks = { told:callback() } })
    write(root .. "/a/b/file")
    told:wait "create a/b/file"
    sh("mkdir %s/new", root)
    told:wait "create,is_dir new"
    write(root .. "/new/unseen")
    write(root .. "/seen")
    told:wait "create seen"
    assert.is_false(told:has "create new/unseen")
  end))

  it("tells that events were lost", watching(function(notifier, root, told)
    write(root .. "/a")
    notifier:watch(root, { mask = inotify.IN_CREATE, callbacks = { told:callback() } })
    local limit = io.open("/proc/sys/fs/inotify/max_queued_events"):read("n")
    sh("python3 -c 'for i in range(%d): open(\"%s/%%d\" %% i, \"w\").close()'", limit + 10, root)
    told:wait "queue_overflow "
  end))

  it("goes on after a callback that raises", watching(function(notifier, root, told)
    notifier:watch(root, { callbacks = { function() error "cannot look" end, told:callback() } })
    write(root .. "/a")
    told:wait "create a"
    assert.matches("cannot look", flush()[1]:getErrorMessage())
  end))

  it("tells nothing of a path that is ignored, or after the end, even from within", watching(
    function(notifier, root, told)
      sh("mkdir %s/sub", root)
      notifier:watch(root, { callbacks = { told:callback() } })
      notifier:watch(root .. "/sub", { callbacks = { told:callback() } })
      notifier:ignore(root .. "/sub/")
      write(root .. "/sub/unseen")
      write(root .. "/a")
      told:wait "create a"
      assert.is_false(told:has "create sub/unseen")
      local second = inotify.INotify(reactor)
      second:startReading()
      local count, done = 0, defer.Deferred()
      second:watch(root, { callbacks = { function()
        count = count + 1
        second:loseConnection()
        reactor:callLater(0, done.callback, done)
      end } })
      write(root .. "/b", "text")
      await(done)
      assert.equal(1, count)
      second:loseConnection()
      assert.matches("the notifier is closed", raised(second.watch, second, root))
    end))

  it("raises for what cannot be watched", watching(function(notifier, root)
    local problem = raised(notifier.watch, notifier, root .. "/not")
    assert.equal("IOError", problem.__name)
    assert.equal("ENOENT", problem.code)
    notifier:watch(root)
    assert.matches("is watched already", raised(notifier.watch, notifier, root).message)
    assert.matches("'nowhere' is not watched", raised(notifier.ignore, notifier, "nowhere"))
    assert.matches("path must be a string", raised(notifier.watch, notifier, 12))
    assert.matches("path must be a string", raised(notifier.watch, notifier, "a\0b"))
    for _, mask in ipairs { 0, -1, inotify.IN_ISDIR } do
      assert.matches("no mask", raised(notifier.watch, notifier, root, { mask = mask }))
    end
    assert.matches("unknown option 'callback'", raised(notifier.watch, notifier, root, { callback = print }))
    assert.matches("a callback is no function", raised(notifier.watch, notifier, root, { callbacks = { 1 } }))
  end))

  it("keeps the program running, and ends with the reactor", function()
    assert.same({ status = 0, stdout = "create\n", stderr = "" }, child.lua [[
      local inotify = require "twistlua.inotify"
      local path = os.tmpname()
      os.remove(path)
      os.execute("mkdir " .. path)
      local notifier = inotify.INotify()
      notifier:watch(path, { callbacks = { function(_, _, mask)
        print(table.concat(inotify.humanReadableMask(mask), ","))
        os.execute("rm -r " .. path)
        notifier:loseConnection()
        require("twistlua.reactor"):stop()
      end } })
      notifier:startReading()
      os.execute("touch " .. path .. "/a")
    ]])
    assert.same({ status = 0, stdout = "", stderr = "" }, child.lua [[
      local reactor = require "twistlua.reactor"
      require("twistlua.inotify").INotify():startReading()
      reactor:callWhenRunning(reactor.stop, reactor)
    ]])
  end)
end)

describe("humanReadableMask", function()
  it("names each flag", function()
    assert.same({ "create", "is_dir" }, inotify.humanReadableMask(inotify.IN_CREATE | inotify.IN_ISDIR))
    assert.same({}, inotify.humanReadableMask(0))
  end)
end)
