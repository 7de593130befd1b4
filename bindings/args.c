/* SPDX-License-Identifier: MIT
 * args.c -- addresses and errors between C and Lua. */
#include <string.h>

#include "context.h"

int twl__push_error(lua_State *L, int code)
{
    lua_pushnil(L);
    lua_pushstring(L, twl_error_message(code));
    lua_pushstring(L, twl_error_name(code));
    if (code > -20000)
        lua_pushinteger(L, -code);
    else
        lua_pushnil(L);
    return 4;
}

int twl__raise_error(lua_State *L, const char *module, const char *class,
                     const char *message)
{
    lua_getglobal(L, "require");
    lua_pushstring(L, module);
    lua_call(L, 1, 1);
    lua_getfield(L, -1, class);
    if (message) lua_pushstring(L, message);
    lua_call(L, message ? 1 : 0, 1);
    return lua_error(L);
}

void twl__check_address(lua_State *L, int index, twl_address *out)
{
    static const char *const kinds[] = {"TCP", "UNIX", "UDP", NULL};
    size_t length;

    if (luaL_checkoption(L, index, NULL, kinds) == 1) {
        const char *path = luaL_checklstring(L, index + 1, &length);
        luaL_argcheck(L, twl_address_unix(out, path, length) == 0, index + 1,
                      "not a path for a UNIX socket (empty or too long)");
        return;
    }
    const char *host = luaL_checklstring(L, index + 1, &length);
    lua_Integer port = luaL_checkinteger(L, index + 2);
    luaL_argcheck(L, port >= 0 && port <= 65535, index + 2,
                  "port must be between 0 and 65535");
    luaL_argcheck(L,
                  strlen(host) == length &&
                      twl_address_parse(out, host, (long)port) == 0,
                  index + 1, "not an IP address");
}

void twl__push_address(lua_State *L, const twl_address *address)
{
    static const char *const kinds[] = {"", "TCP4", "TCP6", "UNIX"};
    char text[TWL_ADDRESS_TEXT];
    size_t length = twl_address_host(address, text);
    enum twl_family family = twl_address_family(address);

    lua_pushstring(L, kinds[family]);
    lua_pushlstring(L, text, length);
    if (family == TWL_IPV4 || family == TWL_IPV6)
        lua_pushinteger(L, twl_address_port(address));
    else
        lua_pushnil(L);
}
