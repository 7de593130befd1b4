-- SPDX-License-Identifier: MIT
-- contenders.lua -- who is compared, how each is found, and which package has it.
local report = require "report"
local shell = require "shell"

local PYTHON = "/usr/bin/python3"    -- Debian's, which has Debian's packages

local function has_lua_module(name)
  return function() return shell.succeeds("lua5.4 -e 'require \"" .. name .. "\"'") end
end

local function has_python_module(name)
  return function() return shell.succeeds(PYTHON .. " -c 'import " .. name .. "'") end
end

local function has_program(name)
  return function() return shell.succeeds("command -v " .. name) end
end

local function has_file(path)
  return function() return shell.succeeds("test -f " .. path) end
end

local known = {
  libev = { title = "raw libev, C", short = "raw" },
  twistlua = { title = "twistlua" },
  luv = { title = "luv", package = "lua-luv", found = has_lua_module "luv", program = "lua5.4" },
  cqueues = {
    title = "cqueues", package = "lua-cqueues", found = has_lua_module "cqueues", program = "lua5.4",
  },
  node = { title = "Node", package = "nodejs", found = has_program "node", program = "node" },
  go = { title = "Go", package = "golang-go", found = has_program "go" },
  twisted = {
    title = "Twisted", package = "python3-twisted", found = has_python_module "twisted", program = PYTHON,
  },
  uvloop = {
    title = "uvloop", package = "python3-uvloop", found = has_python_module "uvloop", program = PYTHON,
  },
  nginx_lua = {
    title = "nginx, content_by_lua", short = "nginx+Lua", package = "libnginx-mod-http-lua",
    found = has_file "/usr/lib/nginx/modules/ngx_http_lua_module.so",
  },
  nginx = { title = "nginx, return 200", package = "nginx-core", found = has_program "nginx" },
  nginx_files = {
    title = "nginx, sendfile", short = "nginx", package = "nginx-core", found = has_program "nginx",
  },
  http_parser = {
    title = "http_parser", package = "libhttp-parser-dev", found = has_file "/usr/include/http_parser.h",
  },
  llhttp = {
    title = "llhttp", package = "node-llhttp", found = has_file "/usr/share/llhttp/llhttp.c",
  },
  lua = { title = "lua5.4", package = "lua5.4", found = has_program "lua5.4", program = "lua5.4" },
  python = { title = "Python", package = "python3", found = has_program(PYTHON), program = PYTHON },
}

local contenders = {}

---The program under test.
function contenders.twistlua(options)
  return os.getenv("TWISTLUA") or options.root .. "/build/release/twistlua"
end

known.twistlua.found = function(options)
  return shell.succeeds("test -x " .. shell.quote(contenders.twistlua(options)))
end

local function say_missing(entry, options)
  if entry ~= known.twistlua then
    print(("%s: not installed (apt package %s)"):format(entry.title, entry.package))
    return
  end
  report.failed(entry, ("no program at %s (cmake --preset release && cmake --build --preset release)")
    :format(contenders.twistlua(options)))
end

---Those of the names that are wanted and installed; one line for each that is not installed.
---@param names string[] the first is what the ratios refer to, and always wanted
---@return table[] each with name, title, program
function contenders.find(options, names)
  local list = {}
  for i, name in ipairs(names) do
    local entry = known[name]
    local wanted = i == 1 or not options.only or options.only[name]
    if wanted and entry.found and not entry.found(options) then
      say_missing(entry, options)
    elseif wanted then
      local program = name == "twistlua" and contenders.twistlua(options) or entry.program
      list[#list + 1] = { name = name, title = entry.title, short = entry.short, program = program }
    end
  end
  return list
end

return contenders
