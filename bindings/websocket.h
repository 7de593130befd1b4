/* SPDX-License-Identifier: MIT
 * websocket.h -- one WebSocket connection's frames, both ways.
 * lua_websocket.c is the face; websocket_feed.c makes messages of frames, websocket_frame.c
 * frames of messages, websocket_deflate.c compresses them (RFC 7692), and websocket_protocol.c
 * carries them between a transport and a protocol.
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
 * the first head_length bytes of a head have come. While [unread], the user value is a string
 * that has bytes from [next] on which were not looked at. */
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
    bool unread;
    bool mute;       /* the protocol has sent its last message */
    bool closed;     /* and has received the last one */
    bool paused;     /* it is to hear of no message now */
    bool delivering; /* it hears of one */
    char head[TWL_WS_HEAD];
};

enum { TWL__UNREAD = 1 /* user value */ };

/* ---- Receiving --------------------------------------------------------------------------- */

/* Bytes to read: those of a string, whose place on the stack is TWL__FED, or others. */
struct twl__input {
    const char *bytes;
    size_t length, at;
};

struct twl__event {
    int opcode, status; /* the latter of a close frame */
};

enum { TWL__FED = 2 };

/* What is to be read now: the unread bytes of the codec, which stands at [index], and [input]
 * behind them, in which case TWL__FED becomes a string of all. */
void twl__codec_find(lua_State *L, int index, struct twl__input *input);

/* Keep what was not looked at. [-0, +0] */
void twl__codec_keep(lua_State *L, int index, const struct twl__input *input);

/* Read up to the end of a message or control frame: 1, and its payload is pushed; 0 if that
 * takes more bytes; or a negative code. May raise a memory error. [-0, +(0|1)] */
int twl__codec_next(lua_State *L, struct twl__codec *codec,
                    struct twl__input *input, struct twl__event *event);

/* ---- Sending ----------------------------------------------------------------------------- */

enum {
    TWL__FRAME_SMALL = 8 * 1024, /* bytes of a payload that is copied */
    TWL__FRAME_ROOM = TWL_WS_HEAD + TWL__FRAME_SMALL
};

/* Describe the frame of the string at [index], and what it sends, compressed if that is due;
 * a string that this becomes takes its place. Raises where it must not be sent. [-0, +0] */
const char *twl__frame_begin(lua_State *L, struct twl__codec *codec,
                             twl_ws_frame *frame, int index);

/* Write a frame of at most TWL__FRAME_SMALL bytes; returns its length. */
size_t twl__frame_write(char out[TWL__FRAME_ROOM], const twl_ws_frame *frame,
                        const char *payload);

/* Push the frame as one string, or as its head and its payload, which is at [index]; returns how
 * many. */
int twl__frame_push(lua_State *L, const twl_ws_frame *frame, int index);

/* frame(codec, opcode, payload): see core.lua */
int twl__codec_frame(lua_State *L);

/* Add `methods` to the table at the top. [-0, +0] */
void twl__open_websocket_protocol(lua_State *L, twl_context *context);

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
