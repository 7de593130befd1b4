/* SPDX-License-Identifier: MIT
 * lua_http1_server.c -- what a server does for each request, where nothing is special about it.
 * web/http/channel.lua decides and tells of the fields; here are the steps of which Lua's own share
 * would be the most of a request: the next request is taken from a channel's input, and a short
 * response is written. Whatever is not usual is left to Lua. */
#include <string.h>

#include "http.h"
#include "transport.h"

/* Upvalues: besides the context and the metatables of transports and heads, the names of fields. */
enum upvalue {
    TRANSPORTS = 2,
    HEADS,
    INPUT,
    AT,
    HEAD,
    FACTORY,
    LIMITS,
    CLASS,
    REQUEST,
    CHANNEL,
    METHOD,
    URI,
    MORE,
    CODE,
    STORE,
    FINISHED,
    TRANSPORT,
    KEEP_ALIVE,
    UNREAD,
    SERVING,
    DEADLINE,
    LINES,
    LINES_WITH_TYPE,
    CONTENT_TYPE,
    LOG,
    LAST = LOG
};

static const char *const NAMES[] = {
    [INPUT] = "_input",
    [AT] = "_at",
    [HEAD] = "_head",
    [FACTORY] = "factory",
    [LIMITS] = "limits",
    [CLASS] = "requestFactory",
    [REQUEST] = "_request",
    [CHANNEL] = "channel",
    [METHOD] = "method",
    [URI] = "uri",
    [MORE] = "_more",
    [CODE] = "code",
    [STORE] = "_store",
    [FINISHED] = "finished",
    [TRANSPORT] = "transport",
    [KEEP_ALIVE] = "_keepAlive",
    [UNREAD] = "_unread",
    [SERVING] = "_serving",
    [DEADLINE] = "_deadline",
    [LINES] = "lines",
    [LINES_WITH_TYPE] = "linesWithType",
    [CONTENT_TYPE] = "content-type",
    [LOG] = "log",
};

/* Push the field of the table at [index]. [-0, +1] */
static int get(lua_State *L, int index, enum upvalue name)
{
    lua_pushvalue(L, lua_upvalueindex(name));
    return lua_rawget(L, index);
}

static bool is_set(lua_State *L, int index, enum upvalue name)
{
    bool set;

    get(L, index, name);
    set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return set;
}

/* The value at the top becomes the field. [-1, +0] */
static void set(lua_State *L, int index, enum upvalue name)
{
    lua_pushvalue(L, lua_upvalueindex(name));
    lua_insert(L, -2);
    lua_rawset(L, index);
}

static void set_boolean(lua_State *L, int index, enum upvalue name, bool value)
{
    lua_pushvalue(L, lua_upvalueindex(name));
    lua_pushboolean(L, value);
    lua_rawset(L, index);
}

/* Whether the userdata at the top, which a script may have put there, is of the class. */
static bool is_of(lua_State *L, enum upvalue class)
{
    bool same;

    if (!lua_getmetatable(L, -1)) return false;
    same = lua_rawequal(L, -1, lua_upvalueindex(class));
    lua_pop(L, 1);
    return same;
}

/* ---- Requests ------------------------------------------------------------------------------ */

enum { TAKE_CHANNEL = 1, TAKE_INPUT, TAKE_FACTORY, TAKE_LIMITS, TAKE_HEAD };

/* What of the input, which was looked at from [from] on, is left. */
static void leave_rest(lua_State *L, lua_Integer from, lua_Integer next)
{
    if ((size_t)next > lua_rawlen(L, TAKE_INPUT)) {
        set_boolean(L, TAKE_CHANNEL, INPUT, false);
        next = 1;
    }
    if (next == from) return;
    lua_pushinteger(L, next);
    set(L, TAKE_CHANNEL, AT);
}

