/* SPDX-License-Identifier: MIT
 * websocket_frame.c -- from messages to frames. */
#include <string.h>

#include "websocket.h"

enum {
    SMALL = 1024,
    LONGEST_CONTROL = 125,
    HELD = 8 * 1024 /* from here on the payload is sent from where it lies */
};

/* Mask keys must not be foreseeable (RFC 6455 10.3), and asking for randomness costs more than
 * masking a small message: many are fetched at once. */
static void take_key(lua_State *L, uint8_t key[4])
{
    twl_context *context = twl__context_of(L);
    struct twl__masks *masks = &context->masks;

    if (masks->left < 4) {
        if (twl_random(masks->bytes, sizeof masks->bytes) < 0)
            luaL_error(L, "there is no randomness for a mask");
        masks->left = sizeof masks->bytes;
    }
    masks->left -= 4;
    memcpy(key, masks->bytes + masks->left, 4);
}

static void write_payload(char *out, const twl_ws_frame *frame,
                          const char *payload)
{
    if (frame->masked)
        twl_ws_mask(out, payload, (size_t)frame->length, frame->key, 0);
    else
        memcpy(out, payload, (size_t)frame->length);
}

/* Push head and payload as one string. */
static void push_whole(lua_State *L, const twl_ws_frame *frame,
                       const char *payload)
{
    size_t length = (size_t)frame->length, head;
    char small[TWL_WS_HEAD + SMALL], *out = small;
    luaL_Buffer buffer;

    if (length > SMALL)
        out = luaL_buffinitsize(L, &buffer, TWL_WS_HEAD + length);
    head = twl_ws_write(out, frame);
    if (length > 0) write_payload(out + head, frame, payload);
    if (length > SMALL)
        luaL_pushresultsize(&buffer, head + length);
    else
        lua_pushlstring(L, small, head + length);
}

/* Push the frame as one string, or as its head and its payload, which is at index 3. */
static int push_frame(lua_State *L, twl_ws_frame *frame, const char *payload)
{
    char head[TWL_WS_HEAD];

    if (frame->masked || frame->reserved || frame->length < HELD) {
        push_whole(L, frame, payload);
        return 1;
    }
    lua_pushlstring(L, head, twl_ws_write(head, frame));
    lua_pushvalue(L, 3);
    return 2;
}

static void check_payload(lua_State *L, int opcode, const char *payload,
                          size_t length)
{
    twl_utf8 text = {0, 0, 0};

    if (opcode >= TWL_WS_CLOSE && length > LONGEST_CONTROL)
        luaL_error(L, "a control frame has at most 125 bytes, not %d",
                   (int)length);
    if (opcode == TWL_WS_TEXT &&
        !(twl_utf8_feed(&text, payload, length) && twl_utf8_complete(&text)))
        luaL_error(L, "a text message must be UTF-8; other bytes are sent as "
                      "a binary one");
}

int twl__codec_frame(lua_State *L)
{
    struct twl__codec *codec = twl__object_check(L, 1);
    twl_ws_frame frame = {.final = true, .masked = !codec->reader.server};
    const char *payload;
    size_t length;

    frame.opcode = (uint8_t)luaL_checkinteger(L, 2);
    if (lua_type(L, 3) != LUA_TSTRING)
        luaL_error(L, "a message must be a string, not %s",
                   luaL_typename(L, 3));
    lua_settop(L, 3);
    payload = lua_tolstring(L, 3, &length);
    check_payload(L, frame.opcode, payload, length);
    if (frame.opcode < TWL_WS_CLOSE && twl__deflate_wanted(codec, length)) {
        int rc = twl__push_deflated(L, codec, payload, length);
        if (rc < 0) return luaL_error(L, "%s", twl_error_message(rc));
        payload = lua_tolstring(L, -1, &length);
        frame.reserved = codec->reader.reserved;
    }
    frame.length = length;
    if (frame.masked) take_key(L, frame.key);
    return push_frame(L, &frame, payload);
}
