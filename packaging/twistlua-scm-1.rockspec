-- luarocks make packaging/twistlua-scm-1.rockspec
rockspec_format = "3.0"
package = "twistlua"
version = "scm-1"
source = {
  url = "file://.", -- the folder that `luarocks make` is called in
}
description = {
  summary = "Network protocols, servers and clients for Lua",
  detailed = [[
    Servers, clients and protocols in Lua 5.4, on a reactor and a Deferred engine in C, in Twisted's model and with
    Twisted's names: TCP, UDP, TLS, names, processes, threads and the web, with coroutines that await.
  ]],
  license = "MIT",
  labels = { "network", "async", "http", "websocket" },
}
dependencies = {
  "lua >= 5.4, < 5.5",
}
external_dependencies = {
  EV = { header = "ev.h" },
  OPENSSL = { header = "openssl/ssl.h" },
  CARES = { header = "ares.h" },
  ZLIB = { header = "zlib.h" },
  BROTLI = { header = "brotli/encode.h" },
}
build = {
  type = "command",
  build_command = [[
    cmake -S . -B build/luarocks -DCMAKE_BUILD_TYPE=RelWithDebInfo -DTWISTLUA_BUILD_PROGRAM=OFF -DTWISTLUA_BUILD_TESTS=OFF \
      -DTWISTLUA_LUA_INCLUDE_DIR="$(LUA_INCDIR)" \
      -DCMAKE_PREFIX_PATH="$(EV_DIR);$(OPENSSL_DIR);$(CARES_DIR);$(ZLIB_DIR);$(BROTLI_DIR)" &&
    cmake --build build/luarocks --parallel --target twistlua_module]],
  install = {
    lib = { twistlua = "build/luarocks/module/twistlua.so" },
  },
}
