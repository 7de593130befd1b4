/* SPDX-License-Identifier: MIT
 * lua_http1_message.c -- what is sent: fields as they are kept in Lua, and heads made of them.
 *
 * A store of fields is a plain table: its array has the names in lower case, in the order in
 * which they came; under each name stands the value, or a list of values. Only good names and
 * values get into it, so that they may be written as they are. The key 0 is set once there has
 * been one on which the framing, the connection or what is always sent depends. */
#include <string.h>

#include "http.h"

enum { NAME_MAX_LENGTH = 256, USUAL_FIELDS = 2 };

/* ---- Stores of fields -------------------------------------------------------------------- */

/* Push the name at [index] in lower case, or raise. [-0, +1] */
static void push_key(lua_State *L, int index)
{
    char key[NAME_MAX_LENGTH];
    size_t length;
    const char *name = luaL_checklstring(L, index, &length);

    if (length > sizeof key || !twl_http1_is_token(name, length))
        luaL_error(L, "invalid header name '%s'", name);
    for (size_t i = 0; i < length; i++)
        key[i] =
            name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] | 0x20) : name[i];
    lua_pushlstring(L, key, length);
}

static bool is_break(char byte)
{
    return byte == '\r' || byte == '\n' || byte == '\0';
}

/* Push the value with each run of CR, LF and NUL made one space, and other control bytes, which
 * no value may have either, made spaces. [-0, +1] */
static void push_squashed(lua_State *L, const char *value, size_t length)
{
    luaL_Buffer out;
    char *at = luaL_buffinitsize(L, &out, length);
    size_t made = 0;

    for (size_t i = 0; i < length; i++) {
        if (is_break(value[i]) && i > 0 && is_break(value[i - 1])) continue;
        at[made++] = twl_http1_is_value(value + i, 1) ? value[i] : ' ';
    }
    luaL_pushresultsize(&out, made);
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static bool has_blanks(const char *value, size_t length)
{
    return length > 0 && (is_blank(value[0]) || is_blank(value[length - 1]));
}

bool twl__http_is_clean(const char *value, size_t length)
{
    return !has_blanks(value, length) && twl_http1_is_value(value, length);
}

/* Push the value at [index], as it may be sent. [-0, +1] */
static void push_clean(lua_State *L, int index)
{
    size_t length, from = 0;
    const char *value = luaL_checklstring(L, index, &length);

    if (!twl_http1_is_value(value, length)) {
        push_squashed(L, value, length);
        value = lua_tolstring(L, -1, &length);
    } else {
        lua_pushvalue(L, index);
    }
    if (!has_blanks(value, length)) return;
    while (from < length && is_blank(value[from])) from++;
    while (length > from && is_blank(value[length - 1])) length--;
    lua_pushlstring(L, value + from, length - from);
    lua_replace(L, -2);
}

bool twl__http_is_special(int field)
{
    switch (field) {
    case TWL_FIELD_CONTENT_LENGTH:
    case TWL_FIELD_TRANSFER_ENCODING:
    case TWL_FIELD_CONNECTION:
    case TWL_FIELD_DATE:
    case TWL_FIELD_SERVER: return true;
    default: return false;
    }
}

/* The key and value at the top into the store at 1; a new key comes last. [-2, +0] */
static void put(lua_State *L, bool known)
{
    if (!known) {
        size_t length;
        const char *key = lua_tolstring(L, -2, &length);
        if (twl__http_is_special(twl_http1_field(key, length))) {
            lua_pushboolean(L, true);
            lua_rawseti(L, 1, 0);
        }
        lua_pushvalue(L, -2);
        lua_rawseti(L, 1, (lua_Integer)lua_rawlen(L, 1) + 1);
    }
    lua_rawset(L, 1);
}

int twl__http_set_field(lua_State *L)
{
    bool known = false;

    if (!lua_toboolean(L, 1)) {
        push_key(L, 2);
        lua_createtable(L, USUAL_FIELDS, USUAL_FIELDS);
        lua_replace(L, 1);
    } else {
        luaL_checktype(L, 1, LUA_TTABLE);
        push_key(L, 2);
        lua_pushvalue(L, -1);
        known = lua_rawget(L, 1) != LUA_TNIL;
        lua_pop(L, 1);
    }
    push_clean(L, 3);
    put(L, known);
    lua_pushvalue(L, 1);
    return 1;
}

/* addField(store, name, value): one more value of that name */
static int http1_add_field(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    push_key(L, 2);
    push_clean(L, 3);
    lua_pushvalue(L, -2);
    switch (lua_rawget(L, 1)) {
    case LUA_TNIL:
        lua_pop(L, 1);
        put(L, false);
        break;
    case LUA_TTABLE:
        lua_insert(L, -2);
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
        break;
    default:
        lua_createtable(L, 2, 0);
        lua_insert(L, -2);
        lua_rawseti(L, -2, 1);
        lua_insert(L, -2);
        lua_rawseti(L, -2, 2);
        put(L, true);
    }
    return 0;
}

/* ---- Heads ------------------------------------------------------------------------------- */

void twl__out_bytes(struct twl__out *out, const char *bytes, size_t length)
{
    out->length += length;
    if (length > out->room) {
        out->room = 0;
        return;
    }
    memcpy(out->at, bytes, length);
    out->at += length;
    out->room -= length;
}

void twl__out_field(struct twl__out *out, const char *name, size_t name_length,
                    const char *value, size_t length)
{
    twl__out_bytes(out, name, name_length);
    twl__out_bytes(out, ": ", 2);
    twl__out_bytes(out, value, length);
    twl__out_bytes(out, "\r\n", 2);
}

void twl__out_length(struct twl__out *out, uint64_t length)
{
    char line[48] = "Content-Length: ";
    size_t at = sizeof line - 2;

    memcpy(line + at, "\r\n", 2);
    do {
        line[--at] = (char)('0' + length % 10);
    } while (length /= 10);
    twl__out_bytes(out, line, sizeof "Content-Length: " - 1);
    twl__out_bytes(out, line + at, sizeof line - at);
}

static char in_case(char letter, bool upper)
{
    if (upper) return letter >= 'a' && letter <= 'z' ? letter - 32 : letter;
    return letter >= 'A' && letter <= 'Z' ? letter + 32 : letter;
}

void twl__http_write_name(char *at, int field, const char *name, size_t length)
{
    if (field != TWL_FIELD_OTHER) {
        memcpy(at, twl_http1_field_name(field), length);
        return;
    }
    for (size_t i = 0; i < length; i++)
        at[i] = in_case(name[i], i == 0 || name[i - 1] == '-');
}

static void write_name(char *at, const char *key, size_t length)
{
    twl__http_write_name(at, twl_http1_field(key, length), key, length);
}

/* canonical(name) -> name as it is spelt usually */
static int http1_canonical(lua_State *L)
{
    char name[NAME_MAX_LENGTH];
    size_t length;

    push_key(L, 1);
    lua_tolstring(L, -1, &length);
    write_name(name, lua_tostring(L, -1), length);
    lua_pushlstring(L, name, length);
    return 1;
}

/* A line of the name and value at the top. [-0, +0] */
static void out_line(lua_State *L, struct twl__out *out)
{
    size_t name_length, length;
    const char *name = lua_tolstring(L, -2, &name_length);
    const char *value = lua_tolstring(L, -1, &length);
    char *line = out->at;
    bool fits = name_length <= out->room;

    if (!value) luaL_error(L, "the value of header '%s' is no string", name);
    twl__out_field(out, name, name_length, value, length);
    if (fits) write_name(line, name, name_length);
}

/* The lines of the name at the top, whose value or list is in the store. [-0, +0] */
static void out_lines(lua_State *L, int store, struct twl__out *out)
{
    lua_pushvalue(L, -1);
    if (lua_rawget(L, store) != LUA_TTABLE) {
        out_line(L, out);
        lua_pop(L, 1);
        return;
    }
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
        lua_pushvalue(L, -3);
        lua_insert(L, -2);
        out_line(L, out);
        lua_pop(L, 2);
    }
    lua_pop(L, 2);
}

