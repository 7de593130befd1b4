-- What a sandboxed script can do with files, and what it cannot.
local child = require "system.child"
local confined = require "system.sandbox.confined"
local run = confined.run

describe("files in a sandbox", function()
  local place
  setup(function() place = confined.folder() end)
  teardown(function() assert(os.execute("rm -r " .. place)) end)

  local function read(word) return "--allow-read=" .. place .. "/" .. word end
  local function write(word) return "--allow-write=" .. place .. "/" .. word end

  -- The code with the folder for "@".
  local function at(options, code, given) return (run(options, code:gsub("@", place), given):gsub(place, "@")) end

  -- What each way of reading @/PATH prints.
  local WAYS = {
    ["io.open"] = [[local f, m = io.open "%s"; show(f and f:read "a" or m)]],
    ["io.lines"] = [[local ok, f, _, _, h = pcall(io.lines, "%s"); show(ok and f() or f); if ok then h:close() end]],
    ["io.input"] = [[local ok, m = pcall(io.input, "%s"); show(ok and io.read "a" or m)]],
    ["file.read"] = [[await(function() show(wait(require("twistlua.file").read "%s")) end)]],
    ["file.read on a thread"] = [[await(function()
      show(wait(require("twistlua.threads").deferToThread(function(p) return (select(2,
        io.open(p))) or io.open(p):read "a" end, "%s")))
    end)]],
    ["core.openfile"] = [[require "twistlua.reactor"
      local f, m = require("twistlua.core").openfile.open("/", ("%s"):sub(2), true); show(f and f:read(0, 100) or m)]],
    ["a coroutine"] = [[show(coroutine.wrap(function() local f,
      m = io.open "%s"; return f and f:read "a" or m end)())]],
  }

  for name, way in pairs(WAYS) do
    it("are read by " .. name .. " where that is permitted", function()
      assert.equal("page\n", at({ read "in" }, way:format "@/in/page"))
      assert.equal("page\n", at({ read "in/page" }, way:format "@/in/page"))
      assert.equal("page\n", at({ "--allow-read" }, way:format "@/in/page"))
      assert.equal("page\n", at({ read "in" }, way:format "@/in/absolute"))
    end)

    it("are not read by " .. name .. " elsewhere", function()
      local function refused(options, path, sentence)
        local text = at(options, way:format(path)):gsub("failed|", ""):gsub("PermissionError: ", "")
        assert.equal(sentence .. "\n", text)
      end
      refused({ "--sandbox" }, "@/in/page", "reading @/in/page is not permitted (--allow-read=@/in/page)")
      refused({ write "in" }, "@/in/page", "reading @/in/page is not permitted (--allow-read=@/in/page)")
      refused({ read "in" }, "@/out/secret", "reading @/out/secret is not permitted (--allow-read=@/out/secret)")
      refused({ read "in" }, "@/out/none", "reading @/out/none is not permitted (--allow-read=@/out/none)")
      refused({ read "in" }, "@/in/../out/secret", "reading @/out/secret is not permitted (--allow-read=@/out/secret)")
      local LINK = "reading %s, which leads to @/out/secret, is not permitted (--allow-read=@/out/secret)"
      refused({ read "in" }, "@/in/link", LINK:format "@/in/link")
      refused({ read "in" }, "@/in/folder/secret", LINK:format "@/in/folder/secret")
      refused({ read "in" }, "@/in/up/out/secret", LINK:format "@/in/up/out/secret")
      refused({ read "in" }, "/proc/self/root@/out/secret",
        "reading /proc/self/root@/out/secret is not permitted (--allow-read=/proc/self/root@/out/secret)")
    end)
  end

  it("of /proc need a rule of their own", function()
    local code = [[show((io.open("/proc/self/environ")) ~= nil)]]
    assert.equal("false\n", run({ "--allow-read" }, code))
    assert.equal("false\n", run({ "--allow-read=/" }, code))
    assert.equal("true\n", run({ "--allow-read=/proc" }, code))
  end)

  it("are written where that is permitted", function()
    assert.equal("true\n", at({ write "in" }, [[local f = assert(io.open("@/in/new",
      "w")); f:write "x"; show(f:close())]]))
    assert.equal("x", child.take(place .. "/in/new"))
    assert.equal("nil\n", at({ write "in" }, [[await(function() show(wait(require("twistlua.file").write("@/in/new",
      "y"))) end)]]))
    assert.equal("y", child.take(place .. "/in/new"))
    assert.equal("true\n", at({ write "in" }, [[local f = io.output("@/in/new"); show(f == io.output())]]))
    assert.equal("true|true\n", at({ write "in", read "in" },
      [[show(assert(os.rename("@/in/new", "@/in/newer")), os.remove "@/in/newer")]]))
    assert.equal("true\n", at({ write "in", read "in" }, [[local f = io.open("@/in/page",
      "r+"); show(f:read "a" == "page")]]))
    assert.equal("nil\nnil\n", at({ write "in" }, [[local file = require "twistlua.file" await(function()
      show(wait(file.makeDirectory("@/in/a/b", { parents = true })))
      show(wait(file.remove "@/in/a/b")) end) os.remove "@/in/a"]]))
  end)

  it("are not written elsewhere", function()
    local function refused(options, code, path, verb)
      local sentence = at(options, code)
      assert.truthy(sentence:find(("%s %s"):format(verb or "writing", path), 1, true), sentence)
      assert.truthy(sentence:find("is not permitted (--allow-" .. (verb == "reading" and "read" or "write"), 1, true),
        sentence)
    end
    refused({ read "in" }, [[show(io.open("@/in/page", "w"))]], "@/in/page")
    refused({ read "in" }, [[show(io.open("@/in/page", "r+"))]], "@/in/page")
    refused({ write "in" }, [[show(io.open("@/in/page", "r+"))]], "@/in/page", "reading")
    refused({ write "in" }, [[show(io.open("@/out/x", "a"))]], "@/out/x")
    refused({ write "in" }, [[show(io.open("@/in/dangling", "w"))]], "@/in/dangling, which leads to @/out/new")
    refused({ write "in" }, [[show(io.open("@/in/folder/new", "w"))]], "@/in/folder/new, which leads to @/out/new")
    refused({ write "in" }, [[try(io.output, "@/out/x")]], "@/out/x")
    refused({ write "in" }, [[show(os.remove "@/out/secret")]], "@/out/secret")
    refused({ write "in" }, [[show(os.remove "@/in/folder/secret")]], "@/in/folder/secret")
    refused({ write "in", read "in" }, [[show(os.rename("@/out/secret", "@/in/x"))]], "@/out/secret", "reading")
    refused({ write "in", read "in" }, [[show(os.rename("@/in/page", "@/out/x"))]], "@/out/x")
    refused({ write "in" }, [[show(os.rename("@/in/page", "@/in/x"))]], "@/in/page", "reading")
    refused({ write "in" }, [[show(io.tmpfile())]], "/tmp")
    refused({ write "in" }, [[try(os.tmpname)]], "/tmp")
    for _, call in ipairs { [[write("@/out/x", "x")]], [[write("@/out/secret", "x", { atomic = true })]],
      [[remove "@/out/secret"]], [[makeDirectory "@/out/x"]] } do
      refused({ write "in" }, [[await(function() show(wait(require("twistlua.file").]] .. call .. [[)) end)]],
        call:match "@/out/%l+")
    end
    assert.equal("secret", assert(io.open(place .. "/out/secret")):read "a")
    assert.is_nil(io.open(place .. "/out/x"))
    assert.is_nil(io.open(place .. "/out/new"))
  end)

  it("are listed and looked at where that is permitted", function()
    local code = [[local file = require "twistlua.file" await(function()
      show(#wait(file.list "@/%s"), wait(file.stat "@/%s").type) end)]]
    assert.equal("8|directory\n", at({ read "in" }, code:format("in", "in")))
    assert.truthy(at({ read "in" }, code:format("out", "in")):find "reading @/out is not permitted")
    assert.truthy(at({ read "in" }, code:format("in", "out")):find "reading @/out is not permitted")
    assert.truthy(at({ read "in" }, code:format("in/folder", "in")):find "leads to @/out, is not permitted")
  end)

  it("are watched where that is permitted", function()
    local code = [[local INotify = require("twistlua.inotify").INotify
      local notifier = INotify() try(function() return notifier:watch("@/%s").path end)
      show((require("twistlua.core").inotify.list("@/%s")) ~= nil)]]
    assert.equal("true|@/in\ntrue\n", at({ read "in" }, code:format("in", "in")))
    assert.equal("false|PermissionError: reading @/out is not permitted (--allow-read=@/out)\nfalse\n",
      at({ read "in" }, code:format("out", "out")))
    assert.truthy(at({ read "in" }, code:format("in/folder",
      "in/folder")):find "leads to @/out, is not permitted.*\nfalse\n")
  end)

  it("are locked where that is permitted", function()
    local code = [[local lock = require("twistlua.defer").DeferredFilesystemLock "@/%s/lock"
      try(lock.lock, lock) if lock.locked then lock:unlock() end]]
    assert.equal("true|true\n", at({ write "in" }, code:format "in"))
    assert.equal("false|PermissionError: writing @/out/lock is not permitted (--allow-write=@/out/lock)\n",
      at({ write "in" }, code:format "out"))
    assert.equal("false|PermissionError: writing @/in/lock is not permitted (--allow-write=@/in/lock)\n",
      at({ read "in" }, code:format "in"))
  end)

  it("are served where reading is permitted", function()
    local code = [[
      await(function()
        local static, server = require "twistlua.web.static", require "twistlua.web.server"
        local client = require "twistlua.web.client"
        local site = server.Site(static.File("@/in", { followLinks = %s }))
        local port = reactor:listenTCP(0, site, { interface = "127.0.0.1" })
        local agent = client.Agent(reactor)
        for _, name in ipairs { "page", "link", "folder/secret", "inside" } do
          local response = wait(agent:request("GET", ("http://127.0.0.1:%%d/%%s"):format(port:getHost().port, name)))
          local body = wait(client.readBody(response))
          show(name, response.code, response.code == 200 and body or "")
        end
        port:stopListening()
      end)]]
    local net = "--allow-net=127.0.0.1"
    assert.equal("page|200|page\nlink|403|\nfolder/secret|403|\ninside|200|page\n",
      at({ net, read "in" }, code:format "true"))
    assert.equal("page|200|page\nlink|404|\nfolder/secret|404|\ninside|404|\n",
      (at({ net, "--allow-read" }, code:format "false")))
    assert.equal("page|403|\nlink|403|\nfolder/secret|403|\ninside|403|\n",
      (at({ net }, code:format "true")))
  end)

  it("with certificates are read where that is permitted", function()
    assert(os.execute(("cd %s/in && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 " ..
      "-nodes -keyout key.pem " ..
      "-out cert.pem -days 2 -subj /CN=x 2>/dev/null && cp cert.pem key.pem ../out && ln -s ../out/key.pem stolen.pem")
      :format(place)))
    local code = [[local ssl = require "twistlua.ssl"
      try(function() return type(ssl.CertificateOptions { certificateFile = "@/in/cert.pem",
        privateKeyFile = "@/%s" }) end)]]
    assert.equal("true|table\n", at({ read "in" }, code:format "in/key.pem"))
    assert.equal("false|PermissionError: reading @/out/key.pem is not permitted (--allow-read=@/out/key.pem)\n",
      at({ read "in" }, code:format "out/key.pem"))
    assert.truthy(at({ read "in" }, code:format "in/stolen.pem"):find "leads to @/out/key.pem, is not permitted")
    assert.truthy(at({ read "in" },
      code:format "in/none.pem"):find "false|TLSOptionsError: @/in/none.pem: No such file")
    assert.truthy(at({ read "in" }, [[try(require("twistlua.ssl").CertificateOptions,
      { trustRoot = require("twistlua.ssl").trustRootFromDirectory "@/out" })]]):find "reading @/out is not permitted")
  end)
end)
