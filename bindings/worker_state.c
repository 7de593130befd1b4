/* SPDX-License-Identifier: MIT
 * worker_state.c -- the Lua state of a worker's thread: made for its first job, closed at its end.
 * It has the standard libraries and the modules of twistlua, whose context knows that there is no
 * reactor here. Everything runs protected; what cannot even be reported is a lost job. */
#include <lualib.h>
#include <stdlib.h>

#include "sandbox.h"
#include "work.h"

enum { GROWTH_KB = 4096 }; /* a job's garbage that an idle thread may keep */

struct state {
    lua_State *L;
    int settled; /* KiB in use after the last full collection */
};

static const char EXIT_KEY;

/* ---- Making it ----------------------------------------------------------------- */

static int refuse_exit(lua_State *L)
{
    return luaL_error(L, "os.exit: a worker's thread cannot end the process; "
                         "return, and let the reactor's thread do that");
}

/* The original is kept, to be known where it is sent as a function. */
static void replace_exit(lua_State *L)
{
    lua_getglobal(L, "os");
    lua_getfield(L, -1, "exit");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &EXIT_KEY);
    lua_pushcfunction(L, refuse_exit);
    lua_setfield(L, -2, "exit");
    lua_pop(L, 1);
}

/* set_up(job) */
static int set_up(lua_State *L)
{
    const struct twl__job *job = lua_touserdata(L, 1);
    twl_context *context;

    luaL_openlibs(L);
    replace_exit(L);
    luaL_requiref(L, "twistlua", luaopen_twistlua, 0);
    context = twl__context_open(L);
    context->main = job->work.context;
    context->pool = job->workers;
    if (context->main->capabilities)
        twl__sandbox_install(L, context->main->capabilities, true);
    return 0;
}

static struct state *state_of(struct twl__job *job, void **local)
{
    struct state *state = *local;

    if (state) return state;
    if (!(state = calloc(1, sizeof *state))) return NULL;
    if (!(state->L = luaL_newstate())) goto failed;
    lua_pushcfunction(state->L, set_up);
    lua_pushlightuserdata(state->L, job);
    if (lua_pcall(state->L, 1, 0, 0) != LUA_OK) goto failed;
    *local = state;
    return state;
failed:
    twl__worker_state_close(state);
    return NULL;
}

void twl__worker_state_close(void *local)
{
    struct state *state = local;

    if (state->L) lua_close(state->L);
    free(state);
}

/* ---- Running a job --------------------------------------------------------------- */

static void set_paths(lua_State *L, struct twl__parcel *request)
{
    lua_getglobal(L, "package");
    twl__parcel_unpack(L, request);
    lua_setfield(L, 1, "cpath");
    lua_setfield(L, 1, "path");
    lua_settop(L, 0);
}

/* A name is looked up, and os.exit is the one of here. */
static void resolve(lua_State *L)
{
    lua_CFunction original;

    if (lua_type(L, -1) == LUA_TSTRING) {
        lua_getglobal(L, "require");
        lua_pushliteral(L, "twistlua.threads.names");
        lua_call(L, 1, 1);
        lua_getfield(L, -1, "find");
        lua_replace(L, -2);
        lua_insert(L, -2);
        lua_call(L, 1, 1);
        return;
    }
    lua_rawgetp(L, LUA_REGISTRYINDEX, &EXIT_KEY);
    original = lua_tocfunction(L, -1);
    lua_pop(L, 1);
    if (lua_tocfunction(L, -1) != original) return;
    lua_pop(L, 1);
    lua_pushcfunction(L, refuse_exit);
}

/* perform(job) */
static int perform(lua_State *L)
{
    struct twl__job *job = lua_touserdata(L, 1);
    size_t calls;

    lua_settop(L, 0);
    set_paths(L, &job->request);
    for (calls = twl__parcel_unpack_size(&job->request); calls > 0; calls--) {
        twl__parcel_unpack_function(L, &job->request);
        resolve(L);
        lua_call(L, twl__parcel_unpack(L, &job->request), 1);
        twl__parcel_pack(L, &job->result, 1, 1, "the result");
        lua_settop(L, 0);
    }
    return 0;
}

/* describe(job, failure): pack the error and its places; the text of one that cannot be copied */
static int describe(lua_State *L)
{
    struct twl__job *job = lua_touserdata(L, 1);

    lua_getglobal(L, "require");
    lua_pushliteral(L, "twistlua.failure");
    lua_call(L, 1, 1);
    lua_getfield(L, 3, "places");
    twl__failure_value(L, 2);
    lua_replace(L, 3);
    lua_pushvalue(L, 2);
    lua_call(L, 1, 1);
    if (lua_toboolean(L, lua_upvalueindex(1)))
        luaL_tolstring(L, 3, NULL), lua_replace(L, 3);
    twl__parcel_pack(L, &job->result, 3, 2, "the error");
    return 0;
}

/* With the Failure at 1. Returns whether it could be told. */
static bool report(lua_State *L, struct twl__job *job, bool as_text)
{
    twl__parcel_free(&job->result);
    lua_pushboolean(L, as_text);
    lua_pushcclosure(L, describe, 1);
    lua_pushlightuserdata(L, job);
    lua_pushvalue(L, 1);
    if (lua_pcall(L, 2, 0, 0) == LUA_OK) return true;
    lua_settop(L, 1);
    return false;
}

/* A result of many megabytes would else be kept until the next job. */
static void collect(struct state *state)
{
    if (lua_gc(state->L, LUA_GCCOUNT) <= 2 * state->settled + GROWTH_KB) return;
    lua_gc(state->L, LUA_GCCOLLECT);
    state->settled = lua_gc(state->L, LUA_GCCOUNT);
}

void twl__worker_state_run(struct twl__job *job, void **local)
{
    struct state *state = state_of(job, local);
    lua_State *L;

    if (!state) return;
    L = state->L;
    lua_pushcfunction(L, twl__failure_handler);
    lua_pushcfunction(L, perform);
    lua_pushlightuserdata(L, job);
    if (lua_pcall(L, 1, 0, 1) == LUA_OK) {
        job->outcome = JOB_DONE;
    } else {
        lua_replace(L, 1);
        if (report(L, job, false) || report(L, job, true))
            job->outcome = JOB_FAILED;
    }
    lua_settop(L, 0);
    collect(state);
}
