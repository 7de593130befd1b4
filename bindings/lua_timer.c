/* SPDX-License-Identifier: MIT
 * lua_timer.c -- delayed calls: what reactor:callLater() returns.
 * User value 1 is the function while the call is pending, then true if it was called, false
 * if it was cancelled; the arguments are the user values behind it. */
#include "context.h"

enum { VALUE_FUNCTION = 1, ARG_DELAY = 2, ARG_FUNCTION = 3 };
enum { ARGUMENTS_MAX = 60000 }; /* Lua counts user values in 16 bits */

struct delayed {
    twl_context *context;
    int slot;
    int arguments;
};

static twl_timer *timer_of(struct delayed *call)
{
    return (twl_timer *)(void *)(call + 1);
}

/* The call is over, as [called] says: drop what it holds. [live] and [index] say where the live
 * table and the userdata are. */
static void settle(lua_State *L, struct delayed *call, int live, int index,
                   bool called)
{
    twl__release_in(L, &call->context->timers, live, &call->slot);
    lua_pushboolean(L, called);
    lua_setiuservalue(L, index, VALUE_FUNCTION);
    for (int i = 1; i <= call->arguments; i++) {
        lua_pushnil(L);
        lua_setiuservalue(L, index, VALUE_FUNCTION + i);
    }
}

static void on_timer(twl_timer *timer);

/* All calls that are due run in one protected frame; after one that raises, the reactor comes
 * back with the next. */
static int run_due(lua_State *L)
{
    enum { LIVE = 2, USERDATA };
    twl_timer *timer = lua_touserdata(L, 1);
    struct delayed *call = twl_timer_context(timer);
    twl_context *context = call->context;

    twl__push_live(L, &context->timers);
    for (; timer; timer = twl_timer_next(context->reactor, on_timer)) {
        call = twl_timer_context(timer);
        luaL_checkstack(L, call->arguments + 4, "too many arguments");
        lua_rawgeti(L, LIVE, call->slot);
        for (int i = 0; i <= call->arguments; i++)
            lua_getiuservalue(L, USERDATA, VALUE_FUNCTION + i);
        settle(L, call, LIVE, USERDATA, true);
        lua_call(L, call->arguments, 0);
        lua_settop(L, LIVE);
    }
    return 0;
}

static void on_timer(twl_timer *timer)
{
    struct delayed *call = twl_timer_context(timer);
    twl__call(call->context, run_due, timer,
              "Unhandled error in a delayed call");
}

static void check_callable(lua_State *L, int index)
{
    if (lua_isfunction(L, index)) return;
    if (luaL_getmetafield(L, index, "__call") == LUA_TNIL)
        luaL_typeerror(L, index, "function");
    lua_pop(L, 1);
}

/* callLater(reactor, delay, f, ...) -> delayed call */
static int call_later(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    twl_reactor *reactor = twl__context_reactor(L, context);
    double delay = luaL_checknumber(L, ARG_DELAY);
    int arguments = lua_gettop(L) - ARG_FUNCTION, rc;
    struct delayed *call;

    luaL_argcheck(L, delay >= 0. && delay < 1e300, ARG_DELAY,
                  "delay must be a number of seconds, 0 or more");
    check_callable(L, ARG_FUNCTION);
    luaL_argcheck(L, arguments <= ARGUMENTS_MAX, ARG_FUNCTION + 1,
                  "too many arguments");
    call = lua_newuserdatauv(L, sizeof *call + twl_timer_size(), 1 + arguments);
    lua_pushvalue(L, lua_upvalueindex(TWL__METATABLE));
    lua_setmetatable(L, -2);
    *call = (struct delayed){context, 0, arguments};
    twl_timer_init(timer_of(call), reactor, on_timer, call);
    lua_insert(L, ARG_FUNCTION);
    for (int i = arguments; i >= 0; i--)
        lua_setiuservalue(L, ARG_FUNCTION, VALUE_FUNCTION + i);
    twl__anchor_in(L, &context->timers, lua_upvalueindex(TWL__LIVE),
                   &call->slot, ARG_FUNCTION);
    if ((rc = twl_timer_start(timer_of(call), delay)) < 0) {
        twl__release(L, &context->timers, &call->slot);
        return luaL_error(L, "%s", twl_error_message(rc));
    }
    lua_settop(L, ARG_FUNCTION);
    return 1;
}

