/* SPDX-License-Identifier: MIT
 * lua_http1_client.c -- the two steps of a client that Lua would take longest for: the headers that
 * it is given become lines, and a response tells of itself what it is asked. What has to be decided
 * about, or refused, is left to web/client/request.lua. */
#include "http.h"

/* ---- Headers ------------------------------------------------------------------------------- */

/* Whether the framing, or who is asked for what, depends on it. */
static bool is_special(const char *name, size_t length)
{
    switch (twl_http1_field(name, length)) {
    case TWL_FIELD_HOST:
    case TWL_FIELD_CONNECTION:
    case TWL_FIELD_KEEP_ALIVE:
    case TWL_FIELD_CONTENT_LENGTH:
    case TWL_FIELD_TRANSFER_ENCODING:
    case TWL_FIELD_TE:
    case TWL_FIELD_TRAILER: return true;
    default: return false;
    }
}

static bool is_good_name(lua_State *L, int index)
{
    size_t length;
    const char *name;

    if (lua_type(L, index) != LUA_TSTRING) return false;
    name = lua_tolstring(L, index, &length);
    return twl_http1_is_token(name, length) && !is_special(name, length);
}

/* The line of the name at [name] and the value at the top. Returns false for a bad value. [-0, +0] */
static bool out_line(lua_State *L, int name, struct twl__out *out)
{
    size_t name_length, length;
    const char *bytes = lua_tolstring(L, name, &name_length);
    const char *value = lua_tolstring(L, -1, &length);

    if (!value || !twl_http1_is_value(value, length)) return false;
    twl__out_field(out, bytes, name_length, value, length);
    return true;
}

static bool is_bare_table(lua_State *L, int index)
{
    if (!lua_istable(L, index)) return false;
    if (!lua_getmetatable(L, index)) return true;
    lua_pop(L, 1);
    return false;
}

/* The lines of the name at [name], whose value or list of values is at the top. [-0, +0] */
static bool out_lines(lua_State *L, int name, struct twl__out *out)
{
    bool good = true;

    if (!lua_istable(L, -1)) return out_line(L, name, out);
    if (!is_bare_table(L, -1)) return false;
    for (lua_Integer i = 1; good && lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
        good = out_line(L, name, out);
        lua_pop(L, 1);
    }
    lua_settop(L, name + 1);
    return good;
}

/* Of all headers in the table at 1. */
static bool out_headers(lua_State *L, struct twl__out *out)
{
    enum { NAME = 2 };
    bool good = true;

    lua_settop(L, 1);
    lua_pushnil(L);
    while (good && lua_next(L, 1)) {
        good = is_good_name(L, NAME) && out_lines(L, NAME, out);
        lua_settop(L, NAME);
    }
    return good;
}

/* lines(headers) -> the lines of a table of names and values, or lists of values
 *                 | nil, where one cannot be sent as it is, or has to do with the framing or the
 *                   connection; where the table has a metatable; or the lines are long */
static int http1_lines(lua_State *L)
{
    char bytes[TWL__USUAL_MESSAGE];
    struct twl__out out = {.at = bytes, .room = sizeof bytes};

    if (!is_bare_table(L, 1) || !out_headers(L, &out) ||
        out.length > sizeof bytes)
        return 0;
    lua_pushlstring(L, bytes, out.length);
    return 1;
}

/* ---- Fields that are computed when they are first read --------------------------------------- */

enum { LAZY_CLASS = 2, LAZY_LATER };

static int keep_computed(lua_State *L, int status, lua_KContext context)
{
    (void)status, (void)context;
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_settable(L, 1);
    return 1;
}

static int lazy_index(lua_State *L)
{
    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(LAZY_CLASS)) != LUA_TNIL) return 1;
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(LAZY_LATER)) == LUA_TNIL) return 1;
    lua_replace(L, 3);
    lua_pushvalue(L, 1);
    lua_callk(L, 1, 1, 0, keep_computed);
    return keep_computed(L, LUA_OK, 0);
}

/* lazily(class, later) -> an __index: a member of the class; or what the function of that name in
 * `later` makes of the object, which is kept in it */
static int http1_lazily(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_pushcclosure(L, lazy_index, 3);
    return 1;
}

void twl__open_http1_client(lua_State *L, twl_context *context)
{
    static const luaL_Reg functions[] = {
        {"lines", http1_lines}, {"lazily", http1_lazily}, {NULL, NULL}};

    twl__set_functions(L, context, functions);
}
