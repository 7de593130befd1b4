-- Every function of twistlua.core has been thought about, and none of them trusts its arguments.
local child = require "system.child"

local function documented()
  local file <close> = assert(io.open "docs/sandbox.md")
  local section = file:read("a"):match("\n## Every function of the core\n(.*)")
  local names = {}
  for line in section:gmatch("\n| (`[^\n]+)") do
    for name in line:match("^(.-) | "):gmatch("`([%w_.]+)`") do
      assert.is_nil(names[name], name .. " is listed twice")
      names[name] = true
    end
  end
  return names
end

local function registered()
  local core, names, seen = require "twistlua.core", {}, {}
  assert(core.transport)   -- the first look opens all parts
  local lua = { ["failure.methods"] = true }   -- filled by twistlua.failure
  local function walk(where, prefix)
    if seen[where] or lua[prefix] then return end
    seen[where] = true
    for key, value in pairs(where) do
      if type(key) == "string" then
        local name = prefix == "" and key or prefix .. "." .. key
        if type(value) == "function" then names[name] = true end
        if type(value) == "table" then walk(value, name) end
      end
    end
  end
  walk(core, "")
  return names
end

-- What modules of Lua added to the table of another's methods.
local function isLua(name)
  local at = require "twistlua.core"
  for key in name:gmatch("[^.]+") do at = at[key] end
  return debug.getinfo(at, "S").what ~= "C"
end

describe("twistlua.core in a sandbox", function()
  it("has no function that docs/sandbox.md does not account for", function()
    local known, missing = documented(), {}
    for name in pairs(registered()) do
      if not known[name] and not isLua(name) then missing[#missing + 1] = name end
    end
    table.sort(missing)
    assert.same({}, missing)
  end)

  it("has all that docs/sandbox.md speaks of", function()
    local there, stale = registered(), {}
    for name in pairs(documented()) do
      if not there[name] then stale[#stale + 1] = name end
    end
    table.sort(stale)
    assert.same({}, stale)
  end)

  -- A wrong type must be an error and not a crash, which the sanitizers see: memory that a script could
  -- reach in that way would be a way out.
  for seed = 1, 3 do it(("takes hostile arguments for what they are (%d)"):format(seed), function()
    local outcome = child.run({ child.program, "--allow-net=127.0.0.1", "-e", [==[
      local core = require "twistlua.core"
      local reactor = require "twistlua.reactor"
      require "twistlua.threads"
      local BLOCKS = { ["reactor.run"] = true, ["reactor.step"] = true, ["socket.select"] = true,
        ["channel.blockingReceive"] = true, ["channel.blockingSend"] = true, ["workers.ask"] = true,
        ["pipe.discard"] = true, ["pipe.open"] = true, ["workers.open"] = true, ["signal.take"] = true,
        ["socket.methods.setBlocking"] = true }
      local seed = tonumber(arg[1])
      math.randomseed(seed)
      local function nothing() end
      local light = core.http1.requestMembers.method
      assert(type(light) == "userdata")
      local values = { nil, false, true, 0, -1, 3, 1 << 53, 0.5, 0/0, "", "x", "TCP", "127.0.0.1", {}, { 1, 2 },
        setmetatable({}, { __index = function() return "x" end }), nothing, coroutine.create(nothing), io.stderr,
        light, core.failure.new(1), core.deferred.new(), assert(core.channel.new(2)),
        (core.socket.listen(1, "TCP", "127.0.0.1", 0)), assert(core.inotify.open()), core.websocket.codec and
        select(2, pcall(core.websocket.codec, {})), core.x509.generateKey and select(2, pcall(core.x509.generateKey,
          "ec")) }
      local count = 27
      local functions, seen = {}, {}
      local function walk(where, prefix)
        if seen[where] then return end
        seen[where] = true
        for key, value in pairs(where) do
          if type(value) == "function" and not BLOCKS[prefix .. tostring(key)] then
            functions[#functions + 1] = { prefix .. tostring(key), value }
          elseif type(value) == "table" then
            walk(value, prefix .. tostring(key) .. ".")
          end
        end
      end
      walk(core, "")
      for i = 1, count do
        local meta = getmetatable(values[i])
        if type(values[i]) == "userdata" and type(meta) == "table" then walk(meta, "meta.") end
      end
      table.sort(functions, function(a, b) return a[1] < b[1] end)
      local function pick() return values[math.random(count)] end
      local errors = 0
      for _ = 1, 60 do
        for _, entry in ipairs(functions) do
          local f = entry[2]
          local arguments, n = {}, math.random(0, 6)
          for i = 1, n do arguments[i] = pick() end
          if not pcall(f, table.unpack(arguments, 1, n)) then errors = errors + 1 end
        end
      end
      collectgarbage()
      assert(errors > 1000, errors)
      io.stdout:write("survived\n")
      os.exit(0)
    ]==], tostring(seed) }, { limit = 60, env = { ASAN_OPTIONS = "allocator_may_return_null=1" } })
    assert.equal("survived\n", outcome.stdout:match("survived\n") or outcome.stderr:sub(-1500))
    assert.equal(0, outcome.status)
  end) end

  it("takes hostile fields for what they are", function()
    local outcome = child.run({ child.program, "--allow-net=127.0.0.1", "-e", [==[
      local core = require "twistlua.core"
      require "twistlua.web.server"
      local names = { "_input", "_at", "_head", "factory", "limits", "requestFactory", "_request", "channel", "_more",
        "code", "_store", "finished", "transport", "_keepAlive", "_unread", "_service", "_closing", "lines",
        "content-type", "resource", "isLeaf", "render", "render_GET", "process", "_process", "_answer", "uri" }
      local values = { nil, false, true, -1, 1 << 53, "", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", {}, { [0] = 5, "a" },
        select, io.stdout, assert(core.channel.new(2)), core.deferred.new(), core.http1.limits {} }
      math.randomseed(5)
      local function pick() return values[math.random(14)] end
      local http1 = core.http1
      local Class = {}
      for name, member in pairs(http1.requestMembers) do Class[name] = member end
      http1.requestClass(Class, { later = tostring })
      local function made()
        local class = math.random() < 0.5 and Class or {}
        local fields = { _at = 1, _input = values[7], factory = { limits = values[14], requestFactory = class } }
        for _, name in ipairs(names) do
          if math.random() < 0.1 then fields[name] = pick() end
        end
        local ok, service = pcall(http1.service, fields.factory)
        fields._service = ok and math.random() < 0.9 and service or pick()
        for _, name in ipairs(names) do
          if math.random() < 0.05 then fields[name] = pick() end
        end
        return fields
      end
      local request
      local function special(_, given)
        request = given
        return pick()
      end
      local dataReceived, serve = http1.methods(special, pick, pick)
      local fine = 0
      for _ = 1, 20000 do
        request = nil
        pcall(dataReceived, made(), pick())
        pcall(serve, made())
        pcall(http1.serve, made(), special)
        if getmetatable(request) == Class then fine = fine + 1 else request = made() end
        for _ = 1, 5 do
          local name, value = names[math.random(#names)], pick()
          pcall(function() request[name] = value end)
          pcall(function() return request[name] end)
          pcall(Class.setHeader, request, name, value)
        end
        pcall(http1.respond, made(), request, pick())
        pcall(http1.render, made(), request)
        for _, method in pairs(Class) do pcall(method, request, pick()) end
      end
      print(fine > 100)
    ]==] }, { limit = 60 })
    assert.same({ status = 0, stdout = "true\n", stderr = "" }, outcome)
  end)
end)
