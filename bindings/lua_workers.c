/* SPDX-License-Identifier: MIT
 * lua_workers.c -- core.workers: pools of threads, and Lua functions as their work. A pool is
 * anchored while it is open. */
#include <string.h>

#include "work.h"

enum { NAME_SIZE = 16 };

struct pool {
    twl_context *context;
    int slot;
    twl_job forget; /* gives up the anchor of a pool that was closed */
    char name[NAME_SIZE];
};

static twl_workers *workers_of(struct pool *pool)
{
    return (twl_workers *)(void *)(pool + 1);
}

twl_workers *twl__pool_check(lua_State *L, int index)
{
    return workers_of(twl__object_check(L, index));
}

int twl__pool_raise_stopped(lua_State *L)
{
    return twl__raise_error(L, "twistlua.error", "ThreadPoolStopped", NULL);
}

/* ---- Jobs ------------------------------------------------------------------------- */

static void run_job(twl_work *work, void **local)
{
    twl__worker_state_run((struct twl__job *)(void *)work, local);
}

static void release_job(struct twl__work *work)
{
    struct twl__job *job = (struct twl__job *)(void *)work;

    twl__parcel_free(&job->request);
    twl__parcel_free(&job->result);
}

static void push_failure(lua_State *L, struct twl__job *job)
{
    if (job->outcome == JOB_LOST) {
        twl__failure_of_code(L, TWL_ENOMEM);
        return;
    }
    twl__parcel_unpack(L, &job->result);
    lua_insert(L, -2); /* the places, below the error */
    twl__failure_ensure(L);
    lua_insert(L, -2);
    twl__failure_set_places(L, -2);
}

static void push_job(lua_State *L, struct twl__work *work)
{
    struct twl__job *job = (struct twl__job *)(void *)work;

    if (job->outcome != JOB_DONE) {
        push_failure(L, job);
        lua_error(L);
    }
    if (!job->many) {
        twl__parcel_unpack(L, &job->result);
        return;
    }
    lua_newtable(L);
    lua_Integer n = 0;
    for (; job->result.read < job->result.length; n++) {
        twl__parcel_unpack(L, &job->result);
        lua_rawseti(L, -2, n + 1);
    }
    lua_pushinteger(L, n);
    lua_setfield(L, -2, "n");
}

static void pack_paths(lua_State *L, struct twl__parcel *request)
{
    int top = lua_gettop(L);

    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, "package");
    lua_getfield(L, top + 2, "path");
    lua_getfield(L, top + 2, "cpath");
    twl__parcel_pack(L, request, top + 3, 2, "package.path");
    lua_settop(L, top);
}

/* pack_call(job, f, ...) */
static int pack_call(lua_State *L)
{
    struct twl__job *job = lua_touserdata(L, 1);

    pack_paths(L, &job->request);
    twl__parcel_pack_size(L, &job->request, 1);
    twl__parcel_pack_function(L, &job->request, 2);
    twl__parcel_pack(L, &job->request, 3, lua_gettop(L) - 2, "argument %d");
    return 0;
}

/* Pack the call { f, arguments } that is at the top. */
static void pack_listed(lua_State *L, struct twl__parcel *request,
                        lua_Integer number)
{
    enum { CALL = 3, FUNCTION };
    lua_Integer count;
    const char *what;

    if (!lua_istable(L, CALL))
        luaL_error(L, "call %I: a table { f, arguments... } expected",
                   (LUAI_UACINT)number);
    lua_getfield(L, CALL, "n");
    count = lua_isinteger(L, -1) ? lua_tointeger(L, -1)
                                 : (lua_Integer)lua_rawlen(L, CALL);
    lua_pop(L, 1);
    luaL_checkstack(L, (int)count + LUA_MINSTACK, "too many arguments");
    for (lua_Integer i = 1; i <= count; i++) lua_rawgeti(L, CALL, i);
    if (count < 1) lua_pushnil(L);
    twl__parcel_pack_function(L, request, FUNCTION);
    what = lua_pushfstring(L, "call %I, argument %%d", (LUAI_UACINT)number);
    twl__parcel_pack(L, request, FUNCTION + 1, (int)count - 1, what);
}

/* pack_calls(job, list) */
static int pack_calls(lua_State *L)
{
    struct twl__job *job = lua_touserdata(L, 1);
    size_t count = lua_rawlen(L, 2);

    pack_paths(L, &job->request);
    twl__parcel_pack_size(L, &job->request, count);
    for (size_t i = 1; i <= count; i++) {
        lua_settop(L, 2);
        lua_rawgeti(L, 2, (lua_Integer)i);
        pack_listed(L, &job->request, (lua_Integer)i);
    }
    return 0;
}

/* [1] the pool, [2] the Deferred, then what pack(job, ...) takes. */
static int submit(lua_State *L, lua_CFunction pack, bool many)
{
    twl_workers *workers = twl__pool_check(L, 1);
    int count = lua_gettop(L) - 2;
    struct twl__job *job;

    luaL_argcheck(L, twl__deferred_at(L, 2), 2, "Deferred expected");
    job = (struct twl__job *)(void *)twl__work_new(L, twl__context_of(L),
                                                   sizeof *job);
    job->work.base.run = run_job;
    job->work.push = push_job;
    job->work.release = release_job;
    job->workers = workers;
    job->many = many;
    lua_insert(L, 3);
    lua_pushcfunction(L, pack);
    lua_pushlightuserdata(L, job);
    lua_rotate(L, 4, 2);
    if (lua_pcall(L, count + 1, 0, 0) != LUA_OK) {
        release_job(&job->work);
        return lua_error(L);
    }
    return twl__work_add(L, workers, 3, 2);
}

