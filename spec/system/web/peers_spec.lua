-- SPDX-License-Identifier: MIT
-- peers_spec.lua -- the reverse proxy between nginx and HAProxy: one behind it, the other in front.
local async    = require("twistlua.test").async
local protocol = require "twistlua.protocol"
local proxy    = require "twistlua.web.proxy"
local raw      = require "system.web.raw"
local reactor  = require "twistlua.reactor"
local static   = require "twistlua.web.static"
local task     = require "twistlua.task"

local await = require("twistlua.defer").await

local NGINX = [[
daemon on; pid %s/nginx.pid; error_log %s/nginx.log; worker_processes 1;
events { worker_connections 64; }
http { access_log off; client_body_temp_path %s/body; proxy_temp_path %s/proxy; fastcgi_temp_path %s/f;
  uwsgi_temp_path %s/u; scgi_temp_path %s/s;
  server { listen 127.0.0.1:%d; %s } }
]]

local HAPROXY = [[
global
  daemon
  pidfile %s/haproxy.pid
defaults
  mode http
  timeout connect 5s
  timeout client 20s
  timeout server 20s
frontend f
  bind 127.0.0.1:%d
  default_backend b
backend b
  server s 127.0.0.1:%d
]]

local root, write = raw.directory()
local BIG = ("0123456789abcdef"):rep(200000)

local function freePort()
  local port = reactor:listenTCP(0, protocol.ServerFactory(), { interface = "127.0.0.1" })
  local number = port:getHost().port
  await(port:stopListening())
  return number
end

local function stop(name)
  raw.shell(("kill $(cat %s/%s.pid); while [ -e /proc/$(cat %s/%s.pid 2>/dev/null || echo none) ]; do sleep 0.05; done")
    :format(root, name, root, name))
end

-- Run nginx with that in its server block while body(port) runs.
local function nginx(block, body)
  local port = freePort()
  write("nginx.conf", NGINX:format(root, root, root, root, root, root, root, port, block))
  assert.equal("", raw.shell(("nginx -e %s/nginx.log -c %s/nginx.conf"):format(root, root)))
  local ok, problem = pcall(body, port)
  raw.shell(("nginx -e %s/nginx.log -c %s/nginx.conf -s stop"):format(root, root))
  if not ok then error(problem, 0) end
end

local function haproxy(behind, body)
  local port = freePort()
  write("haproxy.cfg", HAPROXY:format(root, port, behind))
  assert.equal("", raw.shell(("haproxy -D -f %s/haproxy.cfg"):format(root)))
  local ok, problem = pcall(body, port)
  stop "haproxy"
  if not ok then error(problem, 0) end
end

local function proxied(port, body)
  local front = proxy.ReverseProxyResource("127.0.0.1", port, "")
  raw.serving(front, body)
  await(front:close())
end

describe("a reverse proxy", function()
  os.execute(("mkdir %s/www"):format(root))
  write("www/big.bin", BIG)
  write("www/small.txt", "small")
  teardown(function() os.execute("rm -r " .. root) end)

  -- The same questions, whoever stands where.
  local function checkFiles(port)
    assert.equal("small", raw.ask(port, "/small.txt").body)
    assert.is_true(raw.ask(port, "/big.bin").body == BIG)
    local answer = raw.ask(port, "/big.bin", { Range = "bytes=16-31" })
    assert.same({ 206, "0123456789abcdef" }, { answer.status, answer.body })
    local etag = raw.ask(port, "/big.bin").headers.etag
    assert.equal(304, raw.ask(port, "/big.bin", { ["If-None-Match"] = etag }).status)
    assert.equal(404, raw.ask(port, "/none").status)
    local head = raw.ask(port, "/big.bin", nil, "HEAD")
    assert.same({ "", tostring(#BIG) }, { head.body, head.headers["content-length"] })
  end

  it("stands before nginx", async(function()
    nginx(("root %s/www;"):format(root), function(behind) proxied(behind, checkFiles) end)
  end))

  it("stands between HAProxy and nginx", async(function()
    nginx(("root %s/www;"):format(root), function(behind)
      proxied(behind, function(port) haproxy(port, checkFiles) end)
    end)
  end))

  it("stands behind nginx and before our files", async(function()
    raw.serving(static.File(root .. "/www"), function(files)
      proxied(files, function(port)
        nginx(("location / { proxy_pass http://127.0.0.1:%d; proxy_http_version 1.1; }"):format(port), checkFiles)
      end)
    end)
    await(task.deferLater(reactor, 0))
  end))
end)
