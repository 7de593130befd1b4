/* SPDX-License-Identifier: MIT
 * runtime_error.c -- what went wrong, for hosts: the details of a Failure as plain strings, the
 * last of them kept in the runtime; and the way of failures that nobody handled to the host. */
#include <string.h>

#include "deferred.h"
#include "runtime.h"

enum { KIND, MESSAGE, TRACEBACK, AWAITS, TEXTS };

static const twl_error no_memory = {
    TWL_ENOMEM, "MemoryError", "not enough memory", "", "", ""};

/* A Failure on its way into a twl_error. */
struct description {
    twl_runtime *runtime;
    lua_State *L;
    twl_error error;
    char *texts; /* made last: whoever gets it frees it */
    size_t size;
};

/* ---- Describing ----------------------------------------------------------------------------- */

/* Errors that are no matter of the system's. */
static const struct {
    const char *kind;
    int code;
} CODES[] = {{"CancelledError", TWL_ECANCELED},
             {"AlreadyCalledError", TWL_EALREADY},
             {"TimeoutError", TWL_ETIMEDOUT},
             {"ReactorAlreadyRunning", TWL_EBUSY},
             {"ReactorNotRestartable", TWL_EALREADY}};

static int code_of(lua_Integer errno_value, const char *kind)
{
    enum { LARGEST = 30000 };

    if (errno_value > 0 && errno_value <= LARGEST) return (int)-errno_value;
    for (size_t i = 0; i < sizeof CODES / sizeof CODES[0]; i++) {
        if (strcmp(kind, CODES[i].kind) == 0) return CODES[i].code;
    }
    return TWL_ESCRIPT;
}

/* The texts are the last values on the stack: copy them into one block. */
static int copy_texts(lua_State *L, struct description *description)
{
    const char *texts[TEXTS];
    size_t lengths[TEXTS], size = 0;
    int first = lua_gettop(L) - TEXTS + 1;
    char *to;

    for (int i = 0; i < TEXTS; i++) {
        texts[i] = luaL_checklstring(L, first + i, &lengths[i]);
        size += lengths[i] + 1;
    }
    to = twl__runtime_alloc(description->runtime, size);
    if (!to) return TWL_ENOMEM;
    description->texts = to;
    description->size = size;
    for (int i = 0; i < TEXTS; i++) {
        texts[i] = memcpy(to, texts[i], lengths[i] + 1);
        to += lengths[i] + 1;
    }
    description->error.kind = texts[KIND];
    description->error.message = texts[MESSAGE];
    description->error.traceback = texts[TRACEBACK];
    description->error.awaits = texts[AWAITS];
    return 0;
}

/* Whether what stands at [kind] and behind it is what Lua raises for lack of memory. */
static bool is_memory(lua_State *L, int kind)
{
    return strcmp(luaL_checkstring(L, kind), "string") == 0 &&
           strcmp(luaL_checkstring(L, kind + MESSAGE), "not enough memory") ==
               0;
}

/* describe(description, failure): require("twistlua.failure").describe(failure) */
static int describe(lua_State *L)
{
    struct description *description = lua_touserdata(L, 1);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "twistlua.failure");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "describe");
    lua_pushvalue(L, 2);
    lua_call(L, 1, 1 + TEXTS);
    description->error.code =
        code_of(lua_tointeger(L, -1 - TEXTS), luaL_checkstring(L, -TEXTS));
    if (is_memory(L, -TEXTS)) return luaL_error(L, "no memory");
    if (copy_texts(L, description) < 0) return luaL_error(L, "no memory");
    return 0;
}

/* Describe the Failure or error at the top. [-0, +0] */
static void describe_top(struct description *description)
{
    lua_State *L = description->L;

    description->error = no_memory;
    description->texts = NULL;
    if (!lua_checkstack(L, LUA_MINSTACK)) return;
    lua_pushvalue(L, -1);
    twl__failure_ensure(L);
    lua_pushcfunction(L, describe);
    lua_insert(L, -2);
    lua_pushlightuserdata(L, description);
    lua_insert(L, -2);
    if (lua_pcall(L, 2, 0, 0) == LUA_OK) return;
    lua_pop(L, 1);
    description->error = no_memory;
}

/* ---- The last error --------------------------------------------------------------------------- */

void twl__runtime_error_free(twl_runtime *runtime)
{
    twl__runtime_free(runtime, runtime->texts, runtime->text_size);
    runtime->texts = NULL;
}

int twl__runtime_keep_error(twl_runtime *runtime, lua_State *L)
{
    struct description description = {.runtime = runtime, .L = L};

    describe_top(&description);
    lua_pop(L, 1);
    twl__runtime_error_free(runtime);
    runtime->error = description.error;
    runtime->texts = description.texts;
    runtime->text_size = description.size;
    runtime->explained = true;
    return runtime->error.code;
}

void twl__runtime_keep_code(twl_runtime *runtime, int code)
{
    twl__runtime_error_free(runtime);
    runtime->error = (twl_error){
        code, twl_error_name(code), twl_error_message(code), "", "", ""};
    if (code == 0) runtime->error.kind = runtime->error.message = "";
}

const twl_error *twl_runtime_error(const twl_runtime *runtime)
{
    return &runtime->error;
}

/* ---- Failures that nobody handled --------------------------------------------------------------- */

static void hand_over(twl_runtime *runtime, const twl_error *error)
{
    twl_context *context = runtime->context;

    context->entered++;
    runtime->config.on_unhandled(runtime, error);
    context->entered--;
}

bool twl__runtime_tell(twl_runtime *runtime, lua_State *L, const char *what)
{
    struct description description = {.runtime = runtime, .L = L};

    if (!runtime || !runtime->config.on_unhandled) return false;
    describe_top(&description);
    description.error.what = what;
    hand_over(runtime, &description.error);
    twl__runtime_free(runtime, description.texts, description.size);
    return true;
}

/* unhandled(failure, text|nil): tell the host; false where it does not want to know */
static int unhandled(lua_State *L)
{
    twl_runtime *runtime = twl__context_of(L)->runtime;
    const char *what = luaL_optstring(L, 2, "");

    if (!runtime || !runtime->config.on_unhandled) {
        lua_pushboolean(L, false);
        return 1;
    }
    lua_settop(L, 2);
    lua_pushvalue(L, 1);
    lua_pushboolean(L, twl__runtime_tell(runtime, L, what));
    return 1;
}

void twl__runtime_error_open(lua_State *L, twl_context *context)
{
    static const luaL_Reg functions[] = {{"unhandled", unhandled},
                                         {NULL, NULL}};

    lua_newtable(L);
    twl__set_functions(L, context, functions);
    lua_setfield(L, -2, "host");
}
