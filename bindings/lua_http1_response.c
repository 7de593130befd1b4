/* SPDX-License-Identifier: MIT
 * lua_http1_response.c -- responses that are written in one step: whole, short, and with nothing to
 * decide about. web/http/response.lua writes all others, and says what is decided. */
#include <string.h>

#include "http_names.h"
#include "transport.h"

/* Whether the head asks for a response as usual: who sent it understands HTTP/1.1, and goes on. */
static bool asks_plainly(lua_State *L, int channel, const twl_http1_head *head)
{
    return head->keep_alive && head->minor > 0 &&
           head->method_number != TWL_METHOD_HEAD &&
           (head->body == TWL_BODY_NONE || !is_set(L, channel, UNREAD));
}

static bool has_body(int code)
{
    return code >= 200 && code <= 999 && code != 204 && code != 304;
}

/* Whether there is nothing to decide about the response, and no field speaks of the framing. The
 * store, if there is one, is at the top. [-0, +1] */
static bool is_plain(lua_State *L, const struct twl__response *response,
                     struct twl__request *request)
{
    bool plain;

    if (lua_type(L, response->body) != LUA_TSTRING ||
        lua_rawlen(L, response->body) == 0 || request->more ||
        request->finished || !has_body(request->code) ||
        !asks_plainly(L, response->channel,
                      &twl__request_head(request)->parsed))
        return false;
    if (!request->stored) {
        lua_pushnil(L);
        return true;
    }
    twl__request_push_store(L, request, response->request);
    if (!lua_istable(L, -1)) return false;
    lua_rawgeti(L, -1, 0);
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

static void out_start(struct twl__out *out, int code)
{
    char start[] = "HTTP/1.1 000 ";
    const char *reason;

    if (code == 200) {
        twl__out_text(out, "HTTP/1.1 200 OK\r\n");
        return;
    }
    reason = twl_http1_reason(code);
    for (char *digit = strchr(start, ' ') + 3; *digit != ' '; code /= 10)
        *digit-- = (char)('0' + code % 10);
    twl__out_text(out, start);
    twl__out_text(out, reason);
    twl__out_text(out, "\r\n");
}

/* The store is at the top. [-1, +0] */
static void out_response(lua_State *L, const struct twl__response *response,
                         const struct twl__request *request,
                         struct twl__out *out)
{
    int store = lua_gettop(L);
    bool typed = request->stored ? get(L, store, CONTENT_TYPE) != LUA_TNIL
                                 : request->typed;

    out_start(out, request->code);
    get(L, response->factory, typed ? LINES : LINES_WITH_TYPE);
    out_string(L, -1, out);
    if (request->stored)
        twl__out_store(L, store, out);
    else
        twl__out_bytes(out, request->fields, request->length);
    twl__out_length(out, lua_rawlen(L, response->body));
    twl__out_bytes(out, "\r\n", 2);
    out_string(L, response->body, out);
    lua_settop(L, store - 1);
}

struct twl__transport *twl__http_transport(lua_State *L, int channel,
                                           struct twl__transport *known)
{
    if (get(L, channel, TRANSPORT) != LUA_TUSERDATA) return NULL;
    if (lua_touserdata(L, -1) == known) return known;
    return twl__object_like(L, -1, lua_upvalueindex(TRANSPORTS));
}

bool twl__http_respond(lua_State *L, const struct twl__response *response)
{
    struct twl__request *request = twl__request_check(L, response->request);
    char bytes[TWL__USUAL_MESSAGE];
    struct twl__out out = {.at = bytes, .room = sizeof bytes};
    int top = lua_gettop(L);

    if (!response->transport) return false;
    if (!is_plain(L, response, request)) {
        lua_settop(L, top);
        return false;
    }
    out_response(L, response, request, &out);
    if (out.length > sizeof bytes ||
        !twl__transport_write_few(response->transport, bytes, out.length))
        return false;
    request->finished = true;
    return true;
}

void twl__http_be_over(lua_State *L, int channel)
{
    set_boolean(L, channel, REQUEST, false);
    if (is_set(L, channel, DEADLINE)) set_boolean(L, channel, DEADLINE, false);
}

/* A handler that has made the channel wait has marked its request as special. */
int twl__http1_respond(lua_State *L)
{
    struct twl__response response = {
        .channel = 1, .request = 2, .body = 3, .factory = 4};
    bool over;

    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 3);
    if (get(L, 1, FACTORY) != LUA_TTABLE)
        return luaL_error(L, "a channel expected");
    response.transport = twl__http_transport(L, 1, NULL);
    if (!twl__http_respond(L, &response)) return 0;
    over = twl__http_is_serving(L, 1) && !is_set(L, response.factory, LOG);
    if (over) twl__http_be_over(L, 1);
    lua_pushboolean(L, over);
    return 1;
}
