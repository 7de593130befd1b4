/* SPDX-License-Identifier: MIT
 * runtime_call.c -- functions of scripts that the host calls: a coroutine in Lua, whose Deferred
 * fires one of the engine's for the host.
 * A call is in the list of those under way until it is fired; then in the other one, until a job
 * finds its stages run and frees it. What the registry has for it is the Deferred in Lua, later the
 * Failure. */
#include <stdlib.h>
#include <string.h>

#include "deferred.h"
#include "list.h"
#include "operation.h"

struct call {
    twl_deferred d; /* first */
    struct twl__link link;
    twl_runtime *runtime;
    char *bytes; /* of the result */
    size_t length;
};

struct request {
    struct call *call;
    const char *name;
    const twl_value *arguments;
    size_t count;
};

static void free_call(struct call *call)
{
    twl_runtime *runtime = call->runtime;

    twl__unlink(&call->link);
    twl__runtime_free(runtime, call->bytes, call->length);
    twl__runtime_free(runtime, call, sizeof *call);
}

/* ---- Results ------------------------------------------------------------------------------------- */

static twl_value keep_bytes(struct call *call, twl_value value)
{
    /* One more, so that also an empty string has an address. */
    char *bytes = twl__runtime_alloc(call->runtime, value.as.bytes.length + 1);

    if (!bytes) return twl_failure(TWL_ENOMEM);
    memcpy(bytes, value.as.bytes.data, value.as.bytes.length);
    bytes[value.as.bytes.length] = '\0';
    call->bytes = bytes;
    call->length = value.as.bytes.length + 1;
    return twl_bytes(bytes, value.as.bytes.length);
}

/* Fire the call, and have it freed. */
static void fire(struct call *call, twl_value value)
{
    twl_runtime *runtime = call->runtime;
    twl_context *context = runtime->context;

    twl__unlink(&call->link);
    twl__list_append(&runtime->fired, &call->link);
    twl_reactor_soon(context->reactor, &runtime->release);
    context->entered++;
    twl_deferred_fire(&call->d, value);
    context->entered--;
}

/* settle(result): the last stage of the Deferred in Lua; upvalues are the context and the call */
static int settle(lua_State *L)
{
    struct call *call = lua_touserdata(L, lua_upvalueindex(2));
    twl_context *context = twl__context_of(L);
    lua_State *outer = context->L;
    twl_value value;

    lua_settop(L, 1);
    if (twl__is_failure(L, context, 1)) {
        lua_pushvalue(L, 1);
        value = twl_failure(twl__runtime_keep_error(call->runtime, L));
    } else {
        value = twl__value_at(L, 1);
    }
    if (value.kind == TWL_BYTES) value = keep_bytes(call, value);
    lua_rawsetp(L, LUA_REGISTRYINDEX, call); /* the result, for the Deferred */
    context->L = L;
    fire(call, value);
    context->L = outer;
    return 0;
}

/* forget(call): what the registry has for it; a failure that no stage took care of is told */
static int forget(lua_State *L)
{
    struct call *call = lua_touserdata(L, 1);
    bool failed = twl_deferred_result(&call->d).kind == TWL_FAILURE;

    lua_rawgetp(L, LUA_REGISTRYINDEX, call);
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, call);
    if (failed) twl__report(L, "Unhandled error in a call of the host's");
    return 0;
}

/* ---- Calling --------------------------------------------------------------------------------------- */

/* Push the function called [name]. [-0, +1] */
static void push_function(lua_State *L, const char *name)
{
    const char *dot;

    if (strchr(name, ':')) {
        lua_getglobal(L, "require");
        lua_pushliteral(L, "twistlua.threads.names");
        lua_call(L, 1, 1);
        lua_getfield(L, -1, "find");
        lua_pushstring(L, name);
        lua_call(L, 1, 1);
        return;
    }
    lua_pushglobaltable(L);
    for (; (dot = strchr(name, '.')); name = dot + 1) {
        lua_pushlstring(L, name, (size_t)(dot - name));
        lua_gettable(L, -2);
    }
    lua_getfield(L, -1, name);
}

/* Call the function in a coroutine, and push the Deferred of its result. [-0, +1] */
static void run_task(lua_State *L, const struct request *request)
{
    int top = lua_gettop(L);

    luaL_checkstack(L, (int)request->count + LUA_MINSTACK, "many arguments");
    push_function(L, request->name);
    if (!lua_isfunction(L, -1))
        luaL_error(L, "'%s' is no function", request->name);
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, "twistlua.core");
    lua_getfield(L, -1, "deferred");
    lua_getfield(L, -1, "run");
    lua_replace(L, top + 2);
    lua_settop(L, top + 2);
    lua_insert(L, top + 1);
    for (size_t i = 0; i < request->count; i++)
        twl__push_value(L, &request->arguments[i]);
    lua_call(L, (int)request->count + 1, 1);
}

/* start(request) */
static int start(lua_State *L)
{
    const struct request *request = lua_touserdata(L, 1);

    run_task(L, request);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, request->call);
    lua_getfield(L, -1, "addBoth");
    lua_insert(L, -2);
    lua_pushlightuserdata(L, twl__context_find(L));
    lua_pushlightuserdata(L, request->call);
    lua_pushcclosure(L, settle, 2);
    lua_call(L, 2, 0);
    return 0;
}