void twl__out_store(lua_State *L, int store, struct twl__out *out)
{
    if (!lua_istable(L, store)) return;
    for (lua_Integer i = 1; lua_rawgeti(L, store, i) == LUA_TSTRING; i++) {
        out_lines(L, store, out);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

enum { START = 1, LINES, STORE, LENGTH, CONNECTION, BODY };

static void out_argument(lua_State *L, int index, struct twl__out *out)
{
    size_t length;
    const char *bytes;

    if (!lua_toboolean(L, index)) return;
    bytes = luaL_checklstring(L, index, &length);
    twl__out_bytes(out, bytes, length);
}

static void out_message(lua_State *L, struct twl__out *out)
{
    out_argument(L, START, out);
    twl__out_text(out, "\r\n");
    out_argument(L, LINES, out);
    twl__out_store(L, STORE, out);
    if (lua_isinteger(L, LENGTH))
        twl__out_length(out, (uint64_t)lua_tointeger(L, LENGTH));
    else if (lua_toboolean(L, LENGTH))
        twl__out_text(out, "Transfer-Encoding: chunked\r\n");
    if (lua_toboolean(L, CONNECTION))
        twl__out_text(out, *luaL_checkstring(L, CONNECTION) == 'c'
                               ? "Connection: close\r\n"
                               : "Connection: keep-alive\r\n");
    twl__out_text(out, "\r\n");
    out_argument(L, BODY, out);
}

/* message(start, lines, store, length, connection, body) -> the message
 * start is the start-line without its end; lines are whole lines to come first; length an
 * integer for Content-Length, true for chunked; connection "close" or "keep-alive". Most are
 * short, and put together in one go; of a longer one the length is known then. */
static int http1_message(lua_State *L)
{
    char bytes[TWL__USUAL_MESSAGE];
    struct twl__out out = {.at = bytes, .room = sizeof bytes};
    luaL_Buffer buffer;

    lua_settop(L, BODY);
    luaL_checkstring(L, START);
    out_message(L, &out);
    if (out.length <= sizeof bytes) {
        lua_pushlstring(L, bytes, out.length);
        return 1;
    }
    out.room = out.length;
    out.length = 0;
    out.at = luaL_buffinitsize(L, &buffer, out.room);
    out_message(L, &out);
    luaL_pushresultsize(&buffer, out.length);
    return 1;
}

void twl__open_http1_messages(lua_State *L, twl_context *context)
{
    static const luaL_Reg functions[] = {{"setField", twl__http_set_field},
                                         {"addField", http1_add_field},
                                         {"canonical", http1_canonical},
                                         {"message", http1_message},
                                         {NULL, NULL}};

    twl__set_functions(L, context, functions);
}
