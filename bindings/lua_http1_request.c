/* SPDX-License-Identifier: MIT
 * lua_http1_request.c -- the requests that a server has got. web/http/request.lua is their class.
 * To make one takes one piece of memory, with the bytes of its head behind it: a table with as many
 * fields would cost as much as all the rest of a short request. */
#include <string.h>
#include <strings.h>

#include "http.h"

enum { VALUE_CHANNEL = 1, VALUE_OWN, VALUES = VALUE_OWN };

static const char MARK, CLASSES_KEY;
static const char STORE_NAME[] = "_store";

/* ---- Making ------------------------------------------------------------------------------ */

void twl__request_push(lua_State *L, const twl_http1_head *parsed,
                       const char *bytes, size_t length, int channel,
                       int metatable)
{
    size_t lines = parsed->count * sizeof *parsed->lines;
    struct twl__request *request;
    struct twl__head *head;
    char *copy;

    request = lua_newuserdatauv(
        L, sizeof *request + sizeof *head + lines + length, VALUES);
    memset(request, 0, offsetof(struct twl__request, said));
    request->mark = &MARK;
    request->code = 200;
    head = (struct twl__head *)(void *)(request + 1);
    copy = (char *)head->lines + lines;
    head->buffer = copy;
    head->parsed = *parsed;
    head->parsed.lines = head->lines;
    memcpy(head->lines, parsed->lines, lines);
    memcpy(copy, bytes, length);
    lua_pushvalue(L, channel);
    lua_setiuservalue(L, -2, VALUE_CHANNEL);
    lua_pushvalue(L, metatable);
    lua_setmetatable(L, -2);
}

struct twl__request *twl__request_test(lua_State *L, int index)
{
    return twl__object_marked(L, index, sizeof(struct twl__request), &MARK);
}

struct twl__request *twl__request_check(lua_State *L, int index)
{
    struct twl__request *request = twl__request_test(L, index);

    if (!request) luaL_typeerror(L, index, "a request");
    return request;
}

/* ---- What it has for itself -------------------------------------------------------------- */

/* Push the member [name] that the request has for itself, or nil. [-0, +1] */
static void push_own(lua_State *L, const struct twl__request *request,
                     int index, const char *name)
{
    if (!request->owns) {
        lua_pushnil(L);
        return;
    }
    lua_getiuservalue(L, index, VALUE_OWN);
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    lua_replace(L, -2);
}

/* The key and value at the top are kept by the request at [index]. [-2, +0] */
static void keep(lua_State *L, struct twl__request *request, int index)
{
    enum { USUAL = 4 };

    if (!request->owns) {
        lua_createtable(L, 0, USUAL);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, index, VALUE_OWN);
        request->owns = true;
    } else {
        lua_getiuservalue(L, index, VALUE_OWN);
    }
    lua_insert(L, -3);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

/* _own(name) -> the member that the request has for itself, or nil */
static int request_own(lua_State *L)
{
    const char *name = luaL_checkstring(L, 2);

    push_own(L, twl__request_check(L, 1), 1, name);
    return 1;
}

/* ---- The fields of the response ---------------------------------------------------------- */

static void make_store(lua_State *L, const struct twl__request *request)
{
    const char *line = request->fields;

    lua_createtable(L, request->count, request->count);
    for (int i = 0; i < request->count; i++) {
        char name[TWL__FIELDS_ROOM];
        size_t length = request->said[i].name_length;
        for (size_t j = 0; j < length; j++)
            name[j] = line[j] >= 'A' && line[j] <= 'Z' ? (char)(line[j] | 0x20)
                                                       : line[j];
        lua_pushlstring(L, name, length);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, i + 1);
        lua_pushlstring(L, line + length + 2,
                        request->said[i].length - length - 4);
        lua_rawset(L, -3);
        line += request->said[i].length;
    }
}

/* What is at the top becomes the store; false: there is none. [-1, +0] */
static void keep_store(lua_State *L, struct twl__request *request, int index)
{
    bool stored = lua_toboolean(L, -1);

    if (stored) luaL_checktype(L, -1, LUA_TTABLE);
    lua_pushstring(L, STORE_NAME);
    lua_insert(L, -2);
    if (!stored) {
        lua_pop(L, 1);
        lua_pushnil(L); /* so that the index asks us again */
    }
    keep(L, request, index);
    request->stored = stored;
    request->count = request->length = 0;
    request->typed = false;
}

void twl__request_push_store(lua_State *L, struct twl__request *request,
                             int index)
{
    index = lua_absindex(L, index);
    if (request->stored) {
        push_own(L, request, index, STORE_NAME);
    } else if (request->count == 0) {
        lua_pushboolean(L, false);
    } else {
        make_store(L, request);
        lua_pushvalue(L, -1);
        keep_store(L, request, index);
    }
}

static bool was_said(const struct twl__request *request, int field,
                     const char *name, size_t length)
{
    const char *line = request->fields;

    for (int i = 0; i < request->count; i++) {
        if (request->said[i].field == field &&
            (field != TWL_FIELD_OTHER ||
             (request->said[i].name_length == length &&
              strncasecmp(line, name, length) == 0)))
            return true;
        line += request->said[i].length;
    }
    return false;
}

