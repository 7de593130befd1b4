/* SPDX-License-Identifier: MIT
 * lua_base.c -- functions of Lua's base library as a host's runtime has them, where limits hold.
 * Lua calls no hook during a finalizer, nor during a message handler for an error that a hook has
 * raised: either could run for ever. So a finalizer gets a coroutine of its own, which has its
 * own hook, and in a burst that is being ended no message handler is called and nothing caught. */
#include <lualib.h>

#include "burst.h"
#include "task.h"

/* ---- pcall and xpcall ---------------------------------------------------------------------- */

/* The second upvalue is the script's handler. */
static int handle(lua_State *L)
{
    lua_settop(L, 1);
    if (twl__burst_kills(twl__context_of(L)->limits)) return 1;
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

/* As in Lua: [extra] places below the results are not among them. But what ends the burst is
 * raised again. */
static int finish(lua_State *L, int status, lua_KContext extra)
{
    if (status == LUA_OK || status == LUA_YIELD)
        return lua_gettop(L) - (int)extra;
    if (twl__burst_kills(twl__context_of(L)->limits))
        return twl__burst_raise(L);
    lua_pushboolean(L, 0);
    lua_pushvalue(L, -2);
    return 2;
}

/* pcall(f, ...) */
static int base_pcall(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    return finish(
        L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, finish), 0);
}

/* xpcall(f, handler, ...) */
static int base_xpcall(lua_State *L)
{
    enum { FUNCTION = 1, HANDLER, BELOW = 2 };
    int count = lua_gettop(L) - 2;

    luaL_checktype(L, HANDLER, LUA_TFUNCTION);
    if (!lua_iscfunction(L, HANDLER)) {
        lua_pushlightuserdata(L, twl__context_of(L));
        lua_pushvalue(L, HANDLER);
        lua_pushcclosure(L, handle, 2);
        lua_replace(L, HANDLER);
    }
    lua_pushboolean(L, 1);
    lua_pushvalue(L, FUNCTION);
    lua_rotate(L, HANDLER + 1, 2); /* both below the arguments */
    return finish(L, lua_pcallk(L, count, LUA_MULTRET, HANDLER, BELOW, finish),
                  BELOW);
}

/* ---- Finalizers ------------------------------------------------------------------------------
 * A table with a finalizer gets a sentinel: a userdata that holds it, and that only a weak table
 * refers to, by the table. Both are collected together, and the sentinel's finalizer calls what is
 * then the table's __gc. Lua itself never sees that. */

static const char SENTINELS_KEY, COROUTINE_KEY;

enum { GUARDED = 1 };

/* Push the coroutine for all finalizers: Lua runs but one at a time, perhaps to make room where no
 * memory is left. [-0, +1] */
static lua_State *push_coroutine(lua_State *L)
{
    lua_State *co;

    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &COROUTINE_KEY) == LUA_TTHREAD)
        return lua_tothread(L, -1);
    lua_pop(L, 1);
    co = lua_newthread(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &COROUTINE_KEY);
    return co;
}

/* Make it ready for the next, with the error of this one at its top. Never raises. */
static void clear_coroutine(lua_State *L, lua_State *co)
{
    if (twl__burst_spoilt(co)) {
        lua_pushboolean(L, false);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &COROUTINE_KEY);
        return;
    }
    twl__close_thread(co, L);
    lua_settop(co, 0);
}

/* Call the function at 1 with the table at 2. [-2, +0] */
static void run_finalizer(lua_State *L, struct twl__limits *limits)
{
    lua_State *co = push_coroutine(L);
    struct twl__frame frame;
    int status, results;

    lua_insert(L, 1);
    lua_xmove(L, co, 2);
    frame = twl__burst_enter(limits, L);
    status = twl__burst_resume(limits, co, L, false, 1, &results);
    if (status == LUA_YIELD) {
        lua_pushliteral(co, "attempt to yield from a finalizer");
        status = LUA_ERRRUN;
    }
    if (status != LUA_OK) {
        lua_pushvalue(co, -1);
        lua_xmove(co, L, 1);
        clear_coroutine(L, co);
    }
    twl__burst_leave(limits, frame);
    if (status != LUA_OK) lua_error(L); /* Lua makes a warning of it */
    lua_settop(co, 0);
}

