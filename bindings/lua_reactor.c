/* SPDX-License-Identifier: MIT
 * lua_reactor.c -- core.reactor: the loop itself; its policy is in lua/twistlua/reactor.lua. */
#include "burst.h"

static const char SOON_KEY;

static int run_soon(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &SOON_KEY);
    lua_call(L, 0, 0);
    return 0;
}

static void soon_job(twl_job *job)
{
    twl_context *context =
        (twl_context *)(void *)((char *)job - offsetof(twl_context, soon));
    twl__call(context, run_soon, NULL, "Error in a queued call");
}

/* open(backend|nil, run_queue) -> backend's name | nil, message */
static int reactor_open(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    twl_reactor_config config = TWL_REACTOR_CONFIG_INIT;
    int rc;

    config.backend = luaL_optstring(L, 1, NULL);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    if (context->main)
        return luaL_error(L, "a worker's thread has no reactor: it reaches the "
                             "other one by callFromThread and "
                             "blockingCallFromThread of twistlua.threads");
    if (!context->reactor) {
        config.alloc = lua_getallocf(L, &config.alloc_context);
        rc = twl_reactor_open(&config, &context->reactor);
        if (rc < 0) return twl__push_error(L, rc);
    }
    context->soon.run = soon_job;
    lua_settop(L, 2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &SOON_KEY);
    lua_pushstring(L, twl_reactor_backend(context->reactor));
    return 1;
}

static int is_open(lua_State *L)
{
    lua_pushboolean(L, twl__context_of(L)->reactor != NULL);
    return 1;
}

static int backends(lua_State *L)
{
    const char *const *names = twl_reactor_backends();

    lua_newtable(L);
    for (int i = 0; names[i]; i++) {
        lua_pushstring(L, names[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int run_or_step(lua_State *L, bool once)
{
    twl_context *context = twl__context_of(L);
    twl_reactor *reactor = twl__context_reactor(L, context);
    lua_State *outer = context->L;
    double timeout = once ? luaL_optnumber(L, 1, 0.) : 0.;
    struct twl__frame frame;
    int rc;

    luaL_checkstack(L, LUA_MINSTACK, "running the reactor");
    context->L = L;
    context->entered++;
    frame = twl__burst_pause(context->limits);
    rc = once ? twl_reactor_step(reactor, timeout) : twl_reactor_run(reactor);
    twl__burst_go_on(context->limits, frame);
    context->entered--;
    context->L = outer;
    if (rc < 0) return twl__push_error(L, rc);
    lua_pushboolean(L, 1);
    return 1;
}

/* run() -> true | nil, message, name, errno */
static int reactor_run(lua_State *L)
{
    return run_or_step(L, false);
}

/* step(timeout = 0) -> true | nil, message, name, errno */
static int reactor_step(lua_State *L)
{
    return run_or_step(L, true);
}

static int reactor_break(lua_State *L)
{
    twl_reactor_break(twl__context_reactor(L, twl__context_of(L)));
    return 0;
}

static int reactor_seconds(lua_State *L)
{
    lua_pushnumber(L, twl_reactor_seconds(twl__context_of(L)->reactor));
    return 1;
}

/* soon(): have the queue of open() run before the next wait */
static int reactor_soon(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    twl_reactor_soon(twl__context_reactor(L, context), &context->soon);
    return 0;
}

static int libev_version(lua_State *L)
{
    lua_pushstring(L, twl_libev_version());
    return 1;
}

/* report_pending(): tell now what finalizers kept */
static int report_pending(lua_State *L)
{
    twl__report_pending(L);
    return 0;
}

void twl__open_reactor(lua_State *L, twl_context *context)
{
    static const luaL_Reg functions[] = {
        {"open", reactor_open},
        {"isOpen", is_open},
        {"backends", backends},
        {"run", reactor_run},
        {"step", reactor_step},
        {"crash", reactor_break},
        {"seconds", reactor_seconds},
        {"soon", reactor_soon},
        {"libevVersion", libev_version},
        {"reportPending", report_pending},
        {NULL, NULL},
    };

    lua_newtable(L);
    twl__set_functions(L, context, functions);
    lua_setfield(L, -2, "reactor");
}
