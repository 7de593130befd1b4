/* SPDX-License-Identifier: MIT
 * websocket_frame.c -- from messages to frames. */
#include <string.h>

#include "websocket.h"

enum { LONGEST_CONTROL = 125 };

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

static size_t write_frame(char *out, const twl_ws_frame *frame,
                          const char *payload)
{
    size_t head = twl_ws_write(out, frame), length = (size_t)frame->length;

    if (length > 0 && frame->masked)
        twl_ws_mask(out + head, payload, length, frame->key, 0);
    else if (length > 0)
        memcpy(out + head, payload, length);
    return head + length;
}

size_t twl__frame_write(char out[TWL__FRAME_ROOM], const twl_ws_frame *frame,
                        const char *payload)
{
    return write_frame(out, frame, payload);
}

/* Push head and payload as one string. */
static void push_whole(lua_State *L, const twl_ws_frame *frame,
                       const char *payload)
{
    char small[TWL__FRAME_ROOM];
    luaL_Buffer buffer;

    if (frame->length > TWL__FRAME_SMALL) {
        char *out =
            luaL_buffinitsize(L, &buffer, TWL_WS_HEAD + (size_t)frame->length);
        luaL_pushresultsize(&buffer, write_frame(out, frame, payload));
    } else {
        lua_pushlstring(L, small, write_frame(small, frame, payload));
    }
}

int twl__frame_push(lua_State *L, const twl_ws_frame *frame, int index)
{
    char head[TWL_WS_HEAD];

    if (frame->masked || frame->length <= TWL__FRAME_SMALL) {
        push_whole(L, frame, lua_tostring(L, index));
        return 1;
    }
    lua_pushlstring(L, head, twl_ws_write(head, frame));
    lua_pushvalue(L, index);
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

const char *twl__frame_begin(lua_State *L, struct twl__codec *codec,
                             twl_ws_frame *frame, int index)
{
    const char *payload;
    size_t length;

    if (lua_type(L, index) != LUA_TSTRING)
        luaL_error(L, "a message must be a string, not %s",
                   luaL_typename(L, index));
    payload = lua_tolstring(L, index, &length);
    check_payload(L, frame->opcode, payload, length);
    if (frame->opcode < TWL_WS_CLOSE && twl__deflate_wanted(codec, length)) {
        int rc = twl__push_deflated(L, codec, payload, length);
        if (rc < 0) luaL_error(L, "%s", twl_error_message(rc));
        lua_replace(L, index);
        payload = lua_tolstring(L, index, &length);
        frame->reserved = codec->reader.reserved;
    }
    frame->final = true;
    frame->masked = !codec->reader.server;
    frame->length = length;
    if (frame->masked) take_key(L, frame->key);
    return payload;
}

int twl__codec_frame(lua_State *L)
{
    struct twl__codec *codec = twl__object_check(L, 1);
    twl_ws_frame frame = {.opcode = (uint8_t)luaL_checkinteger(L, 2)};

    lua_settop(L, 3);
    twl__frame_begin(L, codec, &frame, 3);
    return twl__frame_push(L, &frame, 3);
}
