/* SPDX-License-Identifier: MIT
 * lua_deferred.c -- Deferreds in Lua: the methods, the fields, and the functions that make them.
 * All are registered with the upvalues context, metatable and twl__deferreds. */
#include <string.h>

#include "deferred.h"

enum { ARGUMENTS_MAX = 200 };

static twl__lua_deferred *check(lua_State *L, int index)
{
    twl__lua_deferred *self = twl__deferred_at(L, index);

    if (!self) luaL_typeerror(L, index, "Deferred");
    return self;
}

static void check_function(lua_State *L, int index)
{
    if (lua_type(L, index) == LUA_TFUNCTION) return;
    if (luaL_getmetafield(L, index, "__call") == LUA_TNIL)
        luaL_typeerror(L, index, "function");
    lua_pop(L, 1);
}

/* ---- Methods: adding ----------------------------------------------------- */

static int add_function(lua_State *L, enum twl__when when)
{
    twl__lua_deferred *self = check(L, 1);
    int top = lua_gettop(L);

    check_function(L, 2);
    luaL_argcheck(L, top < ARGUMENTS_MAX, ARGUMENTS_MAX, "too many arguments");
    return twl__stage_add(L, self, when, top - 2);
}

static int add_callback(lua_State *L)
{
    return add_function(L, TWL__ON_RESULT);
}

static int add_errback(lua_State *L)
{
    return add_function(L, TWL__ON_FAILURE);
}

static int add_both(lua_State *L)
{
    return add_function(L, TWL__ON_BOTH);
}

/* Push the list in field [name] of the options at [index]; returns its length. */
static int push_arguments(lua_State *L, int index, const char *name)
{
    int list = lua_gettop(L) + 1, count;

    if (lua_isnil(L, index)) return 0;
    if (lua_getfield(L, index, name) == LUA_TNIL) {
        lua_pop(L, 1);
        return 0;
    }
    if (!lua_istable(L, list))
        luaL_error(L, "addCallbacks: %s must be a list", name);
    count = (int)luaL_len(L, list);
    luaL_argcheck(L, count < ARGUMENTS_MAX, 4, "too many arguments");
    luaL_checkstack(L, count, name);
    for (int i = 1; i <= count; i++) lua_geti(L, list, i);
    lua_remove(L, list);
    return count;
}

static void check_options(lua_State *L, int index)
{
    if (lua_isnil(L, index)) return;
    luaL_checktype(L, index, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        const char *name = luaL_tolstring(L, -2, NULL);

        if (strcmp(name, "callbackArgs") != 0 &&
            strcmp(name, "errbackArgs") != 0)
            luaL_error(
                L,
                "addCallbacks: unknown option '%s' (known: callbackArgs, "
                "errbackArgs)",
                name);
        lua_pop(L, 2);
    }
}

/* addCallbacks(callback or nil, errback or nil, { callbackArgs =, errbackArgs = }) */
static int add_callbacks(lua_State *L)
{
    twl__lua_deferred *self = check(L, 1);
    int callbacks, errbacks;

    lua_settop(L, 4);
    if (!lua_isnil(L, 2)) check_function(L, 2);
    if (!lua_isnil(L, 3)) check_function(L, 3);
    check_options(L, 4);
    lua_insert(L, 2); /* the options, below the functions */
    callbacks = push_arguments(L, 2, "callbackArgs");
    errbacks = push_arguments(L, 2, "errbackArgs");
    return twl__stage_add_pair(L, self, callbacks, errbacks);
}

static int chain_deferred(lua_State *L)
{
    twl__lua_deferred *self = check(L, 1);

    check(L, 2);
    lua_settop(L, 2);
    return twl__stage_add_chain(L, self);
}

/* ---- Methods: firing and holding up -------------------------------------- */

static int refuse(lua_State *L, twl__lua_deferred *self)
{
    const char *why = self->task && !self->base.called
                          ? "a coroutine's Deferred is fired by its coroutine"
                          : "the Deferred was fired already";

    twl__trace_describe(L, 1, why);
    return twl__raise_error(L, "twistlua.defer", "AlreadyCalledError",
                            lua_tostring(L, -1));
}

