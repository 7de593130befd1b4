/* SPDX-License-Identifier: MIT
 * lua_timer.c -- delayed calls: what reactor:callLater() returns.
 * A million of them may wait, so what each takes counts, in memory and for the collector: the
 * userdata is the timer and little more. While a call is pending, two neighbours in the live
 * table, at the place that the timer's slot gives, hold the userdata and the function; its
 * arguments, if there are any, are user values. */
#include "context.h"

enum { ARG_DELAY = 2, ARG_FUNCTION = 3 };
enum { ARGUMENTS_MAX = 60000 }; /* Lua counts user values in 16 bits */

struct delayed {
    int arguments;
    bool called;
};

static twl_timer *timer_of(struct delayed *call)
{
    return (twl_timer *)(void *)(call + 1);
}

static struct delayed *call_of(twl_timer *timer)
{
    return (struct delayed *)(void *)timer - 1;
}

/* Where a timer in [slot] has its userdata; its function is next. */
static int place_of(unsigned slot)
{
    return (int)(2 * slot + 1);
}

/* Nothing waits at [place] of the table [live] any more. Not nil: an array stays one. */
static void vacate(lua_State *L, int live, int place)
{
    lua_pushboolean(L, false);
    lua_rawseti(L, live, place);
    lua_pushboolean(L, false);
    lua_rawseti(L, live, place + 1);
}

static void drop_arguments(lua_State *L, struct delayed *call, int index)
{
    for (int i = 1; i <= call->arguments; i++) {
        lua_pushnil(L);
        lua_setiuservalue(L, index, i);
    }
}

static void on_timer(twl_timer *timer);

/* All calls that are due run in one protected frame; after one that raises, the reactor comes
 * back with the next. A timer that is taken keeps its slot until the next start. */
static int run_due(lua_State *L)
{
    enum { LIVE = 2, USERDATA };
    twl_timer *timer = lua_touserdata(L, 1);
    twl_context *context = twl_timer_context(timer);

    twl__push_live(L, &context->timers);
    for (; timer; timer = twl_timer_next(context->reactor, on_timer)) {
        struct delayed *call = call_of(timer);
        int place = place_of(twl_timer_slot(timer));
        luaL_checkstack(L, call->arguments + 4, "too many arguments");
        lua_rawgeti(L, LIVE, place);
        lua_rawgeti(L, LIVE, place + 1);
        for (int i = 1; i <= call->arguments; i++)
            lua_getiuservalue(L, USERDATA, i);
        call->called = true;
        vacate(L, LIVE, place);
        drop_arguments(L, call, USERDATA);
        lua_call(L, call->arguments, 0);
        lua_settop(L, LIVE);
    }
    return 0;
}

static void on_timer(twl_timer *timer)
{
    twl__call(twl_timer_context(timer), run_due, timer,
              "Unhandled error in a delayed call");
}

static void check_callable(lua_State *L, int index)
{
    if (lua_isfunction(L, index)) return;
    if (luaL_getmetafield(L, index, "__call") == LUA_TNIL)
        luaL_typeerror(L, index, "function");
    lua_pop(L, 1);
}

static struct delayed *new_call(lua_State *L, twl_context *context,
                                int arguments)
{
    struct delayed *call =
        lua_newuserdatauv(L, sizeof *call + twl_timer_size(), arguments);

    *call = (struct delayed){arguments, false};
    twl_timer_init(timer_of(call), twl__context_reactor(L, context), on_timer,
                   context);
    lua_pushvalue(L, lua_upvalueindex(TWL__METATABLE));
    lua_setmetatable(L, -2);
    return call;
}

/* Anchor the userdata at the top, with its function, where its timer will find them. */
static int occupy(lua_State *L, twl_context *context)
{
    enum { LIVE = lua_upvalueindex(TWL__LIVE) };
    int place = place_of(twl_timer_next_slot(context->reactor));

    lua_pushvalue(L, ARG_FUNCTION);
    lua_rawseti(L, LIVE, place + 1); /* both may raise */
    lua_pushvalue(L, -1);
    lua_rawseti(L, LIVE, place);
    return place;
}

/* callLater(reactor, delay, f, ...) -> delayed call */
static int call_later(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    double delay = luaL_checknumber(L, ARG_DELAY);
    int arguments = lua_gettop(L) - ARG_FUNCTION, place, rc;
    struct delayed *call;

    luaL_argcheck(L, delay >= 0. && delay < 1e300, ARG_DELAY,
                  "delay must be a number of seconds, 0 or more");
    check_callable(L, ARG_FUNCTION);
    luaL_argcheck(L, arguments <= ARGUMENTS_MAX, ARG_FUNCTION + 1,
                  "too many arguments");
    call = new_call(L, context, arguments);
    for (int i = 1; i <= arguments; i++) {
        lua_pushvalue(L, ARG_FUNCTION + i);
        lua_setiuservalue(L, -2, i);
    }
    place = occupy(L, context);
    if ((rc = twl_timer_start(timer_of(call), delay)) < 0) {
        vacate(L, lua_upvalueindex(TWL__LIVE), place);
        return luaL_error(L, "%s", twl_error_message(rc));
    }
    return 1;
}

/* Raise AlreadyCalled or AlreadyCancelled of twistlua.error. */
static int raise_settled(lua_State *L, const struct delayed *call)
{
    return twl__raise_error(L, "twistlua.error",
                            call->called ? "AlreadyCalled" : "AlreadyCancelled",
                            NULL);
}

static struct delayed *check_pending(lua_State *L)
{
    struct delayed *call = twl__object_check(L, 1);
    if (!twl_timer_active(timer_of(call))) raise_settled(L, call);
    return call;
}

static int delayed_cancel(lua_State *L)
{
    struct delayed *call = check_pending(L);
    int place = place_of(twl_timer_slot(timer_of(call)));

    twl_timer_stop(timer_of(call));
    vacate(L, lua_upvalueindex(TWL__LIVE), place);
    drop_arguments(L, call, 1);
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

    if (!twl_timer_active(timer_of(call)))
        state = call->called ? "called" : "cancelled";
    lua_pushfstring(L, "<DelayedCall %p (%s)>", (void *)call, state);
    return 1;
}

/* getDelayedCalls(reactor) -> list of those pending */
static int get_delayed_calls(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    size_t count = context->reactor ? twl_timer_count(context->reactor) : 0;
    lua_Integer found = 0;

    lua_newtable(L);
    twl__push_live(L, &context->timers);
    for (size_t i = 0; i < count; i++) {
        const twl_timer *timer = twl_timer_at(context->reactor, i);
        if (twl_timer_context(timer) != context) continue; /* not of Lua */
        lua_rawgeti(L, -1, place_of(twl_timer_slot(timer)));
        lua_rawseti(L, -3, ++found);
    }
    lua_pop(L, 1);
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
