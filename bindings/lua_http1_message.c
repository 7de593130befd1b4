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
    if (length == 0 || (!is_blank(value[0]) && !is_blank(value[length - 1])))
        return;
    while (from < length && is_blank(value[from])) from++;
    while (length > from && is_blank(value[length - 1])) length--;
    lua_pushlstring(L, value + from, length - from);
    lua_replace(L, -2);
}

static bool is_special(const char *key, size_t length)
{
    switch (twl_http1_field(key, length)) {
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
        if (is_special(key, length)) {
            lua_pushboolean(L, true);
            lua_rawseti(L, 1, 0);
        }
        lua_pushvalue(L, -2);
        lua_rawseti(L, 1, (lua_Integer)lua_rawlen(L, 1) + 1);
    }
    lua_rawset(L, 1);
}

/* setField(store, name, value) -> store, which is made where it was false */
static int http1_set_field(lua_State *L)
{
    bool known;

    if (!lua_toboolean(L, 1)) {
        lua_createtable(L, USUAL_FIELDS, USUAL_FIELDS);
        lua_replace(L, 1);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    push_key(L, 2);
    lua_pushvalue(L, -1);
    known = lua_rawget(L, 1) != LUA_TNIL;
    lua_pop(L, 1);
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

/* Write the name as it is spelt usually. */
static char *write_name(char *at, const char *key, size_t length)
{
    int field = twl_http1_field(key, length);

    memcpy(at, key, length);
    if (field != TWL_FIELD_OTHER) {
        memcpy(at, twl_http1_field_name(field), length);
        return at + length;
    }
    for (size_t i = 0; i < length; i++) {
        bool first = i == 0 || at[i - 1] == '-';
        if (first && at[i] >= 'a' && at[i] <= 'z') at[i] = (char)(at[i] - 32);
    }
    return at + length;
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

/* A line of the name and value at the top, written if [at] is not NULL. Returns its length. */
static size_t write_line(lua_State *L, char *at)
{
    size_t name_length, length;
    const char *name = lua_tolstring(L, -2, &name_length);
    const char *value = lua_tolstring(L, -1, &length);

    if (!value) luaL_error(L, "the value of header '%s' is no string", name);
    if (!at) return name_length + length + 4;
    at = write_name(at, name, name_length);
    memcpy(at, ": ", 2);
    memcpy(at + 2, value, length);
    memcpy(at + 2 + length, "\r\n", 2);
    return name_length + length + 4;
}

/* The lines of the name at the top, whose value or list is in the store. [-0, +0] */
static size_t write_lines(lua_State *L, int store, char *at)
{
    size_t length = 0;

    lua_pushvalue(L, -1);
    if (lua_rawget(L, store) != LUA_TTABLE) {
        length = write_line(L, at);
        lua_pop(L, 1);
        return length;
    }
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
        lua_pushvalue(L, -3);
        lua_insert(L, -2);
        length += write_line(L, at ? at + length : NULL);
        lua_pop(L, 2);
    }
    lua_pop(L, 2);
    return length;
}

/* All fields of the store. [-0, +0] */
static size_t write_store(lua_State *L, int store, char *at)
{
    size_t length = 0;

    if (!lua_istable(L, store)) return 0;
    for (lua_Integer i = 1; lua_rawgeti(L, store, i) == LUA_TSTRING; i++) {
        length += write_lines(L, store, at ? at + length : NULL);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return length;
}

static char *append(char *at, const char *bytes, size_t length)
{
    memcpy(at, bytes, length);
    return at + length;
}

/* The lines that say how long the body is and whether the connection goes on. */
struct framing {
    char lines[96];
    size_t length;
};

static void add_literal(struct framing *framing, const char *text)
{
    size_t length = strlen(text);

    memcpy(framing->lines + framing->length, text, length);
    framing->length += length;
}

static void add_number(struct framing *framing, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + number % 10);
    } while (number /= 10);
    memcpy(framing->lines + framing->length, digits + at, sizeof digits - at);
    framing->length += sizeof digits - at;
}

/* [length] and [connection] are indexes, as in message(). */
static void make_framing(lua_State *L, int length, int connection,
                         struct framing *framing)
{
    framing->length = 0;
    if (lua_isinteger(L, length)) {
        add_literal(framing, "Content-Length: ");
        add_number(framing, (uint64_t)lua_tointeger(L, length));
        add_literal(framing, "\r\n");
    } else if (lua_toboolean(L, length)) {
        add_literal(framing, "Transfer-Encoding: chunked\r\n");
    }
    if (lua_toboolean(L, connection)) {
        const char *option = luaL_checkstring(L, connection);
        add_literal(framing, *option == 'c' ? "Connection: close\r\n"
                                            : "Connection: keep-alive\r\n");
    }
}

/* message(start, lines, store, length, connection, body) -> the message
 * start is the start-line without its end; lines are whole lines to come first; length an
 * integer for Content-Length, true for chunked; connection "close" or "keep-alive". */
static int http1_message(lua_State *L)
{
    enum { START = 1, LINES, STORE, LENGTH, CONNECTION, BODY };
    size_t start_length, lines_length, body_length = 0, length;
    struct framing framing;
    const char *start, *lines, *body = "";
    luaL_Buffer out;
    char *at;

    lua_settop(L, BODY);
    start = luaL_checklstring(L, START, &start_length);
    lines = luaL_optlstring(L, LINES, "", &lines_length);
    if (lua_toboolean(L, BODY)) body = luaL_checklstring(L, BODY, &body_length);
    make_framing(L, LENGTH, CONNECTION, &framing);
    length = start_length + 2 + lines_length + write_store(L, STORE, NULL) +
             framing.length + 2 + body_length;
    at = luaL_buffinitsize(L, &out, length);
    at = append(at, start, start_length);
    at = append(at, "\r\n", 2);
    at = append(at, lines, lines_length);
    at += write_store(L, STORE, at);
    at = append(at, framing.lines, framing.length);
    at = append(at, "\r\n", 2);
    append(at, body, body_length);
    luaL_pushresultsize(&out, length);
    return 1;
}

void twl__open_http1_messages(lua_State *L, twl_context *context)
{
    static const luaL_Reg functions[] = {{"setField", http1_set_field},
                                         {"addField", http1_add_field},
                                         {"canonical", http1_canonical},
                                         {"message", http1_message},
                                         {NULL, NULL}};

    twl__set_functions(L, context, functions);
}
