/* SPDX-License-Identifier: MIT
 * websocket.h -- one WebSocket connection's frames, both ways.
 * lua_websocket.c is the face; websocket_feed.c makes messages of frames, websocket_frame.c
 * frames of messages, websocket_deflate.c compresses them (RFC 7692).
 * What is not Lua's comes from Lua's allocator and is freed by the codec's finalizer at the latest. */
#ifndef TWL_BINDINGS_WEBSOCKET_H
#define TWL_BINDINGS_WEBSOCKET_H

#include "context.h"

/* Bytes that grow. All zeros is empty. */
struct twl__bytes {
    char *at;
    size_t length, room;
};

/* Lua's allocator. Raises a memory error. */
void *twl__resize(lua_State *L, void *block, size_t old_size, size_t size);

/* Make room for [more] bytes. At least doubles it, but not beyond [most] unless it must. May raise
 * a memory error. */
void twl__bytes_reserve(lua_State *L, struct twl__bytes *bytes, size_t more,
                        size_t most);
void twl__bytes_free(lua_State *L, struct twl__bytes *bytes);

struct twl__deflate;

/* Invariant: while in_frame, [left] bytes of the payload of [frame] are still to come; otherwise
 * the first head_length bytes of a head have come. The user value is the string that was fed and
 * has bytes from [next] on that were not looked at. */
struct twl__codec {
    twl_ws_reader reader;
    twl_ws_frame frame;
    uint64_t left;
    size_t next;
    struct twl__bytes message, control;
    struct twl__deflate *deflate; /* NULL: not agreed upon */
    uint32_t frames, frames_max;  /* of a message */
    twl_utf8 text;
    uint8_t opcode; /* of the message */
    uint8_t head_length;
    bool in_frame;
    bool compressed; /* the message is */
    char head[TWL_WS_HEAD];
};

enum { TWL__UNREAD = 1 /* user value */ };

/* feed(codec, bytes or nil): see core.lua */
int twl__codec_feed(lua_State *L);

/* frame(codec, opcode, payload): see core.lua */
int twl__codec_frame(lua_State *L);

/* ---- permessage-deflate ------------------------------------------------------------------ */

/* compress(codec, outBits, outTakeover, inBits, inTakeover, level, threshold) */
int twl__codec_compress(lua_State *L);

/* Inflate a piece of a message behind what there is of it; and what the sender left out at the
 * message's end. 0 or a negative code. May raise a memory error. */
int twl__inflate(lua_State *L, struct twl__codec *codec, const char *bytes,
                 size_t length);
int twl__inflate_end(lua_State *L, struct twl__codec *codec);

/* Whether a message of [length] bytes is worth it. */
bool twl__deflate_wanted(const struct twl__codec *codec, size_t length);

/* Push a message compressed: 0, or a negative code and nothing pushed. May raise a memory error. */
int twl__push_deflated(lua_State *L, struct twl__codec *codec,
                       const char *bytes, size_t length);
void twl__deflate_free(lua_State *L, struct twl__codec *codec);

#endif
