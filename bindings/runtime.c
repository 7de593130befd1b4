/* SPDX-License-Identifier: MIT
 * runtime.c -- the life of a host's runtime: opened or attached, entered, closed.
 * See runtime.h for what closing waits for. */
#include "deferred.h"
#include "operation.h"

#include <lualib.h>
#include <string.h>

#include "abi.h"
#include "sandbox.h"
#include "turn.h"

/* ---- Entering ---------------------------------------------------------------------------- */

/* Its address is another one on each thread. */
static _Thread_local char this_thread;

static bool is_owner(const twl_runtime *runtime)
{
#ifdef NDEBUG
    (void)runtime;
    return true;
#else
    return runtime->thread == &this_thread;
#endif
}

static void destroy(twl_runtime *runtime);

int twl__runtime_enter(twl_runtime *runtime)
{
    if (!is_owner(runtime)) return TWL_ETHREAD;
    if (runtime->closing || !runtime->context) return TWL_ECLOSED;
    runtime->context->entered++;
    return 0;
}

int twl__runtime_leave(twl_runtime *runtime, int rc)
{
    if (rc < 0 && !runtime->explained) twl__runtime_keep_code(runtime, rc);
    runtime->explained = false;
    if (!runtime->context) return rc;
    if (--runtime->context->entered == 0 && runtime->closing) destroy(runtime);
    return rc;
}

int twl__runtime_try(twl_runtime *runtime, lua_CFunction body, void *argument)
{
    twl_context *context = runtime->context;

    if (!lua_checkstack(context->L, LUA_MINSTACK)) return TWL_ENOMEM;
    if (twl__try(context, body, argument) == LUA_OK) return 0;
    return twl__runtime_keep_error(runtime, context->L);
}

/* ---- Memory ------------------------------------------------------------------------------ */

void *twl__runtime_alloc(twl_runtime *runtime, size_t size)
{
    return runtime->config.alloc(runtime->config.alloc_context, NULL, 0, size);
}

void twl__runtime_free(twl_runtime *runtime, void *block, size_t size)
{
    if (block)
        runtime->config.alloc(runtime->config.alloc_context, block, size, 0);
}

/* ---- Opening ------------------------------------------------------------------------------ */

static int open_reactor(twl_runtime *runtime)
{
    twl_reactor_config config = TWL_REACTOR_CONFIG_INIT;
    lua_State *L = runtime->context->L;

    config.loop = runtime->config.loop;
    config.backend = runtime->config.backend;
    config.alloc = lua_getallocf(L, &config.alloc_context);
    return twl_reactor_open(&config, &runtime->context->reactor);
}

static void set_path(lua_State *L, const char *path)
{
    if (!path) return;
    lua_getglobal(L, LUA_LOADLIBNAME);
    lua_pushstring(L, path);
    lua_setfield(L, -2, "path");
    if (*path == '\0') {
        lua_pushliteral(L, "");
        lua_setfield(L, -2, "cpath");
    }
    lua_pop(L, 1);
}

/* set_up(runtime) -> code */
static int set_up(lua_State *L)
{
    twl_runtime *runtime = lua_touserdata(L, 1);
    twl_context *context;
    int rc;

    if (!runtime->attached) {
        luaL_openlibs(L);
        set_path(L, runtime->config.path);
    }
    luaL_requiref(L, "twistlua", luaopen_twistlua, 0);
    context = twl__context_open(L);
    if (context->reactor || context->retired || context->main) {
        lua_pushinteger(L, TWL_EALREADY);
        return 1;
    }
    runtime->context = context;
    context->runtime = runtime;
    rc = open_reactor(runtime);
    if (rc == 0) twl__runtime_start_limits(runtime, L);
    if (rc < 0) context->runtime = NULL;
    if (rc == 0 && runtime->capabilities)
        twl__sandbox_install(L, runtime->capabilities, false);
    lua_pushinteger(L, rc);
    return 1;
}

/* With a state: ready it. */
static int complete(twl_runtime *runtime, lua_State *L)
{
    int rc;

    if (!lua_checkstack(L, LUA_MINSTACK)) return TWL_ENOMEM;
    lua_pushcfunction(L, set_up);
    lua_pushlightuserdata(L, runtime);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK)
        rc = (int)lua_tointeger(L, -1);
    else
        rc = TWL_ENOMEM; /* nothing else can go wrong there */
    lua_pop(L, 1);
    return rc;
}

/* A runtime without a state. */
static int make(const twl_config *given, lua_State *L, twl_runtime **out)
{
    twl_config config = TWL_CONFIG_INIT;
    twl_runtime *runtime;
    int rc = twl__config_read(&config, given);

    if (rc < 0) return rc;
    if (L)
        config.alloc = lua_getallocf(L, &config.alloc_context);
    else if (!config.alloc)
        config.alloc = twl__default_alloc;
    runtime = config.alloc(config.alloc_context, NULL, 0, sizeof *runtime);
    if (!runtime) return TWL_ENOMEM;
    memset(runtime, 0, sizeof *runtime);
    runtime->config = config;
    runtime->thread = &this_thread;
    runtime->attached = L != NULL;
    twl__runtime_set_limits(runtime, L);
    twl__runtime_keep_code(runtime, 0);
    twl__runtime_calls_open(runtime);
    *out = runtime;
    return 0;
}

