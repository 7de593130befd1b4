/* SPDX-License-Identifier: MIT
 * lua_http1_render.c -- which method of a resource answers a request: that of web/resource.lua. */
#include <string.h>

#include "http_names.h"

int twl__http_push_render(lua_State *L, int resource, int request)
{
    const struct twl__request *ours = twl__request_test(L, request);
    const char *method;

    if (ours && !ours->owns &&
        twl__request_head(ours)->parsed.method_number == TWL_METHOD_GET)
        return member(L, resource, RENDER_GET);
    lua_getfield(L, request, "method");
    method = lua_tostring(L, -1);
    if (!method) return luaL_error(L, "render: a request expected");
    if (strcmp(method, "GET") == 0) {
        lua_pop(L, 1);
        return member(L, resource, RENDER_GET);
    }
    lua_pushfstring(L, "render_%s", method);
    lua_replace(L, -2);
    if (lua_gettable(L, resource) != LUA_TNIL || strcmp(method, "HEAD") != 0)
        return lua_type(L, -1);
    lua_pop(L, 1);
    return member(L, resource, RENDER_GET);
}

static int finish_render(lua_State *L, int status, lua_KContext context)
{
    (void)status, (void)context;
    return lua_gettop(L) - 2;
}

int twl__http1_render(lua_State *L)
{
    lua_settop(L, 2);
    if (twl__http_push_render(L, 1, 2) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_getfield(L, 1, "_unsupported");
    }
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_callk(L, 2, LUA_MULTRET, 0, finish_render);
    return finish_render(L, LUA_OK, 0);
}
