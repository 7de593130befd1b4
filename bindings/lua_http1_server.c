/* SPDX-License-Identifier: MIT
 * lua_http1_server.c -- what a server does for each request, where nothing is special about it.
 * web/http/channel.lua decides and tells of the fields; here are the steps of which Lua's own share
 * would be the most of a request: the requests are taken from what has come one after the other,
 * each is rendered, and a short response is written. Whatever is not usual is left to Lua. */
#include "http_names.h"
#include "transport.h"

enum {
    CHANNEL_AT = 1,
    SPECIAL_AT,
    SERVICE_AT,
    FACTORY_AT,
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
struct batch {
    const struct twl__service *service;
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

/* Make the request of [length] bytes, at its place, the channel's. Returns the number of values
 * that are to be told of it, if it is not usual. */
static int take_request(lua_State *L, const struct batch *batch,
                        const twl_http1_head *head, const char *bytes,
                        size_t length)
{
    twl__request_push(L, head, bytes, length, CHANNEL_AT, METATABLE_AT);
    if (lua_gettop(L) > REQUEST_AT) lua_replace(L, REQUEST_AT);
    if (!head->keep_alive) set_boolean(L, CHANNEL_AT, KEEP_ALIVE, false);
    lua_pushvalue(L, lua_upvalueindex(REQUEST));
    lua_pushvalue(L, REQUEST_AT);
    lua_rawset(L, CHANNEL_AT);
    if (batch->usual && head->body == TWL_BODY_NONE) return 0;
    twl__push_body(L, head);
    return 2;
}

/* Take the next request from the input, which are then at their places: 0; or else the number of
 * values that tell why there is none. */
static int take(lua_State *L, const struct batch *batch)
{
    struct twl__parse parse = {.context = twl__context_of(L),
                               .string = INPUT_AT,
                               .limits = batch->service->limits,
                               .fields = batch->service->fields,
                               .head = HEAD_AT,
                               .method = -1};
    struct twl__parsed parsed;
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
    return take_request(L, batch,
                        parsed.made ? &parsed.made->parsed : &parsed.head,
                        parsed.bytes, (size_t)rc);
}

/* Most requests come alone and whole: for these no input is made. Take the first of what has just
 * come, if it is complete, and make what is behind it, or else all that came, the input. Returns
 * as take() does, or -1: go on with the input. */
static int take_first(lua_State *L, const struct batch *batch,
                      const struct twl__arrival *came)
{
    const struct twl__service *service = batch->service;
    uint32_t fields = service->fields;
    struct twl__parsed parsed;
    size_t taken;
    int rc;

    twl_http1_head_init(&parsed.head, parsed.lines,
                        fields < TWL__USUAL_LINES ? fields : TWL__USUAL_LINES);
    rc = twl_http1_parse_request(came->bytes, came->length, service->limits,
                                 &parsed.head);
    taken = rc > 0 ? (size_t)rc : 0;
    if (taken == 0 || taken < came->length) {
        lua_pushvalue(L, lua_upvalueindex(INPUT));
        lua_pushlstring(L, came->bytes + taken, came->length - taken);
        lua_rawset(L, CHANNEL_AT);
    }
    if (taken == 0) return -1;
    lua_settop(L, HEAD_AT);
    return take_request(L, batch, &parsed.head, came->bytes, taken);
}

/* ---- Answering ----------------------------------------------------------------------------- */

/* Behind something that has yielded: others have gone on with the channel. */
static int stop(lua_State *L, int status, lua_KContext context)
{
    (void)L, (void)status, (void)context;
    return 0;
}

/* What a handler returns that answers by itself: Request.NOT_DONE_YET. */
static bool is_answered_by_itself(lua_State *L)
{
    enum { NOT_DONE_YET = 1 };

    return lua_isinteger(L, BODY_AT) &&
           lua_tointeger(L, BODY_AT) == NOT_DONE_YET;
}

/* The body is there. Whether the next request may be served. */
static bool answer(lua_State *L, const struct batch *batch)
{
    const struct twl__response response = {.channel = CHANNEL_AT,
                                           .factory = FACTORY_AT,
                                           .request = REQUEST_AT,
                                           .body = BODY_AT,
                                           .transport = batch->transport};
    bool written = twl__http_respond(L, &response);

    if (written && !batch->logs) {
        twl__http_be_over(L, CHANNEL_AT);
        return true;
    }
    if (!is_answered_by_itself(L)) {
        member(L, REQUEST_AT, ANSWER);
        lua_pushvalue(L, REQUEST_AT);
        lua_pushvalue(L, TARGET_AT);
        lua_pushvalue(L, BODY_AT);
        lua_pushboolean(L, written);
        lua_callk(L, 4, 0, 0, stop);
    }
    return !is_set(L, CHANNEL_AT, REQUEST);
}

static int answer_later(lua_State *L, int status, lua_KContext context)
{
    const struct batch later = {
        .transport = twl__http_transport(L, CHANNEL_AT, NULL), .logs = true};

    (void)status, (void)context;
    lua_settop(L, BODY_AT);
    answer(L, &later);
    return 0;
}

/* Push the render of the resource at [index]. Whether that is the usual one. [-0, +1] */
static bool push_render(lua_State *L, int index)
{
    return member(L, index, RENDER) == LUA_TFUNCTION &&
           lua_tocfunction(L, -1) == twl__http1_render;
}

/* The resource is at its place. Push what renders it: sparing, if it can, a call. [-0, +1] */
static void push_renderer(lua_State *L)
{
    if (!push_render(L, TARGET_AT)) return;
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

static bool serve(lua_State *L, const struct batch *batch)
{
    if (batch->leaf) {
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
    return answer(L, batch);
}

/* ---- Serving ------------------------------------------------------------------------------- */

/* Push what answers GET for the root, where that is found as it usually is, or nil. [-0, +1] */
static void push_get(lua_State *L, bool leaf)
{
    bool usual = leaf && push_render(L, RESOURCE_AT);

    lua_settop(L, RESOURCE_AT);
    if (usual)
        member(L, RESOURCE_AT, RENDER_GET);
    else
        lua_pushnil(L);
}

static void prepare(lua_State *L, struct batch *batch,
                    struct twl__transport *transport)
{
    get(L, CHANNEL_AT, SERVICE);
    batch->service = twl__service_test(L, SERVICE_AT);
    if (!batch->service) luaL_error(L, "a channel that is open expected");
    lua_getiuservalue(L, SERVICE_AT, TWL__SERVICE_FACTORY);
    lua_getiuservalue(L, SERVICE_AT, TWL__SERVICE_METATABLE);
    batch->transport = twl__http_transport(L, CHANNEL_AT, transport);
    batch->logs = is_set(L, FACTORY_AT, LOG);
    batch->usual = get(L, FACTORY_AT, RESOURCE) == LUA_TTABLE &&
                   batch->service->as_sites_do;
    if (batch->usual) {
        member(L, RESOURCE_AT, IS_LEAF);
        batch->leaf = lua_toboolean(L, -1);
        lua_pop(L, 1);
    }
    push_get(L, batch->leaf);
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

static bool go_on(lua_State *L, const struct batch *batch, int count)
{
    return count > 0 ? leave_to_lua(L, count) : serve(L, batch);
}

/* serve(channel, special) -> true where nothing is left to serve
 * Serve what has come for the channel, and what is in its input.
 * What is not usual is left to special(channel, ...), which returns whether to go on; it is told
 *   request, body      which is its `_request`; body as in heads, or 0 for what is left of one
 *   false, head        of a request that is not complete: the bytes stay
 *   nil, message, name, status */
int twl__http1_serve(lua_State *L)
{
    struct twl__arrival came = twl__arrival_take(twl__context_of(L));
    struct batch batch = {.leaf = false};
    bool more = true;
    int count;

    luaL_checktype(L, CHANNEL_AT, LUA_TTABLE);
    lua_settop(L, SPECIAL_AT);
    prepare(L, &batch, came.transport);
    if (came.bytes) {
        count = take_first(L, &batch, &came);
        if (count >= 0) more = go_on(L, &batch, count);
    } else if (is_set(L, CHANNEL_AT, REQUEST)) {
        get(L, CHANNEL_AT, REQUEST);
        lua_pushinteger(L, 0);
        more = leave_to_lua(L, 2);
    }
    while (more) {
        lua_settop(L, GET_AT);
        get(L, CHANNEL_AT, INPUT);
        if (!lua_toboolean(L, INPUT_AT)) break;
        more = go_on(L, &batch, take(L, &batch));
    }
    lua_pushboolean(L, more);
    return 1;
}