static int sentinel_gc(lua_State *L)
{
    struct twl__limits *limits = twl__context_of(L)->limits;

    lua_getiuservalue(L, 1, GUARDED);
    if (luaL_getmetafield(L, 2, "__gc") == LUA_TNIL) return 0;
    lua_replace(L, 1); /* the finalizer, and the table */
    run_finalizer(L, limits);
    return 0;
}

/* Have the table at 1 finalized. [-0, +0] */
static void guard(lua_State *L)
{
    push_coroutine(L); /* now, while there is memory for it */
    lua_pop(L, 1);
    lua_newuserdatauv(L, 0, GUARDED);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, GUARDED);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &SENTINELS_KEY);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    lua_rawgetp(L, -1, &SENTINELS_KEY);
    lua_setmetatable(L, -3);
    lua_pop(L, 2);
}

/* Set the metatable at 2, whose finalizer is at the top. [-1, +0] */
static void set_without_finalizer(lua_State *L)
{
    int finalizer = lua_gettop(L);

    guard(L);
    lua_pushliteral(L, "__gc");
    lua_pushnil(L);
    lua_rawset(L, 2);
    lua_pushvalue(L, 2);
    lua_setmetatable(L, 1);
    lua_pushliteral(L, "__gc");
    lua_pushvalue(L, finalizer);
    lua_rawset(L, 2);
    lua_settop(L, finalizer - 1);
}

/* setmetatable(table, metatable) */
static int base_setmetatable(lua_State *L)
{
    int type = lua_type(L, 2);

    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2,
                     "nil or table");
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
        return luaL_error(L, "cannot change a protected metatable");
    lua_settop(L, 2);
    if (type == LUA_TTABLE) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL) {
            set_without_finalizer(L);
            lua_settop(L, 1);
            return 1;
        }
        lua_pop(L, 1);
    }
    lua_setmetatable(L, 1);
    return 1;
}

/* The table of sentinels, and in it their metatable. */
static void make_sentinels(lua_State *L, twl_context *context)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_createtable(L, 0, 1);
    lua_pushlightuserdata(L, context);
    lua_pushcclosure(L, sentinel_gc, 1);
    lua_setfield(L, -2, "__gc");
    lua_rawsetp(L, -2, &SENTINELS_KEY);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &SENTINELS_KEY);
}

/* ---- Opening ------------------------------------------------------------------------------- */

static const luaL_Reg functions[] = {{"pcall", base_pcall},
                                     {"xpcall", base_xpcall},
                                     {"setmetatable", base_setmetatable},
                                     {NULL, NULL}};

/* core.deferred.replaceResume(coroutine) */
static void replace_resume(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, "twistlua.core");
    lua_getfield(L, -1, "deferred");
    lua_getfield(L, -1, "replaceResume");
    lua_getglobal(L, LUA_COLIBNAME);
    lua_call(L, 1, 0);
    lua_pop(L, 3);
}

void twl__base_hide_metatables(lua_State *L)
{
    for (lua_pushnil(L); lua_next(L, LUA_REGISTRYINDEX); lua_pop(L, 1)) {
        if (!lua_istable(L, -1)) continue;
        lua_pushliteral(L, "__name");
        if (lua_rawget(L, -2) == LUA_TSTRING) {
            lua_pushliteral(L, "__metatable");
            lua_pushboolean(L, false);
            lua_rawset(L, -4);
        }
        lua_pop(L, 1);
    }
}

void twl__base_open(lua_State *L, twl_context *context)
{
    twl__base_hide_metatables(L);
    make_sentinels(L, context);
    lua_pushglobaltable(L);
    twl__set_functions(L, context, functions);
    lua_pop(L, 1);
    replace_resume(L);
}
