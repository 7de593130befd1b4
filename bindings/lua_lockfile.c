/* SPDX-License-Identifier: MIT
 * lua_lockfile.c -- locks between processes, for DeferredFilesystemLock. */
#include "deferred.h"

/* take(path): true, clean; false where it is held; or nil, message, code, errno */
static int take(lua_State *L)
{
    bool clean = false;
    int rc = twl_lockfile_take(luaL_checkstring(L, 1), &clean);

    if (rc < 0 && rc != TWL_EBUSY) return twl__push_error(L, rc);
    lua_pushboolean(L, rc == 0);
    lua_pushboolean(L, clean);
    return 2;
}

/* release(path): true; or nil, message, code, errno */
static int release(lua_State *L)
{
    int rc = twl_lockfile_release(luaL_checkstring(L, 1));

    if (rc < 0) return twl__push_error(L, rc);
    lua_pushboolean(L, 1);
    return 1;
}

void twl__lockfile_open(lua_State *L, twl_context *context)
{
    static const luaL_Reg functions[] = {
        {"take", take}, {"release", release}, {NULL, NULL}};

    lua_newtable(L);
    twl__set_functions(L, context, functions);
    lua_setfield(L, -2, "lockfile");
}