void twl__runtime_dispose(twl_runtime *runtime)
{
    const twl__memory *memory = &runtime->memory;

    twl_capabilities_close(runtime->capabilities);
    twl__runtime_error_free(runtime);
    memory->alloc(memory->alloc_context, runtime, sizeof *runtime, 0);
}

static int permit(twl_runtime *runtime)
{
    const twl_config *config = &runtime->config;

    if (!config->capabilities) return 0;
    return twl_capabilities_open(config->capabilities, config->alloc,
                                 config->alloc_context, NULL, 0,
                                 &runtime->capabilities);
}

int twl_runtime_open(const twl_config *config, twl_runtime **out)
{
    twl_runtime *runtime;
    lua_State *L;
    int rc = make(config, NULL, &runtime);

    if (rc < 0) return rc;
    rc = permit(runtime);
    L = rc < 0 ? NULL
               : lua_newstate(runtime->config.alloc,
                              runtime->config.alloc_context);
    if (rc == 0) rc = L ? complete(runtime, L) : TWL_ENOMEM;
    if (rc < 0) {
        if (L) twl__limits_close_state(&runtime->limits, L);
        twl__runtime_end_limits(runtime, NULL);
        twl__runtime_dispose(runtime);
        return rc;
    }
    *out = runtime;
    return 0;
}

int twl_runtime_attach(lua_State *L, const twl_config *config,
                       twl_runtime **out)
{
    twl_runtime *runtime;
    int rc = make(config, L, &runtime);

    if (rc < 0) return rc;
    rc = permit(runtime);
    if (rc == 0) rc = complete(runtime, L);
    if (rc < 0) {
        if (runtime->context) {
            runtime->context->runtime = NULL;
            runtime->context->capabilities = NULL;
        }
        twl__runtime_end_limits(runtime, L);
        twl__runtime_dispose(runtime);
        return rc;
    }
    *out = runtime;
    return 0;
}

/* ---- Closing ------------------------------------------------------------------------------ */

void twl__runtime_lose_state(twl_runtime *runtime)
{
    runtime->closing = true;
    twl__operations_close(runtime);
    twl__runtime_calls_close(runtime);
    runtime->context = NULL;
}

/* stop_listening(): if there is a reactor module to do that */
static int stop_listening(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, "twistlua.reactor") != LUA_TTABLE) return 0;
    lua_getfield(L, -1, "_stopListening");
    lua_insert(L, -2);
    lua_call(L, 1, 0);
    return 0;
}

/* The order is that of twl_runtime_close() in twistlua.h. */
static void end_scripts(twl_runtime *runtime)
{
    twl_context *context = runtime->context;

    twl__call(context, stop_listening, NULL, "Closing ports");
    twl__call(context, twl__tasks_end, NULL, "Ending coroutines");
    twl__operations_cancel(runtime);
    twl__runtime_calls_close(runtime);
    twl__reactor_run_posts(context->reactor);
    twl__operations_close(runtime);
}

/* The host's state lives on, with objects of ours in it: they keep the reactor's memory, and the
 * runtime's, which counts theirs. */
static void leave_state(twl_runtime *runtime)
{
    twl_context *context = runtime->context;

    context->entered--;
    twl__reactor_retire(context->reactor);
    context->retired = context->reactor;
    context->reactor = NULL;
    context->runtime = NULL;
    context->ended = runtime;
    twl__runtime_end_limits(runtime, context->L);
}

static void destroy(twl_runtime *runtime)
{
    twl_context *context = runtime->context;

    if (!context) { /* the host has closed its state */
        twl__runtime_dispose(runtime);
        return;
    }
    runtime->closing = true;
    context->entered++; /* whoever closes again finds it being done */
    if (lua_checkstack(context->L, LUA_MINSTACK)) end_scripts(runtime);
    if (runtime->attached) {
        leave_state(runtime);
        return;
    }
    twl__limits_close_state(&runtime->limits, context->L);
    twl__runtime_end_limits(runtime, NULL);
    twl__runtime_dispose(runtime);
}

/* On a host's loop, no call of ours is left on the stack but, maybe, one in which the host turns
 * the loop. */
static void finish(void *context)
{
    twl_runtime *runtime = context;

    if (runtime->context->entered == 0) destroy(runtime);
}

void twl_runtime_close(twl_runtime *runtime)
{
    if (!runtime || !is_owner(runtime)) return;
    if (!runtime->context || runtime->context->entered == 0) {
        destroy(runtime);
        return;
    }
    if (runtime->closing) return;
    runtime->closing = true;
    twl_reactor_break(runtime->context->reactor);
    if (runtime->config.loop)
        twl__reactor_at_wait(runtime->context->reactor, finish, runtime);
}

/* ---- Looking -------------------------------------------------------------------------------- */

lua_State *twl_runtime_lua(twl_runtime *runtime)
{
    return runtime->context ? runtime->context->L : NULL;
}

void *twl_runtime_user(const twl_runtime *runtime)
{
    return runtime->config.user;
}