/* cancel_task(call) */
static int cancel_task(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, lua_touserdata(L, 1));
    if (!twl__deferred_at(L, 2)) return 0;
    if (!twl__deferred_cancel(L, 2)) return lua_error(L);
    return 0;
}

static int cancel(twl_deferred *d)
{
    struct call *call = (struct call *)(void *)d;

    twl__call(call->runtime->context, cancel_task, call,
              "Error in the canceller of a call");
    return 1; /* the coroutine has the last word */
}

static int call_function(struct request *request)
{
    struct call *call = request->call;
    twl_runtime *runtime = call->runtime;
    int rc;

    twl_deferred_init(&call->d, NULL, cancel, NULL);
    twl__list_append(&runtime->calls, &call->link);
    rc = twl__runtime_try(runtime, start, request);
    if (rc == 0 || twl_deferred_called(&call->d)) return 0;
    twl__call(runtime->context, forget, call, "Beginning a call");
    free_call(call);
    return rc;
}

static int begin(twl_runtime *runtime, struct request *request,
                 twl_deferred **out)
{
    int rc;

    if (!request->name || (request->count && !request->arguments))
        return TWL_EINVAL;
    request->call = twl__runtime_alloc(runtime, sizeof *request->call);
    if (!request->call) return TWL_ENOMEM;
    memset(request->call, 0, sizeof *request->call);
    request->call->runtime = runtime;
    rc = call_function(request);
    if (rc == 0) *out = &request->call->d;
    return rc;
}

int twl_runtime_call(twl_runtime *runtime, const char *name,
                     const twl_value *arguments, size_t count,
                     twl_deferred **out)
{
    struct request request = {NULL, name, arguments, count};
    int rc = twl__runtime_enter(runtime);

    if (rc < 0) return rc;
    return twl__runtime_leave(runtime, begin(runtime, &request, out));
}

/* ---- From other threads ---------------------------------------------------------------------------- */

/* A call on its way: the copies of name and strings stand behind it. malloc's, as posts are. */
struct posted {
    struct request request;
    twl_value arguments[];
};

/* start_posted(posted): who is interested in the result can tell others in Lua */
static int start_posted(lua_State *L)
{
    const struct posted *posted = lua_touserdata(L, 1);

    run_task(L, &posted->request);
    return 0;
}

static void run_posted(twl_runtime *runtime, void *context)
{
    if (runtime->context && !runtime->closing)
        twl__call(runtime->context, start_posted, context,
                  "Unhandled error in a call that was posted");
    free(context);
}

static size_t size_of_bytes(const twl_value *value)
{
    return value->kind == TWL_BYTES ? value->as.bytes.length : 0;
}

static struct posted *copy_call(const struct request *request)
{
    size_t head = sizeof(struct posted) + request->count * sizeof(twl_value);
    size_t size = head + strlen(request->name) + 1;
    struct posted *posted;
    char *place;

    for (size_t i = 0; i < request->count; i++)
        size += size_of_bytes(&request->arguments[i]);
    if (!(posted = malloc(size))) return NULL;
    place = (char *)posted + head;
    posted->request = *request;
    posted->request.arguments = posted->arguments;
    for (size_t i = 0; i < request->count; i++) {
        size_t length = size_of_bytes(&request->arguments[i]);
        posted->arguments[i] = request->arguments[i];
        if (!length) continue;
        posted->arguments[i].as.bytes.data =
            memcpy(place, request->arguments[i].as.bytes.data, length);
        place += length;
    }
    posted->request.name = strcpy(place, request->name);
    return posted;
}

static bool are_values(const twl_value *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (values[i].kind > TWL_POINTER) return false;
    }
    return true;
}

int twl_runtime_post_call(twl_runtime *runtime, const char *name,
                          const twl_value *arguments, size_t count)
{
    struct request request = {NULL, name, arguments, count};
    struct posted *posted;
    int rc;

    if (!name || (count && !arguments) || !are_values(arguments, count))
        return TWL_EINVAL;
    if (!(posted = copy_call(&request))) return TWL_ENOMEM;
    rc = twl_runtime_post(runtime, run_posted, posted);
    if (rc < 0) free(posted);
    return rc;
}

/* ---- The end of calls ------------------------------------------------------------------------------ */

static void release(twl_job *job)
{
    twl_runtime *runtime = TWL__CONTAINER(twl_runtime, release, job);
    struct twl__link *link = runtime->fired.next, *next;

    for (; link != &runtime->fired; link = next) {
        struct call *call = TWL__CONTAINER(struct call, link, link);

        next = link->next;
        if (!twl_deferred_ready(&call->d)) continue; /* a stage holds it up */
        twl__call(runtime->context, forget, call, "Ending a call");
        free_call(call);
    }
}

void twl__runtime_calls_open(twl_runtime *runtime)
{
    twl__list_init(&runtime->calls);
    twl__list_init(&runtime->fired);
    runtime->release.run = release;
}

void twl__runtime_calls_close(twl_runtime *runtime)
{
    while (!twl__list_empty(&runtime->calls)) {
        struct call *call =
            TWL__CONTAINER(struct call, link, runtime->calls.next);
        fire(call, twl_failure(TWL_ECANCELED));
    }
    twl_job_cancel(&runtime->release);
    while (!twl__list_empty(&runtime->fired))
        free_call(TWL__CONTAINER(struct call, link, runtime->fired.next));
}