/* Add a line to those that are kept as they will be sent. False: it is not so simple. */
static bool say(struct twl__request *request, const char *name,
                size_t name_length, const char *value, size_t length)
{
    size_t whole = name_length + length + 4;
    char *at = request->fields + request->length;
    int field;

    if (request->stored || request->count == TWL__FIELDS_USUAL ||
        name_length > TWL__FIELDS_ROOM || length > TWL__FIELDS_ROOM ||
        whole > (size_t)(TWL__FIELDS_ROOM - request->length))
        return false;
    field = twl_http1_field(name, name_length);
    if (field == TWL_FIELD_OTHER && !twl_http1_is_token(name, name_length))
        return false;
    if (twl__http_is_special(field) ||
        was_said(request, field, name, name_length) ||
        !twl__http_is_clean(value, length))
        return false;
    twl__http_write_name(at, field, name, name_length);
    memcpy(at + name_length, ": ", 2);
    memcpy(at + name_length + 2, value, length);
    memcpy(at + whole - 2, "\r\n", 2);
    request->said[request->count].field = (uint8_t)field;
    request->said[request->count].name_length = (uint8_t)name_length;
    request->said[request->count++].length = (uint8_t)whole;
    request->length = (uint8_t)(request->length + whole);
    if (field == TWL_FIELD_CONTENT_TYPE) request->typed = true;
    return true;
}

/* setHeader(name, value) */
static int request_set_header(lua_State *L)
{
    enum { REQUEST = 4 };
    struct twl__request *request = twl__request_check(L, 1);
    size_t name_length, length;
    const char *name = luaL_checklstring(L, 2, &name_length);
    const char *value = luaL_checklstring(L, 3, &length);

    if (say(request, name, name_length, value, length)) return 0;
    lua_settop(L, 3);
    lua_pushvalue(L, 1);
    twl__request_push_store(L, request, REQUEST);
    lua_replace(L, 1);
    twl__http_set_field(L);
    if (!request->stored) keep_store(L, request, REQUEST);
    return 0;
}

/* ---- The fields of the request ----------------------------------------------------------- */

/* getHeader(name) -> last value | nil */
static int request_get_header(lua_State *L)
{
    return twl__head_get(L, twl__request_head(twl__request_check(L, 1)));
}

/* getHeaders(name) -> list of values, in their order */
static int request_get_headers(lua_State *L)
{
    if (!twl__head_get_all(L, twl__request_head(twl__request_check(L, 1))))
        lua_newtable(L);
    return 1;
}

/* _fields() -> { name, value, name, value, ... } */
static int request_fields(lua_State *L)
{
    return twl__head_fields(L, twl__request_head(twl__request_check(L, 1)));
}

/* ---- Members ----------------------------------------------------------------------------- */

enum member {
    METHOD = 1,
    URI,
    CHANNEL,
    MINOR,
    AUTHORITY,
    BODY,
    EXPECT_CONTINUE,
    /* What may be set: */
    FINISHED,
    MORE,
    CODE,
    STORE
};

static const char *const MEMBERS[] = {
    [METHOD] = "method",
    [URI] = "uri",
    [CHANNEL] = "channel",
    [MINOR] = "_minor",
    [AUTHORITY] = "_authority",
    [BODY] = "_bodyLength",
    [EXPECT_CONTINUE] = "_expectContinue",
    [FINISHED] = "finished",
    [MORE] = "_more",
    [CODE] = "code",
    [STORE] = STORE_NAME,
};

static void push_slice(lua_State *L, const struct twl__head *head,
                       twl_slice slice)
{
    lua_pushlstring(L, head->buffer + slice.at, slice.length);
}

static void push_member(lua_State *L, struct twl__request *request,
                        enum member member)
{
    const struct twl__head *head = twl__request_head(request);

    switch (member) {
    case METHOD: push_slice(L, head, head->parsed.method); break;
    case URI: push_slice(L, head, head->parsed.target); break;
    case CHANNEL: lua_getiuservalue(L, 1, VALUE_CHANNEL); break;
    case MINOR: lua_pushinteger(L, head->parsed.minor); break;
    case AUTHORITY: push_slice(L, head, head->parsed.authority); break;
    case BODY: twl__push_body(L, &head->parsed); break;
    case EXPECT_CONTINUE:
        lua_pushboolean(L, head->parsed.expect_continue);
        break;
    case FINISHED: lua_pushboolean(L, request->finished); break;
    case MORE: lua_pushboolean(L, request->more); break;
    case CODE: lua_pushinteger(L, request->code); break;
    case STORE: twl__request_push_store(L, request, 1); break;
    }
}

