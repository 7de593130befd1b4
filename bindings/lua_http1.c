/* SPDX-License-Identifier: MIT
 * lua_http1.c -- core.http1: parsing the heads of HTTP/1 messages, limits, and what may stand
 * in a message. */
#include <string.h>

#include "http.h"

enum { FIELDS_MAX = 200 }; /* of a head, unless the limits say otherwise */

struct limits {
    twl_http1_limits limits;
    uint32_t fields;
};

/* ---- Limits ------------------------------------------------------------------------------ */

static uint32_t limit_field(lua_State *L, const char *name, uint32_t otherwise)
{
    lua_Integer value = otherwise;

    if (lua_getfield(L, 1, name) != LUA_TNIL) value = luaL_checkinteger(L, -1);
    if (value < 0 || value > INT32_MAX)
        luaL_error(L, "the limit '%s' must be between 0 and 2147483647", name);
    lua_pop(L, 1);
    return (uint32_t)value;
}

/* limits{line=, head=, trailers=, extension=, body=, fields=} -> limits */
static int http1_limits(lua_State *L)
{
    struct limits limits = {TWL_HTTP1_LIMITS_INIT, FIELDS_MAX};
    struct limits *made;

    luaL_checktype(L, 1, LUA_TTABLE);
    limits.limits.line = limit_field(L, "line", limits.limits.line);
    limits.limits.head = limit_field(L, "head", limits.limits.head);
    limits.limits.trailers = limit_field(L, "trailers", limits.limits.trailers);
    limits.limits.extension =
        limit_field(L, "extension", limits.limits.extension);
    limits.fields = limit_field(L, "fields", limits.fields);
    if (lua_getfield(L, 1, "body") != LUA_TNIL) {
        lua_Number body = luaL_checknumber(L, -1);
        if (!(body >= 0))
            luaL_error(L, "the limit 'body' must not be negative");
        if (body < 9e18) limits.limits.body = (uint64_t)body;
    }
    made =
        twl__object_new(L, &twl__context_of(L)->http_limits, sizeof *made, 0);
    *made = limits;
    return 1;
}

const twl_http1_limits *twl__http_limits(lua_State *L, twl_context *context,
                                         int index, uint32_t *fields)
{
    struct limits *limits;

    *fields = FIELDS_MAX;
    if (lua_isnoneornil(L, index)) return NULL;
    limits = twl__object_of(L, &context->http_limits, index);
    *fields = limits->fields;
    return &limits->limits;
}

/* ---- Parsing ----------------------------------------------------------------------------- */

struct source {
    const char *bytes;
    size_t length;
    const twl_http1_limits *limits;
    uint32_t fields;
};

static int parse_head(const struct twl__parse *parse,
                      const struct source *source, twl_http1_head *head)
{
    if (parse->method < 0)
        return twl_http1_parse_request(source->bytes, source->length,
                                       source->limits, head);
    return twl_http1_parse_response(source->bytes, source->length,
                                    parse->method, source->limits, head);
}

/* Parse on with a head that lives in Lua. [-0, +1] */
static int parse_kept(lua_State *L, const struct twl__parse *parse,
                      const struct source *source, struct twl__head *head)
{
    lua_pushvalue(L, parse->head);
    twl__head_rest_on(L, -1, parse->string);
    head->buffer = source->bytes;
    return parse_head(parse, source, &head->parsed);
}

/* Most messages come in one piece and have few fields: nothing is made for these. */
static int parse_new(lua_State *L, const struct twl__parse *parse,
                     const struct source *source, struct twl__parsed *to)
{
    uint32_t fields = source->fields;
    bool fits = fields <= TWL__USUAL_LINES;
    int rc;

    twl_http1_head_init(&to->head, to->lines, fits ? fields : TWL__USUAL_LINES);
    rc = parse_head(parse, source, &to->head);
    if (rc == TWL_EHTTP_FIELDS && !fits) {
        twl_http1_head_init(&to->head, NULL, 0);
        to->made =
            twl__head_push(L, parse->context, parse->string, &to->head, fields);
        to->made->buffer = source->bytes;
        return parse_head(parse, source, &to->made->parsed);
    }
    if (rc != 0) return rc;
    to->made =
        twl__head_push(L, parse->context, parse->string, &to->head, fields);
    to->made->buffer = source->bytes;
    return 0;
}

