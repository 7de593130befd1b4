#!/bin/sh
# nginx_http.sh lua|plain: "/" answers with 14 bytes, "/large" with 100 kB, from content_by_lua, or
# from return and from a file
set -eu
folder=$(mktemp -d)
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
if [ "$1" = lua ]; then
  modules=$(nginx -V 2>&1 | tr ' ' '\n' | sed -n 's/^--modules-path=//p')
  load="load_module $modules/ndk_http_module.so; load_module $modules/ngx_http_lua_module.so;"
  setup='init_by_lua_block { large = string.rep("x", 100000) }'
  hello='content_by_lua_block { ngx.header["Content-Type"] = "text/plain" ngx.print("Hello, world!\n") }'
  larger='content_by_lua_block { ngx.header["Content-Type"] = "text/plain" ngx.print(large) }'
else
  load="" setup=""
  hello='default_type text/plain; return 200 "Hello, world!\n";'
  larger="default_type text/plain; alias $folder/large;"
  head -c 100000 /dev/zero >"$folder/large"
fi
cat >"$folder/nginx.conf" <<END
$load
daemon off; master_process off; pid $folder/pid; error_log $folder/error.log;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000; $setup
  client_body_temp_path $folder/body; proxy_temp_path $folder/proxy; fastcgi_temp_path $folder/fastcgi;
  uwsgi_temp_path $folder/uwsgi; scgi_temp_path $folder/scgi;
  server {
    listen 127.0.0.1:$port backlog=4096;
    location = / { $hello }
    location = /large { $larger }
  }
}
END
echo "$port"
exec nginx -c "$folder/nginx.conf"
