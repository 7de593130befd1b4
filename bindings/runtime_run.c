/* SPDX-License-Identifier: MIT
 * runtime_run.c -- running scripts and the reactor for a host, whoever owns the loop. */
#include <errno.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "operation.h"
#include "turn.h"

/* ---- Scripts ---------------------------------------------------------------------------------- */

struct chunk {
    twl_runtime *runtime;
    const char *bytes; /* NULL: the file [name] */
    size_t length;
    const char *name;
    bool compiled;
    int error; /* errno of a file that cannot be read */
};

/* A name is shown as it is, but for what luaL_loadbuffer takes for something else. */
static void compile(lua_State *L, const struct chunk *chunk)
{
    const char *name = chunk->name ? chunk->name : "host";

    lua_pushfstring(L, *name == '@' || *name == '=' ? "%s" : "=%s", name);
    if (luaL_loadbufferx(L, chunk->bytes, chunk->length, lua_tostring(L, -1),
                         "t") != LUA_OK)
        lua_error(L);
}

static void compile_file(lua_State *L, struct chunk *chunk)
{
    int status;

    errno = 0;
    status = luaL_loadfilex(L, chunk->name, "t");
    if (status == LUA_ERRFILE) chunk->error = errno ? errno : EIO;
    if (status != LUA_OK) lua_error(L);
}

/* run_chunk(chunk) */
static int run_chunk(lua_State *L)
{
    struct chunk *chunk = lua_touserdata(L, 1);

    if (chunk->bytes)
        compile(L, chunk);
    else
        compile_file(L, chunk);
    chunk->compiled = true;
    lua_call(L, 0, 0);
    return 0;
}

static int load(struct chunk *chunk)
{
    twl_runtime *runtime = chunk->runtime;
    int rc = twl__runtime_try(runtime, run_chunk, chunk);

    if (rc == TWL_ESCRIPT && chunk->error)
        rc = -chunk->error;
    else if (rc == TWL_ESCRIPT && !chunk->compiled)
        rc = TWL_ESYNTAX;
    if (rc < 0) runtime->error.code = rc;
    return rc;
}

int twl_runtime_load(twl_runtime *runtime, const char *bytes, size_t length,
                     const char *name)
{
    struct chunk chunk = {runtime, bytes, length, name, false, 0};
    int rc = twl__runtime_enter(runtime);

    if (rc < 0) return rc;
    return twl__runtime_leave(runtime, bytes ? load(&chunk) : TWL_EINVAL);
}

int twl_runtime_load_file(twl_runtime *runtime, const char *path)
{
    struct chunk chunk = {runtime, NULL, 0, path, false, 0};
    int rc = twl__runtime_enter(runtime);

    if (rc < 0) return rc;
    return twl__runtime_leave(runtime, path ? load(&chunk) : TWL_EINVAL);
}

/* ---- Running ------------------------------------------------------------------------------------ */

/* Push the reactor module, loaded if need be, and its method [name]; call it. [-0, +1] */
static void call_reactor(lua_State *L, const char *name)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "twistlua.reactor");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, name);
    lua_insert(L, -2);
    lua_call(L, 1, 1);
}

static int run_reactor(lua_State *L)
{
    call_reactor(L, "_runForHost");
    return 0;
}

static int run_if_needed(lua_State *L)
{
    call_reactor(L, "_runIfNeeded");
    return 0;
}

static int run(twl_runtime *runtime, lua_CFunction body)
{
    bool outer = runtime->running;
    int rc;

    runtime->running = true;
    rc = twl__runtime_try(runtime, body, NULL);
    runtime->running = outer;
    return rc;
}

int twl_runtime_run(twl_runtime *runtime)
{
    int rc = twl__runtime_enter(runtime);

    if (rc < 0) return rc;
    return twl__runtime_leave(runtime, run(runtime, run_reactor));
}

/* ready_program(path): arg, and modules beside the script first, as in the program */
static int ready_program(lua_State *L)
{
    const char *path = lua_touserdata(L, 1), *slash = strrchr(path, '/');

    lua_createtable(L, 0, 1);
    lua_pushstring(L, path);
    lua_rawseti(L, -2, 0);
    lua_setglobal(L, "arg");
    if (!slash) return 0;
    lua_getglobal(L, LUA_LOADLIBNAME);
    lua_pushlstring(L, path, (size_t)(slash - path));
    lua_getfield(L, -2, "path");
    lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", lua_tostring(L, -2),
                    lua_tostring(L, -2), lua_tostring(L, -1));
    lua_setfield(L, -4, "path");
    return 0;
}

static int run_file(twl_runtime *runtime, const char *path)
{
    struct chunk chunk = {runtime, NULL, 0, path, false, 0};
    bool outer = runtime->running;
    int rc;

    rc = twl__runtime_try(runtime, ready_program, (void *)(uintptr_t)path);
    if (rc < 0) return rc;
    runtime->running = true;
    rc = load(&chunk);
    runtime->running = outer;
    return rc < 0 ? rc : run(runtime, run_if_needed);
}

