/* SPDX-License-Identifier: MIT
 * core.c -- the entry points by which a Lua finds us. */
#include "context.h"

int luaopen_twistlua(lua_State *L)
{
    twl_context *context = twl__context_open(L);

    lua_createtable(L, 0, 2);
    twl__open_limits(L, context);
    lua_pushliteral(L, TWL_VERSION);
    lua_setfield(L, -2, "_VERSION");
    return 1;
}
