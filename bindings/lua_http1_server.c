/* SPDX-License-Identifier: MIT
 * lua_http1_server.c -- what a server does for each request, where nothing is special about it.
 * web/http/channel.lua decides and tells of the fields; here are the steps of which Lua's own share
 * would be the most of a request: the requests are taken from a channel's input one after the other,
 * each is rendered, and a short response is written. Whatever is not usual is left to Lua. */
#include "http_names.h"
#include "transport.h"

static const char *const NAMES[] = {
    [INPUT] = "_input",
    [AT] = "_at",
    [HEAD] = "_head",
    [FACTORY] = "factory",
    [LIMITS] = "limits",
    [CLASS] = "requestFactory",
    [REQUEST] = "_request",
    [TRANSPORT] = "transport",
    [KEEP_ALIVE] = "_keepAlive",
    [UNREAD] = "_unread",
    [SERVING] = "_serving",
    [DEADLINE] = "_deadline",
    [LINES] = "lines",
    [LINES_WITH_TYPE] = "linesWithType",
    [CONTENT_TYPE] = "content-type",
    [LOG] = "log",
    [PROCESS] = "process",
    [SITE_PROCESS] = "_process",
    [ANSWER] = "_answer",
    [RESOURCE] = "resource",
    [IS_LEAF] = "isLeaf",
    [GET_RESOURCE] = "getResourceFor",
    [RENDER] = "render",
    [RENDER_GET] = "render_GET",
};

enum {
    CHANNEL_AT = 1,
    SPECIAL_AT,
    FACTORY_AT,
    LIMITS_AT,
    CLASS_AT,
    METATABLE_AT,
    TRANSPORT_AT,
    RESOURCE_AT, /* of a site whose requests are answered in the usual way, or false */
    GET_AT, /* what answers GET for the root of the site, or nil */
    INPUT_AT,
    HEAD_AT,
    REQUEST_AT,
    TARGET_AT,
    BODY_AT
};

/* What holds for all requests of a call. */
struct service {
    const twl_http1_limits *limits;
    uint32_t fields;
    struct twl__transport *transport;
    bool usual; /* there is a resource */
    bool leaf;  /* which answers for all that is below it */
    bool logs;
};

/* ---- Taking -------------------------------------------------------------------------------- */

/* What of the input, which was looked at from [from] on, is left. */
static void leave_rest(lua_State *L, lua_Integer from, lua_Integer next)
{
    if ((size_t)next > lua_rawlen(L, INPUT_AT)) {
        set_boolean(L, CHANNEL_AT, INPUT, false);
        next = 1;
    }
    if (next == from) return;
    lua_pushvalue(L, lua_upvalueindex(AT));
    lua_pushinteger(L, next);
    lua_rawset(L, CHANNEL_AT);
}

/* Take the next request from the input, which are then at their places: 0; or else the number of
 * values that tell why there is none. */
static int take(lua_State *L, const struct service *service)
{
    struct twl__parse parse = {.context = twl__context_of(L),
                               .string = INPUT_AT,
                               .limits = service->limits,
                               .fields = service->fields,
                               .head = HEAD_AT,
                               .method = -1};
    struct twl__parsed parsed;
    const twl_http1_head *head;
    int rc;

    get(L, CHANNEL_AT, AT);
    parse.from = lua_tointeger(L, -1);
    lua_pop(L, 1);
    get(L, CHANNEL_AT, HEAD);
    rc = twl__http_parse(L, &parse, &parsed);
    if (rc < 0) return twl__http_error(L, rc);
    if (rc == 0) {
        lua_pushboolean(L, false);
        lua_insert(L, -2);
        return 2;
    }
    leave_rest(L, parse.from, parse.from + rc);
    if (lua_toboolean(L, HEAD_AT)) set_boolean(L, CHANNEL_AT, HEAD, false);
    head = parsed.made ? &parsed.made->parsed : &parsed.head;
    twl__request_push(L, head, parsed.bytes, INPUT_AT, CHANNEL_AT,
                      METATABLE_AT);
    if (parsed.made) lua_replace(L, REQUEST_AT);
    if (!head->keep_alive) set_boolean(L, CHANNEL_AT, KEEP_ALIVE, false);
    lua_pushvalue(L, lua_upvalueindex(REQUEST));
    lua_pushvalue(L, REQUEST_AT);
    lua_rawset(L, CHANNEL_AT);
    if (service->usual && head->body == TWL_BODY_NONE) return 0;
    twl__push_body(L, head);
    return 2;
}

