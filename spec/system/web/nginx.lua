-- SPDX-License-Identifier: MIT
-- nginx.lua -- an nginx with a folder and a configuration of its own, for the specs of the web client.
local child   = require "system.child"
local reactor = require "twistlua.reactor"
local Factory = require("twistlua.protocol").Factory

local CONFIGURATION = [[
daemon off; master_process off; pid %FOLDER%/pid; error_log stderr;
events { worker_connections 64; }
http {
  access_log off; root %FOLDER%;
  client_body_temp_path %FOLDER%/body; proxy_temp_path %FOLDER%/proxy; fastcgi_temp_path %FOLDER%/fastcgi;
  uwsgi_temp_path %FOLDER%/uwsgi; scgi_temp_path %FOLDER%/scgi;
  %SERVERS%
}
]]

local nginx = {}

local function freePort()
  local port = reactor:listenTCP(0, Factory(), { interface = "127.0.0.1" })
  local number = port:getHost().port
  port:stopListening()
  return number
end

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
end

---Start it. In `servers`, %PORT% and %PORT2% are free ports and %FOLDER% its folder.
---@param servers string
---@param files? table<string, string> in its folder: name → content
---@param port? integer in place of a free one
function nginx.start(servers, files, port)
  local folder = os.tmpname()
  os.remove(folder)
  assert(os.execute("mkdir -m 700 " .. folder))
  local server = { folder = folder, port = port or freePort(), port2 = freePort() }
  local values = { FOLDER = folder, PORT = server.port, PORT2 = server.port2 }
  local text = CONFIGURATION:gsub("%%SERVERS%%", function() return servers end):gsub("%%(%w+)%%", values)
  write(folder .. "/nginx.conf", text)
  for name, content in pairs(files or {}) do write(folder .. "/" .. name, content) end
  local process = child.start { "nginx", "-e", "stderr", "-c", folder .. "/nginx.conf", "-p", folder }
  local wait = ("timeout 15 sh -c 'until nc -z 127.0.0.1 %d; do sleep 0.02; done'"):format(server.port)
  local ready = os.execute(wait)

  function server.stop()
    pcall(process.signal, process, "TERM")
    local ended = process:finish()
    os.execute("rm -rf " .. folder)
    return ended
  end

  if not ready then error("nginx did not start: " .. server.stop().stderr) end
  server.url = ("http://127.0.0.1:%d"):format(server.port)
  return server
end

return nginx
