/* SPDX-License-Identifier: MIT
 * lua_http1_head.c -- the head of a message: nothing of it becomes a Lua value before it is
 * asked for. */
#include <string.h>
#include <strings.h>

#include "http.h"

enum { VALUE_STRING = 1 };

/* ---- Making ------------------------------------------------------------------------------ */

struct twl__head *twl__head_push(lua_State *L, twl_context *context, int string,
                                 const twl_http1_head *parsed,
                                 uint32_t capacity)
{
    struct twl__head *head =
        twl__object_new(L, &context->http_heads,
                        sizeof *head + capacity * sizeof(twl_http1_line), 1);

    head->buffer = "";
    head->parsed = *parsed;
    head->parsed.lines = head->lines;
    head->parsed.capacity = capacity;
    if (parsed->count > 0)
        memcpy(head->lines, parsed->lines,
               parsed->count * sizeof *parsed->lines);
    twl__head_rest_on(L, -1, string);
    return head;
}

void twl__head_rest_on(lua_State *L, int index, int string)
{
    index = lua_absindex(L, index);
    lua_pushvalue(L, string);
    lua_setiuservalue(L, index, VALUE_STRING);
}

/* ---- Fields ------------------------------------------------------------------------------ */

static struct twl__head *check(lua_State *L)
{
    return twl__object_check(L, 1);
}

/* What is looked for. */
struct wanted {
    const char *name;
    size_t length;
    int field;
};

/* Whether there can be such a field at all. */
static bool look_for(lua_State *L, const twl_http1_head *parsed,
                     struct wanted *wanted)
{
    wanted->name = luaL_checklstring(L, 2, &wanted->length);
    wanted->field = twl_http1_field(wanted->name, wanted->length);
    return parsed->present >> wanted->field & 1;
}

static bool is_wanted(const struct twl__head *head, const twl_http1_line *line,
                      const struct wanted *wanted)
{
    if (line->field != wanted->field) return false;
    if (line->field != TWL_FIELD_OTHER) return true;
    return line->name_length == wanted->length &&
           strncasecmp(head->buffer + line->name, wanted->name,
                       wanted->length) == 0;
}

static void push_value(lua_State *L, const struct twl__head *head,
                       const twl_http1_line *line)
{
    lua_pushlstring(L, head->buffer + line->value, line->value_length);
}

int twl__head_get(lua_State *L, const struct twl__head *head)
{
    struct wanted wanted;

    if (!look_for(L, &head->parsed, &wanted)) return 0;
    for (uint32_t i = head->parsed.count; i-- > 0;) {
        if (!is_wanted(head, &head->lines[i], &wanted)) continue;
        push_value(L, head, &head->lines[i]);
        return 1;
    }
    return 0;
}

int twl__head_get_all(lua_State *L, const struct twl__head *head)
{
    struct wanted wanted;
    lua_Integer found = 0;

    if (!look_for(L, &head->parsed, &wanted)) return 0;
    for (uint32_t i = 0; i < head->parsed.count; i++) {
        if (!is_wanted(head, &head->lines[i], &wanted)) continue;
        if (found == 0) lua_newtable(L);
        push_value(L, head, &head->lines[i]);
        lua_rawseti(L, -2, ++found);
    }
    return found > 0;
}

int twl__head_fields(lua_State *L, const struct twl__head *head)
{
    lua_Integer at = 0;

    lua_createtable(L, (int)head->parsed.count * 2, 0);
    for (uint32_t i = 0; i < head->parsed.count; i++) {
        const twl_http1_line *line = &head->lines[i];
        if (line->forbidden) continue;
        lua_pushlstring(L, head->buffer + line->name, line->name_length);
        lua_rawseti(L, -2, ++at);
        push_value(L, head, line);
        lua_rawseti(L, -2, ++at);
    }
    return 1;
}

/* get(name) -> last value | nil */
static int head_get(lua_State *L)
{
    return twl__head_get(L, check(L));
}

/* getAll(name) -> list of values, in their order | nil */
static int head_get_all(lua_State *L)
{
    return twl__head_get_all(L, check(L));
}

/* fields() -> { name, value, name, value, ... } as sent; in trailers, without those that may not
 * stand there */
static int head_fields(lua_State *L)
{
    return twl__head_fields(L, check(L));
}

/* ---- What else it says ------------------------------------------------------------------- */

enum field {
    METHOD = 1,
    TARGET,
    FORM,
    AUTHORITY,
    MINOR,
    STATUS,
    REASON,
    BODY,
    KEEP_ALIVE,
    UPGRADE,
    EXPECT_CONTINUE,
    COUNT
};

static const char *const FIELDS[] = {
    "method", "target", "form",      "authority", "minor",          "status",
    "reason", "body",   "keepAlive", "upgrade",   "expectContinue", "count"};

static const char *const FORMS[] = {"origin", "absolute", "authority",
                                    "asterisk"};

static void push_slice(lua_State *L, const struct twl__head *head,
                       twl_slice slice)
{
    lua_pushlstring(L, head->buffer + slice.at, slice.length);
}

void twl__push_body(lua_State *L, const twl_http1_head *parsed)
{
    switch (parsed->body) {
    case TWL_BODY_LENGTH: lua_pushinteger(L, parsed->content_length); break;
    case TWL_BODY_CHUNKED: lua_pushliteral(L, "chunked"); break;
    case TWL_BODY_REST: lua_pushliteral(L, "rest"); break;
    default: lua_pushinteger(L, 0); break;
    }
}

static void push_field(lua_State *L, const struct twl__head *head,
                       enum field field)
{
    const twl_http1_head *parsed = &head->parsed;

    switch (field) {
    case METHOD: push_slice(L, head, parsed->method); break;
    case TARGET: push_slice(L, head, parsed->target); break;
    case FORM: lua_pushstring(L, FORMS[parsed->target_form]); break;
    case AUTHORITY: push_slice(L, head, parsed->authority); break;
    case MINOR: lua_pushinteger(L, parsed->minor); break;
    case STATUS: lua_pushinteger(L, parsed->status); break;
    case REASON: push_slice(L, head, parsed->reason); break;
    case BODY: twl__push_body(L, parsed); break;
    case KEEP_ALIVE: lua_pushboolean(L, parsed->keep_alive); break;
    case UPGRADE: lua_pushboolean(L, parsed->upgrade); break;
    case EXPECT_CONTINUE: lua_pushboolean(L, parsed->expect_continue); break;
    case COUNT: lua_pushinteger(L, parsed->count); break;
    }
}

/* As for transports: where a method's name has its function, a field's has its number. */
static int head_index(lua_State *L)
{
    if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TLIGHTUSERDATA)
        push_field(L, lua_touserdata(L, 1),
                   (enum field)(intptr_t)lua_touserdata(L, -1));
    return 1;
}

void twl__open_http1_heads(lua_State *L, twl_context *context)
{
    static const luaL_Reg methods[] = {{"get", head_get},
                                       {"getAll", head_get_all},
                                       {"fields", head_fields},
                                       {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};

    twl__class_new(L, context, &context->http_heads, "twistlua.http1.head",
                   methods, none);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &context->http_heads);
    lua_getfield(L, -1, "__index");
    for (int i = METHOD; i <= COUNT; i++) {
        lua_pushlightuserdata(L, (void *)(intptr_t)i);
        lua_setfield(L, -2, FIELDS[i - 1]);
    }
    lua_pushcclosure(L, head_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
