/* SPDX-License-Identifier: MIT
 * context.c -- the context's life, and the reporting of errors.
 * The only place of the library that writes to stderr is at its end: where even the log fails. */
#include "runtime.h"
#include "burst.h"

#include <stdio.h>
#include <string.h>

static const char CONTEXT_KEY, REPORTS_KEY;

twl_context *twl__context_find(lua_State *L)
{
    twl_context *context;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &CONTEXT_KEY);
    context = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return context;
}

/* ---- Reporting ------------------------------------------------------------------------ */

/* log.err(failure, what) */
static int log_error(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "twistlua.log");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "err");
    lua_pushvalue(L, 1);
    lua_pushstring(L, lua_touserdata(L, 2));
    lua_call(L, 2, 0);
    return 0;
}

static int describe(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    return 1;
}

/* With no log to tell: the host, or else stderr. */
static void write_last_resort(lua_State *L, const char *what)
{
    const twl_context *context = twl__context_find(L);
    const char *text = NULL;

    if (context && twl__runtime_tell(context->runtime, L, what)) {
        lua_pop(L, 1);
        return;
    }
    if (lua_checkstack(L, LUA_MINSTACK)) {
        lua_pushcfunction(L, describe);
        lua_insert(L, -2);
        if (lua_pcall(L, 1, 1, 0) == LUA_OK) text = lua_tostring(L, -1);
    }
    fprintf(stderr, "%s: %s\n", what, text ? text : "(no message)");
    lua_pop(L, 1);
}

/* [-1, +0] */
static void report(lua_State *L, const char *what)
{
    if (!lua_checkstack(L, LUA_MINSTACK)) {
        write_last_resort(L, what);
        return;
    }
    lua_pushcfunction(L, log_error);
    lua_pushvalue(L, -2);
    lua_pushlightuserdata(L, (void *)(uintptr_t)what);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
        lua_pop(L, 1);
        write_last_resort(L, what);
        return;
    }
    lua_pop(L, 1);
}

/* A burst of its own: what is told of may be that another has passed its limits. */
void twl__report(lua_State *L, const char *what)
{
    struct twl__limits *limits = twl__limits_of(L);
    struct twl__frame paused = twl__burst_pause(limits);
    struct twl__frame frame = twl__burst_enter(limits, L);

    if (limits) twl__memory_lend(limits->memory);
    report(L, what);
    if (limits) twl__memory_take_back(limits->memory);
    twl__burst_leave(limits, frame);
    twl__burst_go_on(limits, paused);
}

void twl__report_later(twl_context *context, lua_State *L, const char *what)
{
    lua_Integer count;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &REPORTS_KEY);
    count = (lua_Integer)lua_rawlen(L, -1);
    lua_pushstring(L, what);
    lua_rawseti(L, -2, count + 1);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, count + 2);
    lua_pop(L, 2);
    if (context->reactor) twl_reactor_soon(context->reactor, &context->reports);
}

void twl__report_pending(lua_State *L)
{
    if (!lua_checkstack(L, 8)) return;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &REPORTS_KEY);
    /* Reporting may add reports: the length is asked anew. */
    for (lua_Integer i = 1; i < (lua_Integer)lua_rawlen(L, -1); i += 2) {
        lua_rawgeti(L, -1, i);
        lua_rawgeti(L, -2, i + 1);
        twl__report(L, lua_tostring(L, -2));
        lua_pop(L, 1);
    }
    for (lua_Integer i = (lua_Integer)lua_rawlen(L, -1); i > 0; i--) {
        lua_pushnil(L);
        lua_rawseti(L, -2, i);
    }
    lua_pop(L, 1);
}

static void report_job(twl_job *job)
{
    twl_context *context =
        (twl_context *)(void *)((char *)job - offsetof(twl_context, reports));
    twl__report_pending(context->L);
}

/* ---- Life ------------------------------------------------------------------------------ */

static int context_gc(lua_State *L)
{
    twl_context *context = lua_touserdata(L, 1);

    twl__report_pending(L);
    context->closed = true;
    if (context->runtime) twl__runtime_lose_state(context->runtime);
    twl_reactor_close(context->reactor);
    twl_reactor_close(context->retired);
    context->reactor = context->retired = NULL;
    if (context->ended) twl__runtime_dispose(context->ended);
    return 0;
}

static twl_context *context_new(lua_State *L)
{
    twl_context *context = lua_newuserdatauv(L, sizeof *context, 0);

    memset(context, 0, sizeof *context);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    context->L = lua_tothread(L, -1);
    lua_pop(L, 1);
    context->reports.run = report_job;
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, context_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushliteral(L, "twistlua.context");
    lua_setfield(L, -2, "__name");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &CONTEXT_KEY);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &REPORTS_KEY);
    return context;
}

/* What talks to the world, with its thirty classes: most of what opening costs. */
static void open_rest(lua_State *L, twl_context *context)
{
    twl__open_watch(L, context);
    twl__open_signal(L, context);
    twl__open_transport(L, context);
    twl__open_listener(L, context);
    twl__open_connector(L, context);
    twl__open_resolver(L, context);
    twl__open_datagram(L, context);
    twl__open_inotify(L, context);
    twl__open_socket(L, context);
    twl__open_tls_context(L, context);
    twl__open_tls_session(L, context);
    twl__open_workers(L, context);
    twl__open_x509(L, context);
    twl__open_http1(L, context);
    twl__open_random(L, context);
    twl__open_coding(L, context);
    twl__open_file(L, context);
    twl__open_pipe(L, context);
    twl__open_process(L, context);
    twl__open_openfile(L, context);
    twl__open_digest(L, context);
    twl__open_websocket(L, context);
}

/* The core's __index(core, name): the first look at a part that is not there opens all of them;
 * there is no __index any more then. */
static int complete_core(lua_State *L)
{
    lua_settop(L, 2);
    lua_pushvalue(L, 1);
    open_rest(L, twl__context_of(L));
    lua_pushnil(L);
    lua_setmetatable(L, 1);
    lua_settop(L, 2);
    lua_rawget(L, 1);
    return 1;
}

static void open_core(lua_State *L, twl_context *context)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_newtable(L);
    lua_pushliteral(L, TWL_VERSION);
    lua_setfield(L, -2, "version");
    twl__open_failure(L, context);
    twl__open_deferred(L, context);
    twl__open_reactor(L, context);
    twl__open_timer(L, context);
    twl__open_channel(L, context);
    twl__runtime_error_open(L, context);
    twl__runtime_open_run(L, context);
    lua_createtable(L, 0, 1);
    lua_pushlightuserdata(L, context);
    lua_pushcclosure(L, complete_core, 1);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "twistlua.core");
    lua_pop(L, 1);
    twl__open_modules(L, context);
}

twl_context *twl__context_open(lua_State *L)
{
    twl_context *context;

    luaL_checkstack(L, 10, "opening twistlua");
    context = twl__context_find(L);
    if (context) return context;
    context = context_new(L);
    open_core(L, context);
    return context;
}

twl_reactor *twl__context_reactor(lua_State *L, twl_context *context)
{
    if (context->retired)
        luaL_error(L, "the reactor is closed: the host has ended its runtime");
    if (!context->reactor)
        luaL_error(L, "the reactor is not open: require 'twistlua.reactor'");
    return context->reactor;
}

void twl__set_functions(lua_State *L, twl_context *context,
                        const luaL_Reg *functions)
{
    lua_pushlightuserdata(L, context);
    luaL_setfuncs(L, functions, 1);
}