/* The fields that each request has; the class has the others. [-0, +1] */
static void push_request(lua_State *L, const struct twl__head *head)
{
    enum { FIELDS = 8, MADE = TAKE_HEAD + 2 };
    const twl_http1_head *parsed = &head->parsed;

    lua_createtable(L, 0, FIELDS);
    lua_pushvalue(L, TAKE_CHANNEL);
    set(L, MADE, CHANNEL);
    lua_pushlstring(L, head->buffer + parsed->method.at, parsed->method.length);
    set(L, MADE, METHOD);
    lua_pushlstring(L, head->buffer + parsed->target.at, parsed->target.length);
    set(L, MADE, URI);
    lua_pushvalue(L, MADE - 1);
    set(L, MADE, HEAD);
    set_boolean(L, MADE, MORE, false);
    if (get(L, TAKE_FACTORY, CLASS) != LUA_TTABLE)
        luaL_error(L, "requestFactory must be a class of requests");
    lua_setmetatable(L, MADE);
}

/* takeRequest(channel) -> request, body   which is its `_request` now; body as in heads
 *                       | false, head     of a request that is not complete: the bytes stay
 *                       | nil, message, name, status */
static int http1_take_request(lua_State *L)
{
    struct twl__parse parse = {.context = twl__context_of(L),
                               .string = TAKE_INPUT,
                               .limits = TAKE_LIMITS,
                               .head = TAKE_HEAD,
                               .method = -1};
    const struct twl__head *head;
    int rc;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    get(L, TAKE_CHANNEL, INPUT);
    if (get(L, TAKE_CHANNEL, FACTORY) != LUA_TTABLE)
        return luaL_error(L, "a channel expected");
    get(L, TAKE_FACTORY, LIMITS);
    get(L, TAKE_CHANNEL, AT);
    parse.from = lua_tointeger(L, -1);
    lua_pop(L, 1);
    get(L, TAKE_CHANNEL, HEAD);
    rc = twl__http_parse(L, &parse);
    if (rc < 0) return twl__http_error(L, rc);
    if (rc == 0) {
        lua_pushboolean(L, false);
        lua_insert(L, -2);
        return 2;
    }
    head = lua_touserdata(L, -1);
    leave_rest(L, parse.from, parse.from + rc);
    if (lua_toboolean(L, TAKE_HEAD)) set_boolean(L, TAKE_CHANNEL, HEAD, false);
    push_request(L, head);
    if (!head->parsed.keep_alive)
        set_boolean(L, TAKE_CHANNEL, KEEP_ALIVE, false);
    lua_pushvalue(L, -1);
    set(L, TAKE_CHANNEL, REQUEST);
    twl__push_body(L, &head->parsed);
    return 2;
}

/* ---- Responses ----------------------------------------------------------------------------- */

enum {
    RESPOND_CHANNEL = 1,
    RESPOND_REQUEST,
    RESPOND_BODY,
    RESPOND_STORE,
    RESPOND_FACTORY
};

/* Whether the head asks for a response as usual: who sent it understands HTTP/1.1, and goes on. */
static bool asks_plainly(lua_State *L, const twl_http1_head *head)
{
    return head->keep_alive && head->minor > 0 &&
           head->method_number != TWL_METHOD_HEAD &&
           (head->body == TWL_BODY_NONE || !is_set(L, RESPOND_CHANNEL, UNREAD));
}

/* Whether there is nothing to decide about the response, and no field speaks of the framing.
 * Leaves the store. */
static bool is_plain(lua_State *L)
{
    const struct twl__head *head;
    bool plain;

    if (lua_type(L, RESPOND_BODY) != LUA_TSTRING ||
        lua_rawlen(L, RESPOND_BODY) == 0 || is_set(L, RESPOND_REQUEST, MORE) ||
        is_set(L, RESPOND_REQUEST, FINISHED) ||
        get(L, RESPOND_REQUEST, HEAD) != LUA_TUSERDATA || !is_of(L, HEADS))
        return false;
    head = lua_touserdata(L, -1);
    if (!asks_plainly(L, &head->parsed)) return false;
    if (get(L, RESPOND_REQUEST, CODE) != LUA_TNIL &&
        lua_tointeger(L, -1) != 200)
        return false;
    lua_settop(L, RESPOND_BODY);
    if (get(L, RESPOND_REQUEST, STORE) != LUA_TTABLE) return true;
    lua_rawgeti(L, RESPOND_STORE, 0);
    plain = !lua_toboolean(L, -1);
    lua_pop(L, 1);
    return plain;
}