/* Fire the Deferred at 1 with the value at 2. */
static int fire(lua_State *L, twl__lua_deferred *self, bool failure)
{
    if (self->base.called || self->task) {
        if (self->task || twl_deferred_settle(&self->base, twl_nothing()) < 0)
            return refuse(L, self);
        return 0; /* the one late result, which it ignores */
    }
    if (TWL__ALL_OF(&self->base)->debugging) twl__trace_keep(L, 1, "fired");
    twl__deferred_fire(L, self, 1, failure);
    return 0;
}

static int callback(lua_State *L)
{
    twl__lua_deferred *self = check(L, 1);
    bool failure = false;

    lua_settop(L, 2);
    if (lua_type(L, 2) == LUA_TUSERDATA) {
        luaL_argcheck(
            L, !twl__deferred_at(L, 2), 2,
            "a Deferred cannot be the result of another: return it from a "
            "callback, or use chainDeferred");
        failure = twl__is_failure(L, twl__context_of(L), 2);
    }
    return fire(L, self, failure);
}

static int errback(lua_State *L)
{
    twl__lua_deferred *self = check(L, 1);

    if (lua_isnone(L, 2))
        return twl__raise_error(L, "twistlua.defer", "NoCurrentExceptionError",
                                "errback needs a Failure or an error value");
    lua_settop(L, 2);
    twl__failure_ensure(L);
    return fire(L, self, true);
}

static int pause(lua_State *L)
{
    twl_deferred_pause(&check(L, 1)->base);
    lua_settop(L, 1);
    return 1;
}

static int unpause(lua_State *L)
{
    twl__lua_deferred *self = check(L, 1);
    twl__run outer;

    if (!self->base.pauses)
        return luaL_error(L, "unpause: the Deferred is not paused");
    outer = twl__run_begin(twl__deferreds_of(L), L, 1);
    twl_deferred_unpause(&self->base);
    twl__run_end(twl__deferreds_of(L), outer);
    lua_settop(L, 1);
    return 1;
}

static int cancel(lua_State *L)
{
    check(L, 1);
    return twl__deferred_cancel(L, 1) ? 0 : lua_error(L);
}

/* ---- Fields and text ----------------------------------------------------- */

/* What stands for a field in the table of methods. */
enum field { CALLED, PAUSED, RESULT, FIELDS };

static const char fields[FIELDS];

/* The fourth upvalue is the table of methods. */
static int get(lua_State *L)
{
    const twl__lua_deferred *self;
    const char *field;

    if (lua_rawget(L, lua_upvalueindex(4)) != LUA_TLIGHTUSERDATA) return 1;
    field = lua_touserdata(L, -1);
    self = check(L, 1);
    switch (field - fields) {
    case CALLED: lua_pushboolean(L, self->base.called); break;
    case PAUSED: lua_pushboolean(L, self->base.pauses > 0); break;
    default:
        if (self->base.called)
            twl__result_push(L, 1);
        else
            lua_pushnil(L);
    }
    return 1;
}

static void set_fields(lua_State *L, int table)
{
    static const char *const names[] = {"called", "paused", "result"};

    for (int i = 0; i < FIELDS; i++) {
        lua_pushlightuserdata(L, (void *)&fields[i]);
        lua_setfield(L, table, names[i]);
    }
}

static int to_string(lua_State *L)
{
    const twl__lua_deferred *self = check(L, 1);
    bool text;

    lua_settop(L, 1);
    if (self->base.waiting_for) {
        lua_pushfstring(L, "<Deferred at %p waiting on Deferred at %p>",
                        (void *)self, (void *)self->base.waiting_for);
        return 1;
    }
    if (!self->base.called) {
        lua_pushfstring(L, "<Deferred at %p>", (void *)self);
        return 1;
    }
    twl__result_push(L, 1);
    text = lua_type(L, 2) == LUA_TSTRING;
    luaL_tolstring(L, 2, NULL);
    lua_pushfstring(L, "<Deferred at %p current result: ", (void *)self);
    lua_insert(L, -2);
    lua_pushfstring(L, text ? "'%s'>" : "%s>", lua_tostring(L, -1));
    lua_remove(L, -2);
    lua_concat(L, 2);
    return 1;
}

