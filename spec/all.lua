-- SPDX-License-Identifier: MIT
-- all.lua -- runs every check and sums up: layers, luacheck, C tests, specs; release and sanitizers.
-- A tool that is missing is a failure.

local quick = arg[1] == "--quick"
local passed, failed = 0, 0

local function say(...)
  print(("-- " .. select(1, ...)):format(select(2, ...)))
  io.stdout:flush()
end

-- Run a shell command; returns its output and whether it exited with 0.
local function capture(command)
  local pipe = assert(io.popen("{ " .. command .. "; } 2>&1"))
  local output = pipe:read("a")
  return output, pipe:close() == true
end

local function count(ok, what, output)
  if ok then
    passed = passed + 1
  else
    failed = failed + 1
    print(output)
    say("FAILED: %s", what)
  end
end

local function check(what, command)
  local output, ok = capture(command)
  count(ok, what, output)
end

-- A program whose last line is `N passed, N failed`.
local function countedProgram(what, command)
  local output, ok = capture("timeout 1500 " .. command)
  local good, bad = output:match("(%d+) passed, (%d+) failed%s*$")
  if not good or (not ok and bad == "0") then return count(false, what, output) end
  passed, failed = passed + good, failed + bad
  if bad ~= "0" or not ok then print(output) end
  say("%s: %s passed, %s failed", what, good, bad)
end

local function files(pattern)
  local list = {}
  for name in capture("ls " .. pattern .. " 2>/dev/null"):gmatch("[^\n]+") do list[#list + 1] = name end
  return list
end

local function absent(what, command)
  local output = capture(command)
  count(output == "", what, output)
end

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  return text
end

-- Every name that C registers stands in the LuaCATS file.
local function documented()
  local meta, missing = read("lua/twistlua/meta/core.lua"), {}
  for _, path in ipairs(files("bindings/*.c")) do
    for name in read(path):gmatch('{"(%a[%w]*)", *[%l_]+}') do
      if not meta:find("[.:]" .. name .. "%(") then missing[#missing + 1] = path .. ": " .. name end
    end
  end
  count(#missing == 0, "names of C are described in lua/twistlua/meta/core.lua", table.concat(missing, "\n"))
end

local function layers()
  say("layers and style")
  absent("runtime/ knows no Lua", [[grep -nE '#include *[<"](lua|lauxlib|lualib)\.h' runtime/*]])
  absent("bindings/ knows no libev and no system headers", [[grep -nE '#include *[<"](ev\.h|sys/)' bindings/*]])
  absent("nothing ends the process",
    [[grep -nE '\b(abort|exit|_exit)\(' runtime/*.c bindings/*.c | grep -v '^bindings/main']])
  absent("files stay below 500 lines",
    [[wc -l runtime/*.c bindings/*.c $(find lua -name '*.lua' | grep -v /meta/) | awk '$2 != "total" && $1 > 500']])
  check("luacheck", "luacheck -q lua scripts spec")
  documented()
end

local function programs(preset)
  for _, source in ipairs(files("spec/runtime/*_test.c spec/bindings/*_test.c")) do
    local name = source:match("([^/]+)%.c$")
    countedProgram(("%s (%s)"):format(name, preset), ("build/%s/%s"):format(preset, name))
  end
end

local function specs(preset, reactor, paths, collector)
  local command = ("env TWISTLUA_COLLECTOR=%s TWISTLUA_REACTOR=%s build/%s/twistlua spec/runner.lua %s")
    :format(collector or "default", reactor, preset, paths)
  local name = collector and preset .. ", collector " .. collector or preset
  countedProgram(("specs on %s (%s)"):format(reactor, name), command)
end

local function plainLua()
  check("the module loads into a plain lua5.4", [[LUA_CPATH='build/release/module/?.so' lua5.4 -e '
    assert(require("twistlua.reactor"):getBackend())
    assert(require("twistlua")._VERSION)']])
end

local function preset(name)
  say("building (%s)", name)
  local output, ok = capture("scripts/build " .. name)
  count(ok, "build (" .. name .. ")", output)
  if not ok then return end
  programs(name)
  specs(name, "epoll", "spec/lua spec/bindings spec/system")
  if quick then return end
  specs(name, "poll", "spec/system")
  specs(name, "select", "spec/system")
end

-- What threads share, under ThreadSanitizer: a report changes the exit status. It wants its memory where
-- randomised addresses may lie.
local function threads()
  say("building (thread)")
  local output, ok = capture("scripts/build thread twistlua wakeup_test workers_test")
  count(ok, "build (thread)", output)
  if not ok then return end
  for _, name in ipairs { "wakeup_test", "workers_test" } do
    countedProgram(name .. " (thread)", "setarch -R build/thread/" .. name)
  end
  countedProgram("specs of threads (thread)", "setarch -R build/thread/twistlua spec/runner.lua "
    .. "spec/bindings/transfer_spec.lua spec/system/file_spec.lua spec/system/threads")
end

layers()
preset("release")
plainLua()
if not quick then specs("release", "epoll", "--exclude-tags=big spec/lua spec/bindings", "aggressive") end
if not quick then preset("sanitize") end
if not quick then threads() end
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0)
