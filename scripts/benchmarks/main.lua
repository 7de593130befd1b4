-- SPDX-License-Identifier: MIT
-- main.lua -- scripts/bench: reads the command line and runs the groups asked for.
local here = arg[0]:match("^(.*)/[^/]*$") or "."
package.path = here .. "/?.lua;" .. package.path

local shell = require "shell"
local report = require "report"

local USAGE = [==[
usage: scripts/bench [group [row...]] [options]

groups (all of them without one):
  echo        servers under load; rows: roundtrips stream churn idle lines netstrings
  udp         datagrams to and fro; rows: roundtrips alone
  tls         the same over TLS; rows: roundtrips full-rsa resumed-rsa full-ecdsa resumed-ecdsa idle
  websocket   WebSocket against our own TCP echo; rows: roundtrips large idle
  timers      callLater made, fired and cancelled; rows: fired cancelled pending
  startup     a program that does nothing
  spawn       child processes; rows: small large
  deferred    chains of callbacks
  http1       heads of messages parsed; rows: browser curl nginx
  http        HTTP servers under wrk's load; rows: hello pipelined large
  http_files  large responses and files against nginx with sendfile; rows: memory 100k 1m
  http_client requests to nginx; rows: one many
  limits      what the limits of a runtime cost; rows: calls tables strings objects coroutines timers

options:
  --quick            a few seconds a row: does it run, not how fast
  --rounds N         rounds over all contenders (default 7, timers 3, quick 1)
  --only NAME,...    only these contenders: libev twistlua luv cqueues node twisted uvloop ...
  --markdown         tables for docs/benchmarks.md

$TWISTLUA is the program measured, by default build/release/twistlua.
]==]

local GROUPS = {
  "echo", "udp", "tls", "websocket", "timers", "startup", "spawn", "deferred", "http1", "http", "http_files",
  "http_client", "limits",
}

local function fail(message)
  io.stderr:write("bench: ", message, "\n", USAGE)
  os.exit(2)
end

local function set_of(names)
  local set = {}
  for name in names:gmatch("[^,]+") do set[name] = true end
  return set
end

local function next_argument(arguments, i)
  return arguments[i + 1] or fail(arguments[i] .. " needs a value")
end

---@return table options, string[] words
local function parse(arguments)
  local options, words, i = { quick = false, markdown = false }, {}, 1
  while i <= #arguments do
    local word = arguments[i]
    if word == "--quick" then
      options.quick = true
    elseif word == "--markdown" then
      options.markdown = true
    elseif word == "--rounds" then
      options.rounds = math.tointeger(tonumber(next_argument(arguments, i)))
      if not options.rounds or options.rounds < 1 then fail("--rounds needs a number from 1 on") end
      i = i + 1
    elseif word == "--only" then
      options.only = set_of(next_argument(arguments, i))
      i = i + 1
    elseif word == "--help" or word == "-h" then
      io.write(USAGE)
      os.exit(0)
    elseif word:sub(1, 1) == "-" then
      fail("unknown option " .. word)
    else
      words[#words + 1] = word
    end
    i = i + 1
  end
  return options, words
end

---The rows named, or all; a name that is none of them ends the program.
local function choose_rows(group, words)
  if #words == 0 then return group.rows end
  local chosen = {}
  for _, word in ipairs(words) do
    local found
    for _, row in ipairs(group.rows) do
      if row.name == word then found = row end
    end
    chosen[#chosen + 1] = found or fail("no row " .. word)
  end
  return chosen
end

local function is_group(name)
  for _, group in ipairs(GROUPS) do
    if group == name then return true end
  end
  return false
end

local options, words = parse(arg)
options.here = here
options.root = here:match("^(.*)/[^/]+/[^/]+$") or here .. "/../.."
shell.use(options)
report.use(options)

local names = GROUPS
if words[1] then
  names = { table.remove(words, 1) }
  if not is_group(names[1]) then fail("no group " .. names[1]) end
end

local average = shell.load_average()
if average > 0.5 then
  print(("The machine is not idle (load average %.1f): rates are low, ratios rough."):format(average))
end

local asked_rounds = options.rounds
for _, name in ipairs(names) do
  local group = require(name)
  options.rounds = asked_rounds or (options.quick and 1 or group.usual_rounds)
  group.run(options, choose_rows(group, words))
end
os.exit(report.all_ran() and 0 or 1)
