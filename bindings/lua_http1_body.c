/* SPDX-License-Identifier: MIT
 * lua_http1_body.c -- bodies: what decodes one from the bytes as they come, and what writes one
 * in chunks. */
#include <string.h>

#include "http.h"

enum kind { COUNTED, CHUNKED, REST, TRAILERS, ENDED };

/* User value 1 is the limits or nil; 2 the trailers: while they come, the bytes so far. */
struct body {
    enum kind kind;
    uint64_t left, total; /* COUNTED: to come; all: received */
    twl_http1_chunks chunks;
};

enum { VALUE_LIMITS = 1, VALUE_TRAILERS };

/* body(kind, limits) -> decoder, where kind is what heads have as `body`: a length, "chunked"
 * or "rest" */
static int http1_body(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    static const char *const KINDS[] = {"chunked", "rest", NULL};
    struct body *body;
    uint32_t fields;

    lua_settop(L, 2);
    twl__http_limits(L, context, 2, &fields);
    body = twl__object_new(L, &context->http_bodies, sizeof *body, 2);
    memset(body, 0, sizeof *body);
    if (lua_isinteger(L, 1)) {
        lua_Integer length = lua_tointeger(L, 1);
        luaL_argcheck(L, length >= 0, 1, "a length of 0 or more expected");
        body->left = (uint64_t)length;
    } else {
        body->kind = CHUNKED + luaL_checkoption(L, 1, NULL, KINDS);
    }
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, VALUE_LIMITS);
    return 1;
}

/* What feed() was given, and how far it is. */
struct feed {
    twl_context *context;
    struct body *body;
    const char *bytes;
    size_t length, at;
    const twl_http1_limits *limits;
    uint32_t fields;
};

/* Push the data and where the body ends, or nil. */
static int push_piece(lua_State *L, struct feed *feed, const char *data,
                      size_t length)
{
    feed->body->total += length;
    lua_pushlstring(L, data, length);
    if (feed->body->kind != ENDED) return 1;
    lua_pushinteger(L, (lua_Integer)feed->at + 1);
    return 2;
}

static int feed_counted(lua_State *L, struct feed *feed)
{
    struct body *body = feed->body;
    size_t there = feed->length - feed->at;
    size_t taken = there < body->left ? there : (size_t)body->left;
    const char *data = feed->bytes + feed->at;

    body->left -= taken;
    feed->at += taken;
    if (body->left == 0) body->kind = ENDED;
    return push_piece(L, feed, data, taken);
}

static int feed_rest(lua_State *L, struct feed *feed)
{
    size_t there = feed->length - feed->at;

    if (feed->limits && there > feed->limits->body - feed->body->total)
        return twl__http_error(L, TWL_EHTTP_BODY_SIZE);
    feed->at = feed->length;
    return push_piece(L, feed, feed->bytes + feed->length - there, there);
}

/* Keep as the trailers what was read of them: the head when they are complete. */
static int take_trailers(lua_State *L, struct feed *feed)
{
    size_t before = 0, length;
    const char *bytes;
    twl_http1_head none;
    struct twl__head *head;
    int rc, string;

    if (lua_getiuservalue(L, 1, VALUE_TRAILERS) == LUA_TSTRING) {
        before = lua_rawlen(L, -1);
    } else {
        lua_pop(L, 1);
        lua_pushliteral(L, "");
    }
    lua_pushlstring(L, feed->bytes + feed->at, feed->length - feed->at);
    lua_concat(L, 2);
    string = lua_gettop(L);
    bytes = lua_tolstring(L, string, &length);
    twl_http1_head_init(&none, NULL, 0);
    head = twl__head_push(L, feed->context, string, &none, feed->fields);
    head->buffer = bytes;
    rc = twl_http1_parse_trailers(bytes, length, feed->limits, &head->parsed);
    if (rc < 0) return rc;
    if (rc == 0) lua_pushvalue(L, string);
    lua_setiuservalue(L, 1, VALUE_TRAILERS);
    feed->at = rc > 0 ? feed->at + (size_t)rc - before : feed->length;
    feed->body->kind = rc > 0 ? ENDED : TRAILERS;
    lua_settop(L, string - 1);
    return 0;
}

/* [fresh]: the last chunk came just now. No trailers, the usual case, need no head. */
static int end_chunks(lua_State *L, struct feed *feed, bool fresh)
{
    const char *at = feed->bytes + feed->at;

    if (fresh && feed->length - feed->at >= 2 && at[0] == '\r' &&
        at[1] == '\n') {
        feed->at += 2;
        feed->body->kind = ENDED;
        return 0;
    }
    return take_trailers(L, feed);
}