/* ---- Answering ----------------------------------------------------------------------------- */

/* Behind something that has yielded: others have gone on with the channel. */
static int stop(lua_State *L, int status, lua_KContext context)
{
    (void)L, (void)status, (void)context;
    return 0;
}

/* The body is there. Whether the next request may be served. */
static bool answer(lua_State *L, const struct service *service)
{
    const struct twl__response response = {.channel = CHANNEL_AT,
                                           .factory = FACTORY_AT,
                                           .request = REQUEST_AT,
                                           .body = BODY_AT,
                                           .transport = service->transport};
    bool written = twl__http_respond(L, &response);

    if (written && !service->logs) {
        twl__http_be_over(L, CHANNEL_AT);
        return true;
    }
    get(L, CLASS_AT, ANSWER);
    lua_pushvalue(L, REQUEST_AT);
    lua_pushvalue(L, TARGET_AT);
    lua_pushvalue(L, BODY_AT);
    lua_pushboolean(L, written);
    lua_callk(L, 4, 0, 0, stop);
    return !is_set(L, CHANNEL_AT, REQUEST);
}

static int answer_later(lua_State *L, int status, lua_KContext context)
{
    const struct service later = {
        .transport = twl__http_transport(L, CHANNEL_AT), .logs = true};

    (void)status, (void)context;
    lua_settop(L, BODY_AT);
    answer(L, &later);
    return 0;
}

/* The resource is at its place. Push what renders it: sparing, if it can, a call. [-0, +1] */
static void push_renderer(lua_State *L)
{
    if (member(L, TARGET_AT, RENDER) != LUA_TFUNCTION ||
        lua_tocfunction(L, -1) != twl__http1_render)
        return;
    if (twl__http_push_render(L, TARGET_AT, REQUEST_AT) == LUA_TNIL)
        lua_pop(L, 1); /* let that tell so */
    else
        lua_replace(L, -2);
}

static void render(lua_State *L)
{
    lua_pushvalue(L, TARGET_AT);
    lua_pushvalue(L, REQUEST_AT);
    lua_callk(L, 2, 1, 0, answer_later);
}

static int render_later(lua_State *L, int status, lua_KContext context)
{
    push_renderer(L);
    render(L);
    return answer_later(L, status, context);
}

static bool is_get(lua_State *L)
{
    const struct twl__request *request = lua_touserdata(L, REQUEST_AT);

    return twl__request_head(request)->parsed.method_number == TWL_METHOD_GET;
}

static bool serve(lua_State *L, const struct service *service)
{
    if (service->leaf) {
        lua_pushvalue(L, RESOURCE_AT);
        if (is_get(L) && lua_toboolean(L, GET_AT))
            lua_pushvalue(L, GET_AT);
        else
            push_renderer(L);
    } else {
        member(L, FACTORY_AT, GET_RESOURCE);
        lua_pushvalue(L, FACTORY_AT);
        lua_pushvalue(L, REQUEST_AT);
        lua_callk(L, 2, 1, 0, render_later);
        push_renderer(L);
    }
    render(L);
    return answer(L, service);
}

/* ---- Serving ------------------------------------------------------------------------------- */

