/* SPDX-License-Identifier: MIT
 * sandbox_libs.c -- the libraries os and debug in a sandbox. Of each library there is what is
 * listed here, and nothing that another version of Lua may add. */
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox.h"

#ifndef P_tmpdir
#define P_tmpdir "/tmp"
#endif

/* ---- Replacing ---------------------------------------------------------------------------- */

static bool is_listed(const char *name, const char *const *list)
{
    for (; *list; list++) {
        if (strcmp(*list, name) == 0) return true;
    }
    return false;
}

void twl__sandbox_replace(lua_State *L, twl_context *context,
                          const luaL_Reg *functions, const char *const *keep)
{
    int table = lua_gettop(L);

    for (; functions->name; functions++) {
        lua_pushlightuserdata(L, context);
        lua_getfield(L, table, functions->name);
        lua_pushcclosure(L, functions->func, 2);
        lua_setfield(L, table, functions->name);
    }
    if (!keep) return;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING &&
            is_listed(lua_tostring(L, -2), keep))
            continue;
        lua_pushvalue(L, -2);
        lua_pushnil(L);
        lua_rawset(L, table);
    }
}

int twl__sandbox_original(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

int twl__sandbox_result(lua_State *L, int code, int access, const char *path)
{
    char sentence[TWL_REFUSAL_TEXT];

    lua_pushnil(L);
    if (code != TWL_EDENIED) {
        lua_pushfstring(L, "%s: %s", path, twl_error_message(code));
        lua_pushinteger(L, -code);
        return 3;
    }
    twl_capabilities_explain_path(twl__context_of(L)->capabilities, access,
                                  path, sentence);
    lua_pushstring(L, sentence);
    lua_pushinteger(L, EPERM);
    return 3;
}

/* ---- os ------------------------------------------------------------------------------------ */

static const twl_capabilities *capabilities_of(lua_State *L)
{
    return twl__context_of(L)->capabilities;
}

/* A shell runs everything. */
static int os_execute(lua_State *L)
{
    if (lua_isnoneornil(L, 1) &&
        !twl_capabilities_all(capabilities_of(L), TWL_PERMIT_RUN)) {
        lua_pushboolean(L, false);
        return 1;
    }
    if (!twl_capabilities_all(capabilities_of(L), TWL_PERMIT_RUN))
        return twl__raise_refusal(
            L, "running a shell is not permitted (--allow-run)");
    return twl__sandbox_original(L);
}

static int push_outcome(lua_State *L, int rc, int access, const char *path)
{
    if (rc < 0) return twl__sandbox_result(L, rc, access, path);
    lua_pushboolean(L, true);
    return 1;
}

static int os_remove(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);

    return push_outcome(L, twl_file_remove(capabilities_of(L), path),
                        TWL_ACCESS_WRITE, path);
}

static int os_rename(lua_State *L)
{
    const int both = TWL_ACCESS_READ | TWL_ACCESS_WRITE;
    const char *from = luaL_checkstring(L, 1), *to = luaL_checkstring(L, 2);
    int rc = twl_file_rename(capabilities_of(L), from, to);

    if (rc == TWL_EDENIED &&
        twl_capabilities_path(capabilities_of(L), both, from) == 0)
        return push_outcome(L, rc, TWL_ACCESS_WRITE, to);
    return push_outcome(L, rc, both, from);
}

static int os_tmpname(lua_State *L)
{
    char sentence[TWL_REFUSAL_TEXT];

    if (twl_capabilities_path(capabilities_of(L), TWL_ACCESS_WRITE, P_tmpdir) ==
        0)
        return twl__sandbox_original(L);
    twl_capabilities_explain_path(capabilities_of(L), TWL_ACCESS_WRITE,
                                  P_tmpdir, sentence);
    return twl__raise_refusal(L, sentence);
}

/* What only tells the runtime which reactor to take is no secret. */
static int os_getenv(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);

    if (strcmp(name, "TWISTLUA_REACTOR") == 0 ||
        twl_capabilities_variable(capabilities_of(L), name))
        return twl__sandbox_original(L);
    return twl__raise_refusal(
        L, lua_pushfstring(
               L, "reading the variable %s is not permitted (--allow-env=%s)",
               name, name));
}

static int os_exit(lua_State *L)
{
    return twl__raise_refusal(
        L, "ending the process is not permitted in a sandbox of a host");
}

static int os_setlocale(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) return twl__sandbox_original(L);
    return twl__raise_refusal(
        L, "changing the locale is not permitted in a sandbox");
}

static void replace_os(lua_State *L, twl_context *context, bool may_exit)
{
    static const luaL_Reg functions[] = {
        {"execute", os_execute},
        {"remove", os_remove},
        {"rename", os_rename},
        {"tmpname", os_tmpname},
        {"getenv", os_getenv},
        {"setlocale", os_setlocale},
        {NULL, NULL},
    };
    static const luaL_Reg exits[] = {{"exit", os_exit}, {NULL, NULL}};
    static const char *const keep[] = {
        "clock",  "date",   "difftime",  "execute", "exit",    "getenv",
        "remove", "rename", "setlocale", "time",    "tmpname", NULL};

    twl__sandbox_replace(L, context, functions, keep);
    if (!may_exit) twl__sandbox_replace(L, context, exits, NULL);
}

/* ---- debug --------------------------------------------------------------------------------- */

/* getinfo([thread,] f [, what]) without the functions of the stack */
static int debug_getinfo(lua_State *L)
{
    int what = lua_isthread(L, 1) ? 3 : 2;
    const char *options = luaL_optstring(L, what, "Slnrtu");

    luaL_argcheck(L, !strchr(options, 'f'), what,
                  "'f' is not permitted in a sandbox");
    lua_settop(L, what);
    lua_pushstring(L, options);
    lua_replace(L, what);
    /* Levels count from the caller, and we are one more. */
    if (lua_isinteger(L, what - 1) && lua_tointeger(L, what - 1) >= 0 &&
        what == 2) {
        lua_pushinteger(L, lua_tointeger(L, what - 1) + 1);
        lua_replace(L, what - 1);
    }
    return twl__sandbox_original(L);
}

static void replace_debug(lua_State *L, twl_context *context)
{
    static const luaL_Reg functions[] = {{"getinfo", debug_getinfo},
                                         {NULL, NULL}};
    static const char *const keep[] = {"getinfo", "traceback", NULL};

    twl__sandbox_replace(L, context, functions, keep);
}

void twl__sandbox_libs(lua_State *L, twl_context *context, bool may_exit)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, LUA_OSLIBNAME) == LUA_TTABLE)
        replace_os(L, context, may_exit);
    if (lua_getfield(L, -2, LUA_DBLIBNAME) == LUA_TTABLE)
        replace_debug(L, context);
    lua_pop(L, 3);
}
