/* SPDX-License-Identifier: MIT
 * unhandled.c -- failures that nobody handled, and the traces that debugging keeps.
 * A failure that is left at the end of a chain is put into a guard, whose finalizer reports it
 * when the Deferred is collected or the universe closed. A stage that is added before that
 * takes it out again. */
#include "deferred.h"

static const char GUARD_KEY, TRACES_KEY, LEFT_KEY;

static const char UNHANDLED[] = "Unhandled error in Deferred";

enum { GUARD_FAILURE = 1, GUARD_TEXT, GUARD_VALUES = GUARD_TEXT };

/* ---- Traces ------------------------------------------------------------------------------- */

void twl__trace_push(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &TRACES_KEY);
    lua_pushvalue(L, index);
    lua_rawget(L, -2);
    lua_remove(L, -2);
}

void twl__trace_keep(lua_State *L, int index, const char *what)
{
    twl__trace_push(L, index);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_rawgetp(L, LUA_REGISTRYINDEX, &TRACES_KEY);
        lua_pushvalue(L, index);
        lua_pushvalue(L, -3);
        lua_rawset(L, -3);
        lua_pop(L, 1);
    }
    luaL_traceback(L, L, NULL, 1);
    lua_setfield(L, -2, what);
    lua_pop(L, 1);
}

void twl__trace_describe(lua_State *L, int index, const char *text)
{
    luaL_Buffer buffer;
    int traces = lua_gettop(L) + 1;

    twl__trace_push(L, index);
    luaL_buffinit(L, &buffer);
    luaL_addstring(&buffer, text);
    for (int fired = 0; fired < 2 && lua_istable(L, traces); fired++) {
        if (lua_getfield(L, traces, fired ? "fired" : "created") == LUA_TNIL) {
            lua_pop(L, 1);
            continue;
        }
        lua_pushstring(L, fired ? "\nI: fired here:\n" : "\nC: created here:\n");
        lua_insert(L, -2);
        lua_concat(L, 2);
        luaL_addvalue(&buffer);
    }
    luaL_pushresult(&buffer);
    lua_replace(L, traces);
}

/* ---- When debugging: at the end of the turn --------------------------------------------------- */

/* Report the failure of the Deferred at [index], which keeps it as its result. */
static void report_early(lua_State *L, twl__deferreds *all, int index)
{
    twl__lua_deferred *self = lua_touserdata(L, index);
    int top = lua_gettop(L);

    twl__trace_describe(L, index, UNHANDLED);
    twl__result_release(L, index);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, index, TWL__RESULT);
    self->told = 1;
    twl__report(all->context, L, lua_tostring(L, top + 1));
    lua_settop(L, top);
}

static int report_left(lua_State *L)
{
    twl__deferreds *all = lua_touserdata(L, 1);
    lua_Integer count;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &LEFT_KEY);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &LEFT_KEY);
    count = (lua_Integer)lua_rawlen(L, 2);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, 2, i);
        if (((twl__lua_deferred *)lua_touserdata(L, 3))->guarded) report_early(L, all, 3);
        lua_settop(L, 2);
    }
    return 0;
}

static void report_job(twl_job *job)
{
    twl__deferreds *all =
        (twl__deferreds *)(void *)((char *)job - offsetof(twl__deferreds, left));

    twl__call(all->context, report_left, all, "Reporting unhandled errors");
}

static void note_left(lua_State *L, twl__deferreds *all, int index)
{
    if (!all->context->reactor) return; /* no turns: the guard will tell */
    lua_rawgetp(L, LUA_REGISTRYINDEX, &LEFT_KEY);
    lua_pushvalue(L, index);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
    twl_reactor_soon(all->context->reactor, &all->left);
}

/* ---- Guards -------------------------------------------------------------------------------------- */

static int guard_gc(lua_State *L)
{
    const char *text;

    lua_settop(L, 1);
    lua_getiuservalue(L, 1, GUARD_TEXT);
    text = lua_isnil(L, 2) ? UNHANDLED : lua_tostring(L, 2);
    if (lua_getiuservalue(L, 1, GUARD_FAILURE) != LUA_TNIL)
        twl__report_later(twl__context_of(L), L, text);
    return 0;
}

/* guard(all, deferred) */
static int guard(lua_State *L)
{
    twl__deferreds *all = lua_touserdata(L, 1);
    twl__lua_deferred *self = lua_touserdata(L, 2);

    lua_newuserdatauv(L, 0, GUARD_VALUES);
    if (all->debugging) {
        twl__trace_describe(L, 2, UNHANDLED);
        lua_setiuservalue(L, 3, GUARD_TEXT);
        note_left(L, all, 2);
    }
    twl__result_push(L, 2);
    lua_setiuservalue(L, 3, GUARD_FAILURE);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &GUARD_KEY);
    lua_setmetatable(L, 3);
    lua_setiuservalue(L, 2, TWL__RESULT);
    self->guarded = 1;
    return 0;
}

void twl__unhandled_guard(twl__deferreds *all)
{
    lua_State *L = all->L;
    twl__lua_deferred *self;

    lua_settop(L, all->base);
    lua_pushcfunction(L, guard);
    lua_pushlightuserdata(L, all);
    lua_pushvalue(L, all->base);
    if (lua_pcall(L, 2, 0, 0) == LUA_OK) return;
    lua_pop(L, 1); /* no memory to wait with: tell at once */
    self = lua_touserdata(L, all->base);
    self->told = 1;
    twl__result_push(L, all->base);
    twl__report(all->context, L, UNHANDLED);
}

void twl__unhandled_open(lua_State *L, twl__deferreds *all)
{
    all->left.run = report_job;
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &LEFT_KEY);

    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &TRACES_KEY);

    lua_createtable(L, 0, 1);
    lua_pushlightuserdata(L, all->context);
    lua_pushcclosure(L, guard_gc, 1);
    lua_setfield(L, -2, "__gc");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &GUARD_KEY);
}
