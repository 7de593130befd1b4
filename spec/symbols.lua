-- SPDX-License-Identifier: MIT
-- symbols.lua -- compares what libtwistlua.so exports with spec/symbols.txt, and with what twistlua.h declares.
-- After adding or removing a public function:  scripts/build && lua5.4 spec/symbols.lua --update

local LIST, HEADER = "spec/symbols.txt", "runtime/twistlua.h"
local SHARED, STATIC, MODULE = "libtwistlua.so", "libtwistlua.a", "module/twistlua.so"
local build = "build/release/"

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("a")
  file:close()
  return text
end

-- The global symbols that a library defines, in order, as nm writes them. (A is the version itself.)
local function exported(library, options)
  local names = {}
  local nm = ("nm -g --defined-only %s %s%s"):format(options, build, library)
  local pipe = assert(io.popen(nm .. [[ | awk 'NF == 3 && $2 != "A" { print $3 }' | LC_ALL=C sort -u]]))
  for name in pipe:lines() do names[#names + 1] = name end
  pipe:close()
  assert(#names > 0, "nothing is exported by " .. build .. library)
  return names
end

local function set(names)
  local present = {}
  for _, name in ipairs(names) do present[name] = true end
  return present
end

local wrong = {}
local function complain(...) wrong[#wrong + 1] = string.format(...) end

-- Each is of the version that the header tells; returns the names alone.
local function withoutVersion(symbols)
  local version = "TWISTLUA_" .. read(HEADER):match('#define TWL_VERSION "(%d+%.%d+)')
  local names = {}
  for _, symbol in ipairs(symbols) do
    local name, node = symbol:match("^(.-)@@(.*)$")
    if node ~= version then complain("%s: is not of version %s", symbol, version) end
    if name then names[#names + 1] = name end
  end
  return names
end

local function compare(names)
  local listed, present = {}, set(names)
  for name in read(LIST):gmatch("[^\n]+") do listed[#listed + 1] = name end
  for _, name in ipairs(listed) do
    if not present[name] then complain("-%s  (in %s, no longer exported: programs need it)", name, LIST) end
  end
  listed = set(listed)
  for _, name in ipairs(names) do
    if not listed[name] then complain("+%s  (exported, not in %s)", name, LIST) end
  end
end

-- Header and library are about the same functions.
local function declared(names)
  local header = read(HEADER):gsub("/%*.-%*/", "")
  local present = set(names)
  for name in header:gmatch("\nTWL_API%s[^;(]-([%w_]+)%(") do
    if not present[name] then complain("%s: declared in %s, not exported", name, HEADER) end
  end
  for _, name in ipairs(names) do
    if not header:find("[ *]" .. name .. "%(") then complain("%s: exported, not declared in %s", name, HEADER) end
  end
end

-- Nothing that could meet a name of the host's.
local function prefixed(library, options, pattern)
  for _, name in ipairs(exported(library, options)) do
    if not (name:find(pattern) or name:find("^luaopen_twistlua")) then complain("%s: exported by %s", name, library) end
  end
end

local update = arg[1] == "--update"
local names = withoutVersion(exported(SHARED, "-D --with-symbol-versions"))
if update then
  local file = assert(io.open(LIST, "w"))
  file:write(table.concat(names, "\n"), "\n")
  file:close()
else
  compare(names)
end
declared(names)
prefixed(STATIC, "", "^twl_")
prefixed(MODULE, "-D", "^$")
if #wrong > 0 then
  print(table.concat(wrong, "\n"))
  print "If that is meant: lua5.4 spec/symbols.lua --update"
  os.exit(1)
end
