-- twistlua_files.lua FOLDER: serves the files of a folder, and one of them from memory below /memory
local reactor = require "twistlua.reactor"
local server  = require "twistlua.web.server"
local static  = require "twistlua.web.static"

local function contentOf(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

local root = static.File(arg[1])
root:putChild("memory", static.Data(contentOf(arg[1] .. "/100k.txt"), "text/plain"))

local port = reactor:listenTCP(0, server.Site(root), { backlog = 4096, interface = "127.0.0.1" })
print(port:getHost().port)
io.stdout:flush()
reactor:run()