int twl__http_parse(lua_State *L, const struct twl__parse *parse,
                    struct twl__parsed *to)
{
    struct source source;
    struct twl__class *heads = &parse->context->http_heads;

    source.bytes = luaL_checklstring(L, parse->string, &source.length);
    luaL_argcheck(L,
                  parse->from >= 1 && (size_t)parse->from <= source.length + 1,
                  2, "no place in the bytes");
    source.bytes += parse->from - 1;
    source.length -= (size_t)parse->from - 1;
    source.limits = parse->limits;
    source.fields = parse->fields;
    to->bytes = source.bytes;
    to->made = NULL;
    if (!lua_toboolean(L, parse->head)) return parse_new(L, parse, &source, to);
    to->made = twl__object_of(L, heads, parse->head);
    return parse_kept(L, parse, &source, to->made);
}

/* Arguments: the bytes, where the message begins, [..., limits, head at limits + 1]. */
static int parse(lua_State *L, int method, int limits)
{
    struct twl__parse parse = {.context = twl__context_of(L),
                               .string = 1,
                               .from = luaL_optinteger(L, 2, 1),
                               .head = limits + 1,
                               .method = method};
    struct twl__parsed parsed;
    int rc;

    lua_settop(L, parse.head);
    parse.limits = twl__http_limits(L, parse.context, limits, &parse.fields);
    rc = twl__http_parse(L, &parse, &parsed);
    if (rc < 0) return twl__http_error(L, rc);
    if (!parsed.made)
        twl__head_push(L, parse.context, parse.string, &parsed.head,
                       parsed.head.count)
            ->buffer = parsed.bytes;
    if (rc == 0)
        lua_pushnil(L);
    else
        lua_pushinteger(L, parse.from + rc);
    return 2;
}

/* request(bytes, from, limits, head)
 *   -> head, next   it is complete
 *    | head, nil   more bytes are needed: pass the head with all of them
 *    | nil, message, name, status */
static int http1_request(lua_State *L)
{
    return parse(L, -1, 3);
}

/* Whether the response is over after [rest] bytes, and the connection is free then. */
static bool is_whole(const twl_http1_head *parsed, size_t rest)
{
    if (!parsed->keep_alive || parsed->upgrade || parsed->status < 200)
        return false;
    if (parsed->body == TWL_BODY_LENGTH)
        return (uint64_t)parsed->content_length == rest;
    return parsed->body == TWL_BODY_NONE && rest == 0;
}

/* response(bytes, from, method, limits, head)
 *   -> head, next, status, body, keepAlive, whole | head, nil | nil, message, name
 * An upgraded connection has no next response. Most come whole, and nothing follows them: then
 * `whole` is the bytes of the body. */
static int http1_response(lua_State *L)
{
    size_t length, rest;
    const char *bytes, *method = luaL_checklstring(L, 3, &length);
    int results = parse(L, twl_http1_method(method, length), 4);
    const twl_http1_head *parsed;

    if (results != 2 || lua_isnil(L, -1)) return results;
    parsed = &((const struct twl__head *)lua_touserdata(L, -2))->parsed;
    bytes = lua_tolstring(L, 1, &length);
    rest = length + 1 - (size_t)lua_tointeger(L, -1);
    lua_pushinteger(L, parsed->status);
    twl__push_body(L, parsed);
    lua_pushboolean(L, parsed->keep_alive && !parsed->upgrade);
    if (!is_whole(parsed, rest)) return 5;
    lua_pushlstring(L, bytes + length - rest, rest);
    return 6;
}

int twl__http_error(lua_State *L, int code)
{
    lua_pushnil(L);
    lua_pushstring(L, twl_error_message(code));
    lua_pushstring(L, twl_error_name(code));
    lua_pushinteger(L, twl_http1_status(code));
    return 4;
}

/* ---- Paths ------------------------------------------------------------------------------- */

