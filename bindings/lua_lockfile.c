/* SPDX-License-Identifier: MIT
 * lua_lockfile.c -- locks between processes, for DeferredFilesystemLock. */
#include "deferred.h"
#include "sandbox.h"

/* take(path): true, clean; false where it is held; or nil, message, code, errno */
static int take(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    bool clean = false;
    int rc = twl_lockfile_take(twl__context_of(L)->capabilities, path, &clean);

    if (rc < 0 && rc != TWL_EBUSY)
        return twl__push_path_error(L, twl__context_of(L), rc, TWL_ACCESS_WRITE,
                                    path);
    lua_pushboolean(L, rc == 0);
    lua_pushboolean(L, clean);
    return 2;
}

/* release(path): true; or nil, message, code, errno */
static int release(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    int rc = twl_lockfile_release(twl__context_of(L)->capabilities, path);

    if (rc < 0)
        return twl__push_path_error(L, twl__context_of(L), rc, TWL_ACCESS_WRITE,
                                    path);
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