int twl_runtime_run_file(twl_runtime *runtime, const char *path)
{
    int rc = twl__runtime_enter(runtime);

    if (rc < 0) return rc;
    return twl__runtime_leave(runtime,
                              path ? run_file(runtime, path) : TWL_EINVAL);
}

int twl_runtime_step(twl_runtime *runtime, double timeout, double budget)
{
    int rc = twl__runtime_enter(runtime);

    if (rc < 0) return rc;
    rc = twl__reactor_step(runtime->context->reactor, timeout, budget);
    return twl__runtime_leave(runtime, rc);
}

int twl_runtime_fd(twl_runtime *runtime)
{
    int rc = twl__runtime_enter(runtime);

    if (rc < 0) return rc;
    rc = twl_reactor_fd(runtime->context->reactor);
    return twl__runtime_leave(runtime, rc);
}

int twl_runtime_prepare(twl_runtime *runtime)
{
    int rc = twl__runtime_enter(runtime);

    if (rc < 0) return rc;
    rc = twl_reactor_prepare(runtime->context->reactor);
    return twl__runtime_leave(runtime, rc);
}

double twl_runtime_timeout(twl_runtime *runtime)
{
    double timeout;

    if (twl__runtime_enter(runtime) < 0) return -1.;
    timeout = twl_reactor_timeout(runtime->context->reactor);
    twl__runtime_leave(runtime, 0);
    return timeout;
}

/* ---- Alive ---------------------------------------------------------------------------------------- */

/* is_alive(answer) */
static int is_alive(lua_State *L)
{
    bool *alive = lua_touserdata(L, 1);

    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, "twistlua.reactor") == LUA_TNIL) return 0;
    call_reactor(L, "_isAlive");
    *alive = lua_toboolean(L, -1);
    return 0;
}

bool twl_runtime_alive(twl_runtime *runtime)
{
    bool alive;

    if (twl__runtime_enter(runtime) < 0) return false;
    alive = twl__reactor_has_work(runtime->context->reactor) ||
            twl__operations_pending(runtime) > 0;
    twl__runtime_try(runtime, is_alive, &alive);
    twl__runtime_leave(runtime, 0);
    return alive;
}

/* ---- From other threads --------------------------------------------------------------------------- */

struct post {
    twl_runtime *runtime;
    void (*fn)(twl_runtime *runtime, void *context);
    void *context;
};

static void run_post(void *memory)
{
    struct post post = *(struct post *)memory;
    twl_context *context = post.runtime->context;

    free(memory);
    if (context) context->entered++;
    post.fn(post.runtime, post.context);
    if (context) context->entered--;
}

int twl_runtime_post(twl_runtime *runtime,
                     void (*fn)(twl_runtime *runtime, void *context),
                     void *context)
{
    struct post *post = malloc(sizeof *post); /* as twl_reactor_post() has it */
    int rc;

    if (!post) return TWL_ENOMEM;
    *post = (struct post){runtime, fn, context};
    rc = twl_reactor_post(runtime->context->reactor, run_post, post);
    if (rc < 0) free(post);
    return rc;
}

static int stop_reactor(lua_State *L)
{
    call_reactor(L, "_stopForHost");
    return 0;
}

static void stop(twl_runtime *runtime, void *context)
{
    (void)context;
    if (runtime->context && !runtime->closing)
        twl__call(runtime->context, stop_reactor, NULL, "Stopping the reactor");
}

int twl_runtime_stop(twl_runtime *runtime)
{
    return twl_runtime_post(runtime, stop, NULL);
}

/* ---- What the Lua part asks ------------------------------------------------------------------------- */

/* embedded(): whether there is a host */
static int embedded(lua_State *L)
{
    lua_pushboolean(L, twl__context_of(L)->runtime != NULL);
    return 1;
}

/* closing(): whether the host has closed the runtime, which is not gone yet */
static int closing(lua_State *L)
{
    const twl_runtime *runtime = twl__context_of(L)->runtime;

    lua_pushboolean(L, runtime && runtime->closing);
    return 1;
}

/* mayRun(): whether a script may run the reactor now */
static int may_run(lua_State *L)
{
    const twl_runtime *runtime = twl__context_of(L)->runtime;

    lua_pushboolean(L, !runtime || runtime->running);
    return 1;
}

/* pending(): whether the host is to do something yet */
static int pending(lua_State *L)
{
    const twl_runtime *runtime = twl__context_of(L)->runtime;

    lua_pushboolean(L, runtime && twl__operations_pending(runtime) > 0);
    return 1;
}

/* stopped(): tell the host that the reactor was */
static int stopped(lua_State *L)
{
    twl_runtime *runtime = twl__context_of(L)->runtime;

    if (runtime && runtime->config.on_stop) runtime->config.on_stop(runtime);
    return 0;
}

void twl__runtime_open_run(lua_State *L, twl_context *context)
{
    static const luaL_Reg functions[] = {{"embedded", embedded},
                                         {"mayRun", may_run},
                                         {"closing", closing},
                                         {"pending", pending},
                                         {"stopped", stopped},
                                         {NULL, NULL}};

    lua_getfield(L, -1, "host");
    twl__set_functions(L, context, functions);
    lua_pop(L, 1);
}