/* Raise AlreadyCalled or AlreadyCancelled of twistlua.error. */
static int raise_settled(lua_State *L)
{
    bool called =
        (lua_getiuservalue(L, 1, VALUE_FUNCTION), lua_toboolean(L, -1));

    lua_getglobal(L, "require");
    lua_pushliteral(L, "twistlua.error");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, called ? "AlreadyCalled" : "AlreadyCancelled");
    lua_call(L, 0, 1);
    return lua_error(L);
}

static struct delayed *check_pending(lua_State *L)
{
    struct delayed *call = twl__object_check(L, 1);
    if (!twl_timer_active(timer_of(call))) raise_settled(L);
    return call;
}

static int delayed_cancel(lua_State *L)
{
    struct delayed *call = check_pending(L);

    twl_timer_stop(timer_of(call));
    settle(L, call, lua_upvalueindex(TWL__LIVE), 1, false);
    return 0;
}

/* reset(seconds): due that long from now */
static int delayed_reset(lua_State *L)
{
    struct delayed *call = check_pending(L);
    double delay = luaL_checknumber(L, 2);

    luaL_argcheck(L, twl_timer_start(timer_of(call), delay) == 0, 2,
                  "delay must be a number of seconds, 0 or more");
    return 0;
}

/* delay(seconds): due that much later, or with a negative number earlier, than it was */
static int delayed_delay(lua_State *L)
{
    struct delayed *call = check_pending(L);
    double due = twl_timer_due(timer_of(call)) + luaL_checknumber(L, 2);

    luaL_argcheck(L, twl_timer_start_at(timer_of(call), due) == 0, 2,
                  "delay must be a number of seconds");
    return 0;
}

static int delayed_get_time(lua_State *L)
{
    struct delayed *call = twl__object_check(L, 1);
    lua_pushnumber(L, twl_timer_due(timer_of(call)));
    return 1;
}

static int delayed_active(lua_State *L)
{
    struct delayed *call = twl__object_check(L, 1);
    lua_pushboolean(L, twl_timer_active(timer_of(call)));
    return 1;
}

static int delayed_tostring(lua_State *L)
{
    struct delayed *call = twl__object_check(L, 1);
    const char *state = "pending";

    if (!twl_timer_active(timer_of(call))) {
        lua_getiuservalue(L, 1, VALUE_FUNCTION);
        state = lua_toboolean(L, -1) ? "called" : "cancelled";
    }
    lua_pushfstring(L, "<DelayedCall %p (%s)>", (void *)call, state);
    return 1;
}

/* getDelayedCalls(reactor) -> list of those pending */
static int get_delayed_calls(lua_State *L)
{
    twl__push_anchored(L, &twl__context_of(L)->timers);
    return 1;
}

void twl__open_timer(lua_State *L, twl_context *context)
{
    static const luaL_Reg methods[] = {
        {"cancel", delayed_cancel}, {"reset", delayed_reset},
        {"delay", delayed_delay},   {"getTime", delayed_get_time},
        {"active", delayed_active}, {NULL, NULL},
    };
    static const luaL_Reg metamethods[] = {
        {"__tostring", delayed_tostring},
        {NULL, NULL},
    };
    static const luaL_Reg functions[] = {
        {"callLater", call_later},
        {"getDelayedCalls", get_delayed_calls},
        {NULL, NULL},
    };

    twl__class_new(L, context, &context->timers, "twistlua.DelayedCall",
                   methods, metamethods);
    lua_newtable(L);
    twl__class_functions(L, context, &context->timers, functions);
    lua_setfield(L, -2, "timer");
}
