/* SPDX-License-Identifier: MIT
 * call.c -- the one door into Lua.
 * No check of the stack's room: events arrive in the frame of the C function that runs the
 * reactor, or of the host, and Lua guarantees each of them LUA_MINSTACK places. */
#include "burst.h"

int twl__try(twl_context *context, lua_CFunction body, void *argument)
{
    lua_State *L = context->L;
    struct twl__frame frame = twl__burst_enter(context->limits, L);
    int status;

    context->entered++;
    lua_pushcfunction(L, twl__failure_handler);
    lua_pushcfunction(L, body);
    lua_pushlightuserdata(L, argument);
    status = lua_pcall(L, 1, 0, -3);
    if (status == LUA_OK && !frame.running &&
        twl__burst_kills(context->limits)) { /* it ended in its last moments */
        lua_pushcfunction(L, twl__burst_raise);
        status = lua_pcall(L, 0, 0, -2);
    }
    context->entered--;
    lua_remove(L, status == LUA_OK ? -1 : -2); /* the handler */
    twl__burst_leave(context->limits, frame);
    return status;
}

bool twl__call(twl_context *context, lua_CFunction body, void *argument,
               const char *what)
{
    if (twl__try(context, body, argument) == LUA_OK) return true;
    twl__report(context->L, what);
    return false;
}
