/* SPDX-License-Identifier: MIT
 * limits.c -- the limits' life, and the soft limit of memory.
 * A collection and the host's function run in a job of the reactor's, where nothing else is on the
 * stack. */
#include "burst.h"

#include <stdint.h>

/* ---- Memory -------------------------------------------------------------------------------- */

/* After a collection, the next is due when there is a quarter more: a script that lives just below
 * its limit would else collect all the time. */
static void set_watch(struct twl__limits *limits, size_t used)
{
    size_t more = used + used / 4;

    limits->memory_watch =
        more > limits->memory_soft ? more : limits->memory_soft;
}

static void collect(struct twl__limits *limits, int times)
{
    lua_State *L = limits->context->L;
    struct twl__frame frame = twl__burst_enter(limits, L); /* of finalizers */

    for (int i = 0; i < times; i++) lua_gc(L, LUA_GCCOLLECT);
    twl__burst_leave(limits, frame);
}

/* When memory runs out, Lua collects garbage by itself, but without the finalizers: what these hold
 * would stay. The second time frees what has been finalized. */
static void collect_all(struct twl__limits *limits)
{
    limits->collecting = true;
    collect(limits, 2);
    limits->collecting = false;
    limits->memory->refused = false;
}

static void look_at_memory(twl_job *job)
{
    struct twl__limits *limits =
        (struct twl__limits *)(void *)((char *)job -
                                       offsetof(struct twl__limits,
                                                memory_job));
    size_t used;

    limits->collecting = true;
    collect(limits, 1);
    limits->collecting = false;
    used = limits->memory->used;
    if (used <= limits->memory_soft) {
        set_watch(limits, used);
        return;
    }
    limits->memory_passed = true; /* until it is below again */
    limits->memory_watch = SIZE_MAX;
    if (limits->on_memory) limits->on_memory(limits->host, used);
}

void twl__limits_check_memory(struct twl__limits *limits)
{
    size_t used;

    if (limits->collecting || limits->context->closed) return;
    if (limits->memory->refused) collect_all(limits);
    used = limits->memory->used;
    if (limits->memory_passed && used <= limits->memory_soft) {
        limits->memory_passed = false;
        limits->memory_watch = limits->memory_soft;
    }
    if (used > limits->memory_watch)
        twl_reactor_soon(limits->context->reactor, &limits->memory_job);
}

/* memory() -> used, peak, limit */
static int memory(lua_State *L)
{
    const struct twl__limits *limits = twl__context_of(L)->limits;
    const twl__memory *counted = limits ? limits->memory : NULL;

    if (!counted) {
        lua_pushinteger(L, (lua_Integer)lua_gc(L, LUA_GCCOUNT) * 1024 +
                               lua_gc(L, LUA_GCCOUNTB));
        return 1;
    }
    lua_pushinteger(L, (lua_Integer)counted->used);
    lua_pushinteger(L, (lua_Integer)counted->peak);
    lua_pushinteger(L, (lua_Integer)counted->limit);
    if (counted->limit == 0) lua_pushnil(L), lua_replace(L, -2);
    return 3;
}

/* ---- Life ---------------------------------------------------------------------------------- */

/* So that the errors have their classes. */
static void load_errors(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "twistlua.error");
    lua_call(L, 1, 0);
}

void twl__limits_start(lua_State *L, twl_context *context,
                       struct twl__limits *limits, bool library)
{
    limits->context = context;
    limits->memory_job.run = look_at_memory;
    limits->memory_watch =
        limits->memory && limits->memory_soft ? limits->memory_soft : SIZE_MAX;
    if (limits->time_limit > 0 || limits->instruction_limit) load_errors(L);
    if (library) twl__base_open(L, context);
    twl__burst_start(limits, L);
    context->limits = limits;
}

void twl__limits_stop(struct twl__limits *limits)
{
    twl_job_cancel(&limits->memory_job);
    twl__alarm_close(&limits->alarm);
}

void twl__limits_close_state(struct twl__limits *limits, lua_State *L)
{
    struct twl__frame frame = {0};

    if (!limits->context) {
        lua_close(L);
        return;
    }
    limits->collecting = true; /* nothing more of that */
    frame = twl__burst_enter(limits, L);
    lua_close(L);
    twl__burst_leave(limits, frame);
}

void twl__open_limits(lua_State *L, twl_context *context)
{
    static const luaL_Reg functions[] = {{"memory", memory}, {NULL, NULL}};

    twl__set_functions(L, context, functions);
}