/* Set the member to the value at 3; false where the request keeps that for itself. */
static bool set_member(lua_State *L, struct twl__request *request,
                       enum member member)
{
    switch (member) {
    case FINISHED: request->finished = lua_toboolean(L, 3); return true;
    case MORE: request->more = lua_toboolean(L, 3); return true;
    case CODE: {
        lua_Integer code = luaL_checkinteger(L, 3);
        luaL_argcheck(L, code >= 0 && code <= UINT16_MAX, 3,
                      "a status of HTTP expected");
        request->code = (uint16_t)code;
        return true;
    }
    case STORE:
        lua_settop(L, 3);
        keep_store(L, request, 1);
        return true;
    default: return false;
    }
}

enum { ACCESS_CLASS = 2, ACCESS_LATER };

/* Push what the class has under the key at 2, and tell which member of ours it stands for, or 0.
 * [-0, +1] */
static enum member find(lua_State *L)
{
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(ACCESS_CLASS)) != LUA_TLIGHTUSERDATA)
        return 0;
    return (enum member)(intptr_t)lua_touserdata(L, -1);
}

static int keep_computed(lua_State *L, int status, lua_KContext context)
{
    (void)status, (void)context;
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    keep(L, twl__request_check(L, 1), 1);
    return 1;
}

static int request_index(lua_State *L)
{
    struct twl__request *request = twl__request_check(L, 1);
    enum member member;

    if (request->owns) {
        lua_getiuservalue(L, 1, VALUE_OWN);
        lua_pushvalue(L, 2);
        if (lua_rawget(L, -2) != LUA_TNIL) return 1;
        lua_settop(L, 2);
    }
    member = find(L);
    if (member) push_member(L, request, member);
    if (member || !lua_isnil(L, -1)) return 1;
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(ACCESS_LATER)) == LUA_TNIL) return 1;
    lua_replace(L, 3);
    lua_pushvalue(L, 1);
    lua_callk(L, 1, 1, 0, keep_computed);
    return keep_computed(L, LUA_OK, 0);
}

static int request_newindex(lua_State *L)
{
    struct twl__request *request = twl__request_check(L, 1);
    enum member member = find(L);

    if (member && set_member(L, request, member)) return 0;
    lua_settop(L, 3);
    keep(L, request, 1);
    return 0;
}

/* ---- Classes ----------------------------------------------------------------------------- */

/* What the class says, or else what Lua would say. */
static int request_tostring(lua_State *L)
{
    lua_settop(L, 1);
    lua_pushliteral(L, "__tostring");
    if (lua_rawget(L, lua_upvalueindex(ACCESS_CLASS)) != LUA_TNIL) {
        lua_insert(L, 1);
        lua_call(L, 1, 1);
        return 1;
    }
    lua_pushliteral(L, "__name");
    if (lua_rawget(L, lua_upvalueindex(ACCESS_CLASS)) != LUA_TSTRING)
        lua_pushliteral(L, "request");
    lua_pushfstring(L, "%s: %p", lua_tostring(L, -1), lua_topointer(L, 1));
    return 1;
}

/* requestClass(class, later): have requests of `class`. Their members are those of the class;
 * else what the function of that name in `later` makes of the request, which is kept in it. The
 * class is what getmetatable returns, but not what it is: scripts could put a finalizer there. */
static int http1_request_class(lua_State *L)
{
    static const luaL_Reg metamethods[] = {{"__index", request_index},
                                           {"__newindex", request_newindex},
                                           {"__tostring", request_tostring},
                                           {NULL, NULL}};
    enum { METATABLE = 3, UPVALUES = 3 };

    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    lua_newtable(L);
    lua_pushvalue(L, 1);
    lua_setfield(L, METATABLE, "__metatable");
    lua_pushvalue(L, METATABLE);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    luaL_setfuncs(L, metamethods, UPVALUES);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &CLASSES_KEY);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, METATABLE);
    lua_rawset(L, -3);
    return 0;
}

int twl__request_push_metatable(lua_State *L, int index)
{
    int type;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &CLASSES_KEY);
    lua_pushvalue(L, index);
    type = lua_rawget(L, -2);
    lua_replace(L, -2);
    return type;
}

/* The metatables of classes, as long as these live. */
static void make_classes(lua_State *L)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &CLASSES_KEY);
}

/* The members that requests have in C, for their class. [-0, +1] */
static void push_members(lua_State *L, twl_context *context)
{
    static const luaL_Reg methods[] = {{"getHeader", request_get_header},
                                       {"getHeaders", request_get_headers},
                                       {"setHeader", request_set_header},
                                       {"_fields", request_fields},
                                       {"_own", request_own},
                                       {NULL, NULL}};

    lua_newtable(L);
    twl__set_functions(L, context, methods);
    for (int i = METHOD; i <= STORE; i++) {
        lua_pushlightuserdata(L, (void *)(intptr_t)i);
        lua_setfield(L, -2, MEMBERS[i]);
    }
}

void twl__open_http1_requests(lua_State *L, twl_context *context)
{
    static const luaL_Reg functions[] = {{"requestClass", http1_request_class},
                                         {NULL, NULL}};

    make_classes(L);
    twl__set_functions(L, context, functions);
    push_members(L, context);
    lua_setfield(L, -2, "requestMembers");
}
