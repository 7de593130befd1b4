/* SPDX-License-Identifier: MIT
 * lua_http1_service.c -- what an HTTP server looks up once for a connection, and not for each
 * request: limits, and the class of requests. All channels of a factory share it. */
#include "http_names.h"

static const char MARK;

enum { FACTORY_AT = 1, LIMITS_AT, CLASS_AT, METATABLE_AT };

struct twl__service *twl__service_test(lua_State *L, int index)
{
    return twl__object_marked(L, index, sizeof(struct twl__service), &MARK);
}

/* Whether requests of the class are processed as those of sites usually are. */
static bool does_as_sites_do(lua_State *L)
{
    bool same = get(L, CLASS_AT, SITE_PROCESS) != LUA_TNIL &&
                get(L, CLASS_AT, PROCESS) != LUA_TNIL &&
                lua_rawequal(L, -1, -2);

    lua_settop(L, METATABLE_AT);
    return same;
}

/* Whether the service at the top still says what is on the stack. */
static bool is_valid(lua_State *L, const struct twl__service *now)
{
    const struct twl__service *service = twl__service_test(L, -1);
    bool same = service && service->as_sites_do == now->as_sites_do;

    for (int i = FACTORY_AT; same && i <= METATABLE_AT; i++) {
        lua_getiuservalue(L, METATABLE_AT + 1, i);
        same = lua_rawequal(L, -1, i);
        lua_pop(L, 1);
    }
    return same;
}

int twl__http1_service(lua_State *L)
{
    struct twl__service now = {.mark = &MARK}, *service;

    luaL_checktype(L, FACTORY_AT, LUA_TTABLE);
    lua_settop(L, FACTORY_AT);
    get(L, FACTORY_AT, LIMITS);
    now.limits =
        twl__http_limits(L, twl__context_of(L), LIMITS_AT, &now.fields);
    if (get(L, FACTORY_AT, CLASS) != LUA_TTABLE ||
        twl__request_push_metatable(L, CLASS_AT) != LUA_TTABLE)
        luaL_error(L, "requestFactory must be a class of requests");
    now.as_sites_do = does_as_sites_do(L);
    get(L, FACTORY_AT, SERVICE);
    if (is_valid(L, &now)) return 1;
    lua_settop(L, METATABLE_AT);
    lua_pushvalue(L, lua_upvalueindex(SERVICE));
    service = lua_newuserdatauv(L, sizeof *service, TWL__SERVICE_METATABLE);
    *service = now;
    for (int i = FACTORY_AT; i <= METATABLE_AT; i++) {
        lua_pushvalue(L, i);
        lua_setiuservalue(L, -2, i);
    }
    lua_pushvalue(L, -1);
    lua_insert(L, FACTORY_AT + 1);
    lua_rawset(L, FACTORY_AT);
    lua_settop(L, FACTORY_AT + 1);
    return 1;
}
