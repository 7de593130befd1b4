-- SPDX-License-Identifier: MIT
-- all.lua -- runs every check and sums up: layers, luacheck, C tests, specs; release and sanitizers.
-- A tool that is missing is a failure.

package.path = "spec/?.lua;" .. package.path

local shell = require "shell"

local capture, read = shell.capture, shell.read
local quick = arg[1] == "--quick"
local passed, failed = 0, 0

local function say(...)
  print(("-- " .. select(1, ...)):format(select(2, ...)))
  io.stdout:flush()
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

-- What a program says whose last line is `N passed, N failed`.
local function tally(job)
  local good, bad = job.output:match("(%d+) passed, (%d+) failed%s*$")
  if not good or (not job.ok and bad == "0") then return 0, 1 end
  return tonumber(good), tonumber(bad)
end

-- Run the jobs, as many at a time as there are processors, each within its time.
local function runAll(jobs)
  local folder = capture("mktemp -d"):match("%S+")
  local list = assert(io.open(folder .. "/jobs", "w"))
  for i, job in ipairs(jobs) do
    list:write(("(timeout 1500 %s) >%s/%d 2>&1; echo $? >>%s/%d\0"):format(job.command, folder, i, folder, i))
  end
  list:close()
  capture(("xargs -0 -P $(nproc) -I JOB sh -c JOB <%s/jobs"):format(folder))
  for i, job in ipairs(jobs) do
    local output, code = read(("%s/%d"):format(folder, i)):match("^(.-)(%d+)\n$")
    job.output, job.ok = output, code == "0"
  end
  os.execute("rm -r " .. folder)
end

-- Run jobs and count what they say, summed up by their `group`.
local function countedPrograms(jobs)
  local groups, sums = {}, {}
  runAll(jobs)
  for _, job in ipairs(jobs) do
    local good, bad = tally(job)
    local sum = sums[job.group]
    if not sum then
      sum = { 0, 0 }
      groups[#groups + 1], sums[job.group] = job.group, sum
    end
    sum[1], sum[2] = sum[1] + good, sum[2] + bad
    if bad > 0 then
      print(job.output)
      say("FAILED: %s (%s)", job.command, job.group)
    end
  end
  for _, group in ipairs(groups) do
    local good, bad = table.unpack(sums[group])
    passed, failed = passed + good, failed + bad
    say("%s: %d passed, %d failed", group, good, bad)
  end
end

-- The lines that a command prints.
local function files(command)
  local list = {}
  for name in capture(command):gmatch("[^\n]+") do list[#list + 1] = name end
  return list
end

local function absent(what, command)
  local output = capture(command)
  count(output == "", what, output)
end

-- Every name that C registers stands in the LuaCATS file. What sandbox_*.c has are Lua's own.
local function documented()
  local meta, missing = read("lua/twistlua/meta/core.lua"), {}
  for _, path in ipairs(files "ls bindings/*.c | grep -v /sandbox_") do
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

local function programs(jobs, preset)
  for _, source in ipairs(files "ls spec/runtime/*_test.c spec/bindings/*_test.c") do
    local name = source:match("([^/]+)%.c$")
    jobs[#jobs + 1] = { group = ("C tests (%s)"):format(preset), command = ("build/%s/%s"):format(preset, name) }
  end
end

-- Each file of specs in a process of its own.
local function specs(jobs, preset, reactor, paths, collector)
  local group = ("specs on %s (%s%s)"):format(reactor, preset, collector and ", collector " .. collector or "")
  for _, path in ipairs(files(("find %s -name '*_spec.lua' | sort"):format(paths))) do
    jobs[#jobs + 1] = {
      group = group,
      command = ("env TWISTLUA_COLLECTOR=%s TWISTLUA_REACTOR=%s build/%s/twistlua spec/runner.lua %s %s")
        :format(collector or "default", reactor, preset, collector and "--exclude-tags=big" or "", path),
    }
  end
end

local function plainLua()
  check("the module loads into a plain lua5.4", [[LUA_CPATH='build/release/module/?.so' lua5.4 -e '
    assert(require("twistlua.reactor"):getBackend())
    assert(require("twistlua")._VERSION)']])
end

-- What the library has one of for a whole process: which reactor takes a signal, as only one can; the index that
-- OpenSSL gives once; and what handled SIGURG before us. Everything else that is written belongs to a runtime.
local PROCESS_WIDE = { "owners", "once", "place", "former" }
local COMPILERS_OWN = { completed = true, __dso_handle = true, __TMC_END__ = true }

local function noGlobalState()
  local allowed, found, more = {}, {}, {}
  for _, name in ipairs(PROCESS_WIDE) do allowed[name] = true end
  for line in capture("objdump -t build/release/libtwistlua.so"):gmatch("[^\n]+") do
    local section, symbol = line:match("(%.%w+)\t%x+%s+(%S+)$")
    local name = symbol and symbol:match("^[%w_]+")
    if section == ".data" or section == ".bss" then
      if allowed[name] then found[name] = true
      elseif not COMPILERS_OWN[name] then more[#more + 1] = symbol end
    end
  end
  for name in pairs(allowed) do
    if not found[name] then more[#more + 1] = name .. " is no more, take it off the list" end
  end
  count(#more == 0, "no variable of the library is global", table.concat(more, "\n"))
end

-- What others link with.
local function library(jobs)
  check("libtwistlua.so exports what spec/symbols.txt lists", "lua5.4 spec/symbols.lua")
  jobs[#jobs + 1] = { group = "installation", command = "lua5.4 spec/install.lua" .. (quick and "" or " --full") }
  noGlobalState()
end

local function preset(name)
  local jobs = {}
  say("building (%s)", name)
  local output, ok = capture("scripts/build " .. name)
  count(ok, "build (" .. name .. ")", output)
  if not ok then return end
  if name == "release" then library(jobs) end
  programs(jobs, name)
  specs(jobs, name, "epoll", "spec/lua spec/bindings spec/system")
  if not quick then
    specs(jobs, name, "poll", "spec/system")
    specs(jobs, name, "select", "spec/system")
    if name == "release" then specs(jobs, name, "epoll", "spec/lua spec/bindings", "aggressive") end
  end
  countedPrograms(jobs)
end

-- What threads share, under ThreadSanitizer: a report changes the exit status. It wants its memory where
-- randomised addresses may lie.
local function threads()
  say("building (thread)")
  local output, ok = capture("scripts/build thread twistlua wakeup_test workers_test channel_test foreign_test" ..
    " limits_interrupt_test runtimes_test runtime_thread_test")
  count(ok, "build (thread)", output)
  if not ok then return end
  local jobs = {}
  for _, program in ipairs {
    "wakeup_test", "workers_test", "channel_test", "limits_interrupt_test", "runtimes_test", "runtime_thread_test",
    "foreign_test",
    "twistlua spec/runner.lua spec/bindings/transfer_spec.lua spec/system/file_spec.lua spec/system/threads",
  } do
    jobs[#jobs + 1] = { group = "threads (thread)", command = "setarch -R build/thread/" .. program }
  end
  countedPrograms(jobs)
end

layers()
preset("release")
plainLua()
if not quick then
  preset("sanitize")
  threads()
end
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0)
