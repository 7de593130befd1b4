-- SPDX-License-Identifier: MIT
-- install.lua -- installs build/release into a folder and uses what is there as others would: by pkg-config, by
-- CMake, from a plain Lua; and builds the sources as a part of another project. With --full, also a rock and the
-- Debian packages, which takes some minutes. The last line is `N passed, N failed`.

package.path = "spec/?.lua;" .. package.path

local shell = require "shell"

local capture, read = shell.capture, shell.read
local full = arg[1] == "--full"
local passed, failed = 0, 0

local function count(ok, what, output)
  if ok then
    passed = passed + 1
  else
    failed = failed + 1
    print(("FAILED: %s\n%s"):format(what, output))
  end
  return ok
end

local root, folder = capture("pwd"):match("[^\n]+"), capture("mktemp -d"):match("%S+")
local version = read("runtime/twistlua.h"):match('#define TWL_VERSION "([%d.]+)"')
local major, minor, patch = version:match("(%d+)%.(%d+)%.(%d+)")
local number = major * 1000000 + minor * 1000 + patch
local places = { ROOT = root, FOLDER = folder, PREFIX = folder .. "/prefix" }

-- Run shell commands, in which @FOLDER, @ROOT (the sources) and @PREFIX (what was installed) stand for those. They
-- must succeed, and what they say must match [pattern], if any.
local function try(what, commands, pattern)
  commands = "set -e\n" .. commands:gsub("@(%u+)", places)
  local output, ok = capture(commands)
  if ok and pattern and not output:find(pattern) then
    ok, output = false, output .. "does not match: " .. pattern
  end
  return count(ok, what, commands .. "\n" .. output)
end

-- What spec/install/host.c says.
local GREETING = ("^compiled with %s %d, runs with %s %d, Success\n$"):format(version, number, version, number)
  :gsub("%.", "%%.")

local function installed()
  try("cmake --install", "cmake --install build/release --prefix @PREFIX")
  try("the program runs", [[@PREFIX/bin/twistlua -e 'print(require "twistlua"._VERSION)']], "^" .. version)
  try("a plain lua5.4 loads the module", [[cd @FOLDER
    LUA_CPATH='@PREFIX/lib/lua/5.4/?.so' lua5.4 -e 'print(require "twistlua.reactor":getBackend())']], "^epoll")
  try("the soname tells the interface", "readelf -d @PREFIX/lib/libtwistlua.so",
    ("soname: %%[libtwistlua%%.so%%.%d%%.%d%%]"):format(major, minor))
  try("a language server finds the modules, and the types of what is in C",
    "cd @PREFIX/share/twistlua/lua/twistlua && ls reactor.lua meta/core.lua")
end

-- Every option that --help tells of stands in the manual.
local function manual()
  local help, page = capture("build/release/twistlua --help"), read("docs/twistlua.1"):gsub("\\%-", "-")
  for option in help:gmatch("%f[%S](%-%-?%l[%l-]*)") do
    count(page:find("\n%.BI? " .. option:gsub("%-", "%%-")), "the manual knows the options",
      "docs/twistlua.1 does not tell of " .. option)
  end
end

-- The one version that stands in the header, wherever else one is told.
local function versions()
  local changelog, control = read("packaging/debian/changelog"), read("packaging/debian/control")
  count(changelog:find("twistlua (" .. version .. "-", 1, true) == 1, "the version of the Debian packages", changelog)
  count(control:find(("\nPackage: libtwistlua%s.%s\n"):format(major, minor), 1, true),
    "the name of the library's Debian package", control)
end

local function header()
  for _, language in ipairs { "c99", "c11", "c++11", "c++17" } do
    try("the header compiles alone: " .. language, ("echo '#include <twistlua.h>' | %s -std=%s -x %s"):format(
      language:find "+" and "g++" or "gcc", language, language:match "^%D+") ..
      " -I@PREFIX/include -fsyntax-only -Wall -Wextra -Wshadow -Werror -pedantic -")
  end
end

local function pkgconfig()
  local function host(what, compiler, libraries, after)
    try("pkg-config: " .. what, ([[
      export PKG_CONFIG_PATH=@PREFIX/lib/pkgconfig LD_LIBRARY_PATH=@PREFIX/lib
      %s -Wall -Wextra -Werror -pedantic -o @FOLDER/host @ROOT/spec/install/host.c -x none $(%s)
      %s @FOLDER/host]]):format(compiler, libraries, after or ""), GREETING)
  end
  local shared = "pkg-config --cflags --libs twistlua"
  local static = "pkg-config --static --cflags --libs twistlua | sed 's/-ltwistlua/-l:libtwistlua.a/'"
  host("C", "gcc -std=c99 -x c", shared)
  host("C++", "g++ -std=c++11 -x c++", shared)
  host("the static library", "gcc -std=c99 -x c", static, "env -u LD_LIBRARY_PATH")
end

-- The two hosts of a CMake project in spec/install.
local function project(name, options)
  local there = ("%s/%s"):format(folder, name)
  if not try(("CMake, %s: builds"):format(name),
    ("cmake -G Ninja -S spec/install/%s -B %s %s\ncmake --build %s"):format(name, there, options, there))
  then return end
  for _, host in ipairs { "shared_host", "static_host" } do
    try(("CMake, %s: %s runs"):format(name, host), ("%s/%s"):format(there, host), GREETING)
  end
end

local function rock()
  try("luarocks make", "luarocks --lua-version=5.4 make --tree @FOLDER/rocks packaging/twistlua-scm-1.rockspec")
  try("luarocks make: a plain lua5.4 loads the module", [[cd @FOLDER
    LUA_CPATH='@FOLDER/rocks/lib/lua/5.4/?.so' lua5.4 -e 'print(require "twistlua"._VERSION)']], "^" .. version)
end

-- As far as that goes without installing them; scripts/package --check does.
local function debian()
  places.LIBRARIES = folder .. "/debian/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)"
  if not try("scripts/package", [[scripts/package @FOLDER/packages
    for package in @FOLDER/packages/*_*.deb; do dpkg-deb -x $package @FOLDER/debian; done]])
  then return end
  try("Debian: the program needs what it is linked with", "dpkg-deb -f @FOLDER/packages/twistlua_*.deb Depends",
    "libbrotli1.*libc%-ares2.*libc6.*libev4.*liblua5%.4%-0.*libssl3.*zlib1g")
  try("Debian: the program runs", [[@FOLDER/debian/usr/bin/twistlua -e 'print(require "twistlua"._VERSION)']],
    "^" .. version)
  try("Debian: a plain lua5.4 loads the module", [[cd @FOLDER
    LUA_CPATH=@LIBRARIES/lua/5.4/?.so lua5.4 -e 'print(require "twistlua"._VERSION)']], "^" .. version)
  try("Debian: the library", [[
    gcc -o @FOLDER/host spec/install/host.c -I@FOLDER/debian/usr/include -L@LIBRARIES -ltwistlua
    LD_LIBRARY_PATH=@LIBRARIES @FOLDER/host]], GREETING)
end

manual()
versions()
installed()
header()
pkgconfig()
project("package", "-DCMAKE_PREFIX_PATH=@PREFIX")
project("subdirectory", "-DTWISTLUA=@ROOT -DCMAKE_C_FLAGS=-O0")
if full then
  rock()
  debian()
end
os.execute("rm -r " .. folder)
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0)