static void out_string(lua_State *L, int index, struct twl__out *out)
{
    size_t length;
    const char *bytes = lua_tolstring(L, index, &length);

    if (bytes) twl__out_bytes(out, bytes, length);
}

static void out_response(lua_State *L, struct twl__out *out)
{
    static const char START[] = "HTTP/1.1 200 OK\r\n";
    bool typed = lua_istable(L, RESPOND_STORE) &&
                 get(L, RESPOND_STORE, CONTENT_TYPE) != LUA_TNIL;

    twl__out_bytes(out, START, sizeof START - 1);
    get(L, RESPOND_FACTORY, typed ? LINES : LINES_WITH_TYPE);
    out_string(L, -1, out);
    twl__out_store(L, RESPOND_STORE, out);
    twl__out_length(out, lua_rawlen(L, RESPOND_BODY));
    twl__out_bytes(out, "\r\n", 2);
    out_string(L, RESPOND_BODY, out);
    lua_settop(L, RESPOND_FACTORY);
}

/* The transport of the channel, where that is one of ours. [-0, +1] */
static struct twl__transport *transport_of(lua_State *L)
{
    if (get(L, RESPOND_CHANNEL, TRANSPORT) != LUA_TUSERDATA ||
        !is_of(L, TRANSPORTS))
        return NULL;
    return lua_touserdata(L, -1);
}

/* Whether the channel may go on with the next request by itself. A handler that has made it wait
 * has marked its request as special. */
static bool is_over(lua_State *L)
{
    return is_set(L, RESPOND_CHANNEL, SERVING) &&
           !is_set(L, RESPOND_FACTORY, LOG);
}

/* respond(channel, request, body) -> nil     it is not plain, or too long: nothing was done
 *                                  | false   it is written
 *                                  | true    likewise, and there is nothing else to do */
static int http1_respond(lua_State *L)
{
    char bytes[TWL__USUAL_MESSAGE];
    struct twl__out out = {.at = bytes, .room = sizeof bytes};
    struct twl__transport *transport;
    bool over;

    lua_settop(L, RESPOND_BODY);
    luaL_checktype(L, RESPOND_CHANNEL, LUA_TTABLE);
    luaL_checktype(L, RESPOND_REQUEST, LUA_TTABLE);
    if (!is_plain(L) || get(L, RESPOND_CHANNEL, FACTORY) != LUA_TTABLE ||
        !(transport = transport_of(L)))
        return 0;
    out_response(L, &out);
    if (out.length > sizeof bytes ||
        !twl__transport_write_few(transport, bytes, out.length))
        return 0;
    set_boolean(L, RESPOND_REQUEST, FINISHED, true);
    over = is_over(L);
    if (over) {
        set_boolean(L, RESPOND_CHANNEL, REQUEST, false);
        if (is_set(L, RESPOND_CHANNEL, DEADLINE))
            set_boolean(L, RESPOND_CHANNEL, DEADLINE, false);
    }
    lua_pushboolean(L, over);
    return 1;
}

/* setHeader(request, name, value): in the store of the response's fields, made if need be */
static int http1_set_header(lua_State *L)
{
    enum { STORE_OR_REQUEST = 1, OWNER = 4 };
    bool known;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 3);
    lua_pushvalue(L, 1);
    known = get(L, OWNER, STORE) == LUA_TTABLE;
    lua_replace(L, STORE_OR_REQUEST);
    twl__http_set_field(L);
    if (!known) set(L, OWNER, STORE);
    return 0;
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

void twl__open_http1_server(lua_State *L, twl_context *context)
{
    static const luaL_Reg functions[] = {{"takeRequest", http1_take_request},
                                         {"respond", http1_respond},
                                         {"setHeader", http1_set_header},
                                         {NULL, NULL}};
    static const luaL_Reg others[] = {{"lazily", http1_lazily}, {NULL, NULL}};

    luaL_checkstack(L, LAST, NULL);
    lua_pushlightuserdata(L, context);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &context->transports);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &context->http_heads);
    for (int i = INPUT; i <= LAST; i++) lua_pushstring(L, NAMES[i]);
    luaL_setfuncs(L, functions, LAST);
    twl__set_functions(L, context, others);
}