static int hex_value(char byte)
{
    if (byte >= '0' && byte <= '9') return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* Push the bytes with %XX decoded; a % that two digits do not follow stays. [-0, +1] */
static void push_decoded(lua_State *L, const char *bytes, size_t length)
{
    luaL_Buffer out;
    size_t made = 0;
    char *at;

    if (!memchr(bytes, '%', length)) {
        lua_pushlstring(L, bytes, length);
        return;
    }
    at = luaL_buffinitsize(L, &out, length);
    for (size_t i = 0; i < length; i++) {
        int high =
            bytes[i] == '%' && i + 2 < length ? hex_value(bytes[i + 1]) : -1;
        int low = high >= 0 ? hex_value(bytes[i + 2]) : -1;
        at[made++] = low >= 0 ? (char)(high << 4 | low) : bytes[i];
        if (low >= 0) i += 2;
    }
    luaL_pushresultsize(&out, made);
}

/* segments(path) -> list of its decoded segments; what follows a ? is no path any more */
static int http1_segments(lua_State *L)
{
    size_t length;
    const char *at = luaL_checklstring(L, 1, &length), *end;
    lua_Integer count = 0;

    end = memchr(at, '?', length);
    if (!end) end = at + length;
    if (at < end && *at == '/') at++;
    lua_createtable(L, 4, 0);
    for (;;) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        const char *stop = slash ? slash : end;
        push_decoded(L, at, (size_t)(stop - at));
        lua_rawseti(L, -2, ++count);
        if (!slash) return 1;
        at = slash + 1;
    }
}

/* decode(text) -> text with %XX decoded */
static int http1_decode(lua_State *L)
{
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);

    push_decoded(L, text, length);
    return 1;
}

/* ---- What may stand in a message --------------------------------------------------------- */

static int ask(lua_State *L, bool (*good)(const char *bytes, size_t length))
{
    size_t length;
    const char *bytes =
        lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &length) : NULL;

    lua_pushboolean(L, bytes && good(bytes, length));
    return 1;
}

static int http1_is_token(lua_State *L)
{
    return ask(L, twl_http1_is_token);
}

static int http1_is_value(lua_State *L)
{
    return ask(L, twl_http1_is_value);
}

static int http1_is_target(lua_State *L)
{
    return ask(L, twl_http1_is_target);
}

static int http1_is_host(lua_State *L)
{
    return ask(L, twl_http1_is_host);
}

/* hasWord(list, word): whether the comma-separated list has the word, given in lower case */
static int http1_has_word(lua_State *L)
{
    size_t length;
    const char *bytes = luaL_checklstring(L, 1, &length);

    lua_pushboolean(L,
                    twl_http1_has_word(bytes, length, luaL_checkstring(L, 2)));
    return 1;
}

/* reason(status) -> standard phrase | nil */
static int http1_reason(lua_State *L)
{
    lua_Integer status = luaL_checkinteger(L, 1);
    const char *reason =
        status >= 100 && status <= 999 ? twl_http1_reason((int)status) : "";

    if (*reason == '\0') return 0;
    lua_pushstring(L, reason);
    return 1;
}

void twl__open_http1(lua_State *L, twl_context *context)
{
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"limits", http1_limits},     {"request", http1_request},
        {"response", http1_response}, {"isToken", http1_is_token},
        {"isValue", http1_is_value},  {"isTarget", http1_is_target},
        {"isHost", http1_is_host},    {"hasWord", http1_has_word},
        {"segments", http1_segments}, {"decode", http1_decode},
        {"reason", http1_reason},     {NULL, NULL},
    };

    twl__class_new(L, context, &context->http_limits, "twistlua.http1.limits",
                   none, none);
    lua_newtable(L);
    twl__set_functions(L, context, functions);
    twl__open_http1_heads(L, context);
    twl__open_http1_bodies(L, context);
    twl__open_http1_messages(L, context);
    twl__open_http1_requests(L, context);
    twl__open_http1_server(L, context);
    twl__open_http1_client(L, context);
    lua_setfield(L, -2, "http1");
}