static int feed_chunks(struct feed *feed, luaL_Buffer *out)
{
    int rc;

    do {
        size_t used, data;
        rc = twl_http1_chunks_next(&feed->body->chunks, feed->bytes + feed->at,
                                   feed->length - feed->at, feed->limits, &used,
                                   &data);
        if (rc < 0) return rc;
        feed->at += used;
        luaL_addlstring(out, feed->bytes + feed->at - data, data);
    } while (rc == TWL_CHUNK_DATA);
    if (rc == TWL_CHUNK_LAST) feed->body->kind = TRAILERS;
    return 0;
}

static int feed_chunked(lua_State *L, struct feed *feed)
{
    bool fresh = feed->body->kind == CHUNKED;
    luaL_Buffer out;
    size_t length;
    const char *data;
    int rc = 0;

    luaL_buffinit(L, &out);
    if (fresh) rc = feed_chunks(feed, &out);
    luaL_pushresult(&out);
    if (rc == 0 && feed->body->kind == TRAILERS)
        rc = end_chunks(L, feed, fresh);
    if (rc < 0) return twl__http_error(L, rc);
    data = lua_tolstring(L, -1, &length);
    return push_piece(L, feed, data, length);
}

/* feed(bytes, from) -> data, maybe "", and the place behind the body if it ended here
 *                    | nil, message, name, status */
static int body_feed(lua_State *L)
{
    struct feed feed = {.context = twl__context_of(L),
                        .body = twl__object_check(L, 1)};
    lua_Integer from;

    feed.bytes = luaL_checklstring(L, 2, &feed.length);
    from = luaL_optinteger(L, 3, 1);
    luaL_argcheck(L, from >= 1 && (size_t)from <= feed.length + 1, 3,
                  "no place in the bytes");
    lua_settop(L, 3);
    feed.at = (size_t)from - 1;
    lua_getiuservalue(L, 1, VALUE_LIMITS);
    feed.limits = twl__http_limits(L, feed.context, 4, &feed.fields);
    switch (feed.body->kind) {
    case COUNTED: return feed_counted(L, &feed);
    case REST: return feed_rest(L, &feed);
    case ENDED: return push_piece(L, &feed, "", 0);
    default: return feed_chunked(L, &feed);
    }
}

/* trailers() -> head | nil */
static int body_trailers(lua_State *L)
{
    twl__object_check(L, 1);
    return lua_getiuservalue(L, 1, VALUE_TRAILERS) == LUA_TUSERDATA;
}

/* received() -> bytes of data so far */
static int body_received(lua_State *L)
{
    struct body *body = twl__object_check(L, 1);
    lua_pushinteger(L, (lua_Integer)body->total);
    return 1;
}

/* chunk(data) -> data as one chunk; "" for no data, which would end the body */
static int http1_chunk(lua_State *L)
{
    size_t length;
    const char *data = luaL_checklstring(L, 1, &length);
    char head[TWL_CHUNK_HEAD];
    size_t head_length = twl_http1_chunk_head(head, length);
    luaL_Buffer out;
    char *at;

    if (length == 0) return lua_pushliteral(L, ""), 1;
    at = luaL_buffinitsize(L, &out, head_length + length + 2);
    memcpy(at, head, head_length);
    memcpy(at + head_length, data, length);
    memcpy(at + head_length + length, TWL_CHUNK_END, 2);
    luaL_pushresultsize(&out, head_length + length + 2);
    return 1;
}

/* chunkHead(size) -> what precedes a chunk's data, which CRLF follows */
static int http1_chunk_head(lua_State *L)
{
    char head[TWL_CHUNK_HEAD];
    lua_Integer size = luaL_checkinteger(L, 1);

    luaL_argcheck(L, size > 0, 1, "a chunk has at least one byte");
    lua_pushlstring(L, head, twl_http1_chunk_head(head, (uint64_t)size));
    return 1;
}

void twl__open_http1_bodies(lua_State *L, twl_context *context)
{
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg methods[] = {{"feed", body_feed},
                                       {"trailers", body_trailers},
                                       {"received", body_received},
                                       {NULL, NULL}};
    static const luaL_Reg functions[] = {{"body", http1_body},
                                         {"chunk", http1_chunk},
                                         {"chunkHead", http1_chunk_head},
                                         {NULL, NULL}};

    twl__class_new(L, context, &context->http_bodies, "twistlua.http1.body",
                   methods, none);
    twl__set_functions(L, context, functions);
    lua_pushliteral(L, TWL_CHUNK_FINAL);
    lua_setfield(L, -2, "LAST_CHUNK");
}