/* The requests are processed as those of sites usually are. */
static bool is_usual(lua_State *L)
{
    bool usual = get(L, CLASS_AT, SITE_PROCESS) != LUA_TNIL &&
                 get(L, CLASS_AT, PROCESS) != LUA_TNIL &&
                 lua_rawequal(L, -1, -2);

    lua_settop(L, TRANSPORT_AT);
    return usual;
}

/* Push what answers GET for the root, where that is found as it usually is, or nil. [-0, +1] */
static void push_get(lua_State *L, bool leaf)
{
    bool usual = leaf && member(L, RESOURCE_AT, RENDER) == LUA_TFUNCTION &&
                 lua_tocfunction(L, -1) == twl__http1_render;

    lua_settop(L, RESOURCE_AT);
    if (usual)
        member(L, RESOURCE_AT, RENDER_GET);
    else
        lua_pushnil(L);
}

static void prepare(lua_State *L, struct service *service)
{
    if (get(L, CHANNEL_AT, FACTORY) != LUA_TTABLE)
        luaL_error(L, "a channel expected");
    get(L, FACTORY_AT, LIMITS);
    service->limits =
        twl__http_limits(L, twl__context_of(L), LIMITS_AT, &service->fields);
    if (get(L, FACTORY_AT, CLASS) != LUA_TTABLE ||
        twl__request_push_metatable(L, CLASS_AT) != LUA_TTABLE)
        luaL_error(L, "requestFactory must be a class of requests");
    service->transport = twl__http_transport(L, CHANNEL_AT);
    lua_settop(L, TRANSPORT_AT);
    service->logs = is_set(L, FACTORY_AT, LOG);
    service->usual = is_usual(L) && get(L, FACTORY_AT, RESOURCE) == LUA_TTABLE;
    lua_settop(L, RESOURCE_AT);
    if (service->usual) {
        member(L, RESOURCE_AT, IS_LEAF);
        service->leaf = lua_toboolean(L, -1);
        lua_pop(L, 1);
    }
    push_get(L, service->leaf);
}

/* Whether the next request may be served, after the [count] values at the top have been told. */
static bool leave_to_lua(lua_State *L, int count)
{
    lua_pushvalue(L, SPECIAL_AT);
    lua_insert(L, -1 - count);
    lua_pushvalue(L, CHANNEL_AT);
    lua_insert(L, -1 - count);
    lua_callk(L, count + 1, 1, 0, stop);
    return lua_toboolean(L, -1);
}

/* serve(channel, special): serve what is in the input of the channel.
 * What is not usual is left to special(channel, ...), which returns whether to go on; it is told
 *   request, body      which is its `_request`; body as in heads, or 0 for what is left of one
 *   false, head        of a request that is not complete: the bytes stay
 *   nil, message, name, status */
static int http1_serve(lua_State *L)
{
    struct service service = {.leaf = false};
    bool more = true;

    luaL_checktype(L, CHANNEL_AT, LUA_TTABLE);
    lua_settop(L, SPECIAL_AT);
    prepare(L, &service);
    get(L, CHANNEL_AT, REQUEST);
    if (lua_toboolean(L, -1)) {
        lua_pushinteger(L, 0);
        more = leave_to_lua(L, 2);
    }
    while (more) {
        int count;
        lua_settop(L, GET_AT);
        get(L, CHANNEL_AT, INPUT);
        if (!lua_toboolean(L, -1)) break;
        count = take(L, &service);
        more = count > 0 ? leave_to_lua(L, count) : serve(L, &service);
    }
    return 0;
}

void twl__open_http1_server(lua_State *L, twl_context *context)
{
    static const luaL_Reg functions[] = {{"serve", http1_serve},
                                         {"respond", twl__http1_respond},
                                         {"render", twl__http1_render},
                                         {NULL, NULL}};
    luaL_checkstack(L, LAST, NULL);
    lua_pushlightuserdata(L, context);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &context->transports);
    for (int i = INPUT; i <= LAST; i++) lua_pushstring(L, NAMES[i]);
    luaL_setfuncs(L, functions, LAST);
}