/* pool:submit(deferred, f, ...) -> work | nil, message, name, errno */
static int pool_submit(lua_State *L)
{
    luaL_checkany(L, 3);
    return submit(L, pack_call, false);
}

/* pool:submitMany(deferred, { { f, ... }, ... }): as above */
static int pool_submit_many(lua_State *L)
{
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_settop(L, 3);
    return submit(L, pack_calls, true);
}

/* ---- Pools ------------------------------------------------------------------------ */

static int check_bound(lua_State *L, int index)
{
    lua_Integer bound = luaL_checkinteger(L, index);

    luaL_argcheck(L, bound >= 0 && bound <= 100000, index,
                  "not a number of threads");
    return (int)bound;
}

static void forget_pool(twl_job *job)
{
    struct pool *pool =
        (struct pool *)(void *)((char *)job - offsetof(struct pool, forget));

    twl__release(pool->context->L, &pool->context->pools, &pool->slot);
}

/* open(minimum, maximum, idle, name) -> pool | nil, message, name, errno */
static int workers_open(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    twl_reactor *reactor = twl__context_reactor(L, context);
    twl_workers_config config = TWL_WORKERS_CONFIG_INIT;
    struct pool *pool;
    int rc;

    config.minimum = check_bound(L, 1);
    config.maximum = check_bound(L, 2);
    config.idle = luaL_optnumber(L, 3, config.idle);
    config.leave = twl__worker_state_close;
    pool = twl__object_new(L, &context->pools,
                           sizeof *pool + twl_workers_size(), 0);
    memset(pool, 0, sizeof *pool);
    pool->context = context;
    pool->forget.run = forget_pool;
    strncpy(pool->name, luaL_optstring(L, 4, config.name), NAME_SIZE - 1);
    config.name = pool->name;
    twl_workers_init(workers_of(pool), reactor);
    twl__anchor(L, &context->pools, &pool->slot, -1);
    if ((rc = twl_workers_open(workers_of(pool), &config)) < 0) {
        twl__release(L, &context->pools, &pool->slot);
        return twl__push_error(L, rc);
    }
    return 1;
}

/* pool:resize(minimum, maximum) -> true | nil, message, name, errno */
static int pool_resize(lua_State *L)
{
    twl_workers *workers = twl__pool_check(L, 1);
    int rc = twl_workers_resize(workers, check_bound(L, 2), check_bound(L, 3));

    if (rc < 0) return twl__push_error(L, rc);
    lua_pushboolean(L, 1);
    return 1;
}

/* pool:counts() -> threads, idle, queued, working */
static int pool_counts(lua_State *L)
{
    twl_workers_count count;

    twl_workers_counts(twl__pool_check(L, 1), &count);
    lua_pushinteger(L, count.threads);
    lua_pushinteger(L, count.idle);
    lua_pushinteger(L, count.queued);
    lua_pushinteger(L, count.working);
    return 4;
}

static int pool_is_open(lua_State *L)
{
    lua_pushboolean(L, twl_workers_is_open(twl__pool_check(L, 1)));
    return 1;
}

/* pool:stop(): wait for what has begun; everything is told inside this call. What calls us may be
 * called by the pool, which must stay until that has returned. */
static int pool_stop(lua_State *L)
{
    struct pool *pool = twl__object_check(L, 1);
    twl_context *context = pool->context;
    lua_State *outer = context->L;

    if (!twl_workers_is_open(workers_of(pool))) return 0;
    luaL_checkstack(L, LUA_MINSTACK, "stopping a pool of threads");
    context->L = L;
    twl_workers_close(workers_of(pool));
    context->L = outer;
    twl_reactor_soon(context->reactor, &pool->forget);
    return 0;
}

/* ---- core.workers -------------------------------------------------------------------- */

/* pending() -> the number of jobs that somebody waits for */
static int pending(lua_State *L)
{
    lua_pushinteger(L, twl__context_of(L)->works_pending);
    return 1;
}

void twl__open_workers(lua_State *L, twl_context *context)
{
    static const luaL_Reg methods[] = {
        {"submit", pool_submit},
        {"submitMany", pool_submit_many},
        {"resize", pool_resize},
        {"counts", pool_counts},
        {"isOpen", pool_is_open},
        {"stop", pool_stop},
        {NULL, NULL},
    };
    static const luaL_Reg metamethods[] = {{NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"open", workers_open}, {"pending", pending}, {NULL, NULL}};

    twl__open_work(L, context);
    twl__class_new(L, context, &context->pools, "twistlua.pool", methods,
                   metamethods);
    lua_newtable(L);
    twl__set_functions(L, context, functions);
    twl__open_asks(L, context);
    lua_setfield(L, -2, "workers");
}
