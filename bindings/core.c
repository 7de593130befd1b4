/* SPDX-License-Identifier: MIT
 * core.c -- the entry points by which a Lua finds us. */
#include "context.h"

#if defined(__GNUC__)
#define EXPORT __attribute__((visibility("default")))
#else
#define EXPORT
#endif

/* require "twistlua": the version; the modules are twistlua.reactor and so on. */
EXPORT int luaopen_twistlua(lua_State *L);

EXPORT int luaopen_twistlua(lua_State *L)
{
    twl__context_open(L);
    lua_createtable(L, 0, 2);
    lua_pushliteral(L, TWL_VERSION);
    lua_setfield(L, -2, "_VERSION");
    return 1;
}
