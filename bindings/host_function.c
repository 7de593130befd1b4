/* SPDX-License-Identifier: MIT
 * host_function.c -- functions of the host's that scripts call: their arguments and results.
 * Nothing that a host's function calls here may raise, since that would jump over its frames:
 * values are looked at without being converted, and what needs memory is pushed protected. What
 * went wrong is raised when the function has returned. */
#include <stdio.h>
#include <string.h>

#include "operation.h"

struct twl_call {
    twl_runtime *runtime;
    lua_State *L;
    const char *name; /* for messages; of the Lua function */
    int arguments;
    int results; /* at the top */
    int code;    /* of twl_call_fail() or of a bad argument; 0: neither */
    char message[200];
};

/* ---- Arguments ---------------------------------------------------------------------------------- */

static int type_of(const twl_call *call, size_t index)
{
    if (index < 1 || index > (size_t)call->arguments) return LUA_TNONE;
    return lua_type(call->L, (int)index);
}

size_t twl_call_count(const twl_call *call)
{
    return (size_t)call->arguments;
}

enum twl_kind twl_call_type(const twl_call *call, size_t index)
{
    switch (type_of(call, index)) {
    case LUA_TNONE:
    case LUA_TNIL: return TWL_NOTHING;
    case LUA_TBOOLEAN: return TWL_BOOLEAN;
    case LUA_TNUMBER:
        return lua_isinteger(call->L, (int)index) ? TWL_INTEGER : TWL_NUMBER;
    case LUA_TSTRING: return TWL_BYTES;
    case LUA_TLIGHTUSERDATA: return TWL_POINTER;
    default: return TWL_OPAQUE;
    }
}

static int bad_argument(twl_call *call, size_t index, const char *expected)
{
    int type = type_of(call, index);

    call->code = TWL_EINVAL;
    snprintf(call->message, sizeof call->message,
             "bad argument #%zu to '%s' (%s expected, got %s)", index,
             call->name, expected,
             type == LUA_TNONE ? "no value" : lua_typename(call->L, type));
    return TWL_EINVAL;
}

int twl_call_boolean(twl_call *call, size_t index, bool *out)
{
    if (type_of(call, index) != LUA_TBOOLEAN)
        return bad_argument(call, index, "boolean");
    *out = lua_toboolean(call->L, (int)index);
    return 0;
}

int twl_call_integer(twl_call *call, size_t index, int64_t *out)
{
    int is = 0;
    lua_Integer value = 0;

    if (type_of(call, index) == LUA_TNUMBER)
        value = lua_tointegerx(call->L, (int)index, &is);
    if (!is) return bad_argument(call, index, "integer");
    *out = value;
    return 0;
}

int twl_call_number(twl_call *call, size_t index, double *out)
{
    if (type_of(call, index) != LUA_TNUMBER)
        return bad_argument(call, index, "number");
    *out = lua_tonumber(call->L, (int)index);
    return 0;
}

int twl_call_string(twl_call *call, size_t index, const char **out,
                    size_t *length)
{
    if (type_of(call, index) != LUA_TSTRING)
        return bad_argument(call, index, "string");
    *out = lua_tolstring(call->L, (int)index, length);
    return 0;
}

/* ---- Results ------------------------------------------------------------------------------------ */

/* push(value) -> it */
static int push(lua_State *L)
{
    twl__push_value(L, lua_touserdata(L, 1));
    return 1;
}

int twl_call_return(twl_call *call, twl_value value)
{
    if (value.kind > TWL_POINTER) return TWL_EINVAL;
    if (!lua_checkstack(call->L, LUA_MINSTACK)) return TWL_ENOMEM;
    lua_pushcfunction(call->L, push);
    lua_pushlightuserdata(call->L, &value);
    if (lua_pcall(call->L, 1, 1, 0) != LUA_OK) {
        lua_pop(call->L, 1);
        return TWL_ENOMEM;
    }
    call->results++;
    return 0;
}

int twl_call_return_operation(twl_call *call, twl_operation operation)
{
    if (!lua_checkstack(call->L, LUA_MINSTACK)) return TWL_ENOMEM;
    if (!twl__operation_push(call->L, call->runtime, operation))
        return TWL_EINVAL;
    call->results++;
    return 0;
}

int twl_call_fail(twl_call *call, int code, const char *message)
{
    call->code = code < 0 ? code : TWL_EINVAL;
    snprintf(call->message, sizeof call->message, "%s",
             message ? message : twl_error_message(call->code));
    return call->code;
}

/* ---- Calling ------------------------------------------------------------------------------------ */

struct function {
    twl_host_fn call;
    char name[]; /* "module.name" */
};

static int raise(lua_State *L, const twl_call *call, int code)
{
    bool explained = call->code == code && call->message[0] != '\0';

    twl__push_error_object(L, code,
                           explained ? call->message : twl_error_message(code));
    return lua_error(L);
}

static int call_function(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    const struct function *function = lua_touserdata(L, lua_upvalueindex(2));
    twl_call call = {.runtime = context->runtime,
                     .L = L,
                     .name = function->name,
                     .arguments = lua_gettop(L)};
    lua_State *outer = context->L;
    int rc;

    if (!call.runtime)
        return luaL_error(L, "%s: the host has closed its runtime", call.name);
    luaL_checkstack(L, LUA_MINSTACK, "calling the host");
    context->entered++;
    context->L = L;
    rc = function->call(call.runtime, &call);
    context->L = outer;
    context->entered--;
    return rc < 0 ? raise(L, &call, rc) : call.results;
}

/* ---- Registering -------------------------------------------------------------------------------- */

struct registration {
    const char *module, *name;
    twl_host_fn call;
};

/* add(registration) */
static int add(lua_State *L)
{
    const struct registration *given = lua_touserdata(L, 1);
    struct function *function;
    size_t length;

    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    luaL_getsubtable(L, -1, given->module);
    lua_pushlightuserdata(L, twl__context_find(L));
    lua_pushfstring(L, "%s.%s", given->module, given->name);
    length = lua_rawlen(L, -1);
    function = lua_newuserdatauv(L, sizeof *function + length + 1, 0);
    function->call = given->call;
    memcpy(function->name, lua_tostring(L, -2), length + 1);
    lua_remove(L, -2);
    lua_pushcclosure(L, call_function, 2);
    lua_setfield(L, -2, given->name);
    return 0;
}

int twl_runtime_register(twl_runtime *runtime, const char *module,
                         const char *name, twl_host_fn fn)
{
    struct registration given = {module, name, fn};
    int rc = twl__runtime_enter(runtime);

    if (rc < 0) return rc;
    rc = TWL_EINVAL;
    if (module && name && fn) rc = twl__runtime_try(runtime, add, &given);
    return twl__runtime_leave(runtime, rc);
}