/* ---- Functions ----------------------------------------------------------- */

static twl__lua_deferred *make(lua_State *L)
{
    return twl__deferred_make(L, twl__deferreds_of(L), lua_upvalueindex(2),
                              sizeof(twl__lua_deferred), TWL__VALUES);
}

/* Deferred(canceller) */
static int new (lua_State *L)
{
    bool canceller = !lua_isnoneornil(L, 1);
    twl__lua_deferred *self;

    if (canceller) check_function(L, 1);
    self = make(L);
    if (!canceller) return 1;
    self->base.cancel = twl__deferred_ask_canceller;
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, TWL__RESULT);
    return 1;
}

/* Put a new Deferred below the value at 1. */
static twl__lua_deferred *make_below(lua_State *L)
{
    twl__lua_deferred *self;

    lua_settop(L, 1);
    self = make(L);
    lua_insert(L, 1);
    return self;
}

/* A plain value needs no run of a chain that is empty. */
static int succeed(lua_State *L)
{
    twl__lua_deferred *self = make_below(L);

    if (lua_type(L, 2) == LUA_TUSERDATA || TWL__ALL_OF(&self->base)->debugging)
        callback(L);
    else
        twl__deferred_settle(L, self, 1, false);
    return 1;
}

static int fail(lua_State *L)
{
    luaL_checkany(L, 1);
    make_below(L);
    errback(L);
    return 1;
}

static int is_deferred(lua_State *L)
{
    lua_pushboolean(L, twl__deferred_at(L, 1) != NULL);
    return 1;
}

static int set_debugging(lua_State *L)
{
    luaL_checkany(L, 1);
    twl__deferreds_of(L)->debugging = lua_toboolean(L, 1);
    return 0;
}

static int get_debugging(lua_State *L)
{
    lua_pushboolean(L, twl__deferreds_of(L)->debugging);
    return 1;
}

/* traces(d): { created =, fired = } where debugging kept them, or nil */
static int traces(lua_State *L)
{
    check(L, 1);
    twl__trace_push(L, 1);
    return 1;
}

/* ---- Opening ------------------------------------------------------------- */

static const luaL_Reg methods[] = {{"addCallback", add_callback},
                                   {"addErrback", add_errback},
                                   {"addBoth", add_both},
                                   {"addCallbacks", add_callbacks},
                                   {"chainDeferred", chain_deferred},
                                   {"callback", callback},
                                   {"errback", errback},
                                   {"pause", pause},
                                   {"unpause", unpause},
                                   {"cancel", cancel},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {
    {"__index", get}, {"__tostring", to_string}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"new", new},
                                     {"succeed", succeed},
                                     {"fail", fail},
                                     {"isDeferred", is_deferred},
                                     {"setDebugging", set_debugging},
                                     {"getDebugging", get_debugging},
                                     {"traces", traces},
                                     {NULL, NULL}};

/* Register [list] in the table at the top, with the methods as an upvalue if they are at
 * [table]. */
static void register_all(lua_State *L, twl__deferreds *all,
                         const luaL_Reg *list, int class, int table)
{
    twl__deferreds_push_upvalues(L, all, class);
    if (table) lua_pushvalue(L, table);
    luaL_setfuncs(L, list, table ? 4 : 3);
}

int twl__open_deferred(lua_State *L, twl_context *context)
{
    twl__deferreds *all = twl__deferreds_open(L, context);
    int core = lua_gettop(L), class = core + 1, table = core + 2;

    twl__unhandled_open(L, all);
    lua_newtable(L);
    lua_pushliteral(L, "Deferred");
    lua_setfield(L, class, "__name");
    twl__deferreds_set_class(L);
    lua_newtable(L);
    register_all(L, all, methods, class, 0);
    set_fields(L, table);
    lua_pushvalue(L, class);
    register_all(L, all, metamethods, class, table);
    lua_newtable(L);
    register_all(L, all, functions, class, 0);
    lua_pushvalue(L, table); /* twistlua.defer adds methods to it */
    lua_setfield(L, -2, "methods");
    twl__coroutine_open(L, all, class);
    lua_setfield(L, core, "deferred");
    lua_settop(L, core);
    twl__lockfile_open(L, context);
    return 0;
}
