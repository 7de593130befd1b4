-- SPDX-License-Identifier: MIT
-- http_client.lua -- clients of HTTP that ask a local nginx for 13 bytes, over connections that stay open. Each
-- program prints how many requests it made in how much of its own processor time.
local contenders = require "contenders"
local report = require "report"
local shell = require "shell"

local NAMES = { "node", "twistlua", "twisted" }
local SCRIPTS = { twistlua = "client.lua", node = "client.mjs", twisted = "client.py" }

local CONFIGURATION = [[
worker_processes 1; pid %FOLDER%/pid; error_log %FOLDER%/errors;
events { worker_connections 256; }
http {
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path %FOLDER%/body; proxy_temp_path %FOLDER%/proxy; fastcgi_temp_path %FOLDER%/fastcgi;
  uwsgi_temp_path %FOLDER%/uwsgi; scgi_temp_path %FOLDER%/scgi;
  server { listen 127.0.0.1:%PORT%; location / { default_type text/plain; return 200 "Hello, world\n"; } }
}
]]

local PORT = "18932"

local group = { usual_rounds = 5 }

local function row(name, title, connections)
  return {
    name = name, title = title, connections = connections,
    columns = { { title = "requests/CPU s", ratio = true, value = function(f) return f.requests / f.cpu end } },
  }
end

group.rows = {
  row("one", "Requests one after the other, one connection", "1"),
  row("many", "Requests over 16 connections", "16"),
}

-- It is in the background when the command returns, and listens; on the processor that the client does not have.
local function start_nginx()
  local folder = os.tmpname()
  os.remove(folder)
  assert(os.execute("mkdir -m 700 " .. folder))
  local file = assert(io.open(folder .. "/nginx.conf", "w"))
  file:write((CONFIGURATION:gsub("%%(%w+)%%", { FOLDER = folder, PORT = PORT })))
  file:close()
  local command = ("nginx -e %s/errors -c %s/nginx.conf -p %s"):format(folder, folder, folder)
  if not shell.succeeds(shell.join(shell.pinned({ "sh", "-c", command }, 1))) then
    return nil, "nginx does not start (apt package nginx-core)"
  end
  return function()
    os.execute(("nginx -e %s/errors -c %s/nginx.conf -p %s -s stop"):format(folder, folder, folder))
    os.execute("sleep 0.5; rm -rf " .. folder)
  end
end

local function measure(options, contender, connections)
  local count = options.quick and "5000" or contender.name == "twistlua" and "200000" or "30000"
  local script = ("%s/http_client/%s"):format(options.here, SCRIPTS[contender.name])
  local url = "http://127.0.0.1:" .. PORT .. "/"
  -- Debian's packages for Node, of which only Debian's own node knows.
  local words = { "env", "NODE_PATH=/usr/share/nodejs", contender.program, script, url, count, connections }
  return shell.figures(shell.pinned(words))
end

function group.run(options, rows)
  local stop, message = start_nginx()
  if not stop then return report.failed({ title = "nginx" }, message) end
  local found = contenders.find(options, NAMES)
  for _, one in ipairs(rows) do
    local figures = report.rounds(found, function(contender) return measure(options, contender, one.connections) end)
    report.table(one.title, found, one.columns, figures)
  end
  stop()
end

return group
