/* SPDX-License-Identifier: MIT
 * call.c -- the one door into Lua.
 * No check of the stack's room: events arrive in the frame of the C function that runs the
 * reactor, or of the host, and Lua guarantees each of them LUA_MINSTACK places. */
#include "context.h"

int twl__try(twl_context *context, lua_CFunction body, void *argument)
{
    lua_State *L = context->L;
    int status;

    context->entered++;
    lua_pushcfunction(L, twl__failure_handler);
    lua_pushcfunction(L, body);
    lua_pushlightuserdata(L, argument);
    status = lua_pcall(L, 1, 0, -3);
    context->entered--;
    lua_remove(L, status == LUA_OK ? -1 : -2); /* the handler */
    return status;
}

bool twl__call(twl_context *context, lua_CFunction body, void *argument,
               const char *what)
{
    if (twl__try(context, body, argument) == LUA_OK) return true;
    twl__report(context->L, what);
    return false;
}
