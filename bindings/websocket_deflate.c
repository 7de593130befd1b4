/* SPDX-License-Identifier: MIT
 * websocket_deflate.c -- permessage-deflate, RFC 7692.
 * A direction's coder is made when its first message comes, and closed behind each message where
 * nothing is carried over to the next: it is what costs the memory. */
#include <stddef.h>
#include <string.h>

#include "websocket.h"

enum { PIECE = 16 * 1024, LEAST_BITS = 9 /* that zlib has */ };

/* What DEFLATE ends a flush with, and who sends leaves out. */
static const char TAIL[4] = {0, 0, '\xff', '\xff'};

struct direction {
    twl_coder *coder; /* behind the struct */
    twl_coder_config config;
    bool open;
    bool takeover; /* a message may refer to those before it */
};

struct twl__deflate {
    struct direction out, in;
    struct twl__bytes output; /* what the message at hand becomes */
    size_t threshold;         /* shorter messages are sent as they are */
};

/* ---- The block: the struct and two coders ---------------------------------------------------- */

static size_t aligned(size_t size)
{
    const size_t most = _Alignof(max_align_t) - 1;

    return (size + most) & ~most;
}

static size_t whole_size(void)
{
    return aligned(sizeof(struct twl__deflate)) + 2 * aligned(twl_coder_size());
}

static twl_coder *coder_behind(struct twl__deflate *deflate, size_t which)
{
    return (twl_coder *)(void *)((char *)deflate + aligned(sizeof *deflate) +
                                 which * aligned(twl_coder_size()));
}

/* ---- Messages -------------------------------------------------------------------------------- */

static int begin_message(struct direction *direction)
{
    int rc;

    if (direction->open) return 0;
    rc = twl_coder_init(direction->coder, &direction->config);
    direction->open = rc == 0;
    return rc;
}

static void end_message(struct direction *direction)
{
    if (direction->takeover || !direction->open) return;
    twl_coder_close(direction->coder);
    direction->open = false;
}

static int result_of(lua_State *L, int rc)
{
    if (rc == TWL_ENOMEM) luaL_error(L, "not enough memory");
    return rc < 0 ? TWL_EWS_DEFLATE : 0;
}

/* ---- Inflating ----------------------------------------------------------------------------- */

int twl__inflate(lua_State *L, struct twl__codec *codec, const char *bytes,
                 size_t length)
{
    struct direction *in = &codec->deflate->in;
    struct twl__bytes *message = &codec->message;
    twl_coder_step step = {.bytes = bytes, .length = length};
    int rc = begin_message(in);

    if (rc < 0) return result_of(L, rc);
    do {
        if (message->length == message->room) /* one byte over it will tell */
            twl__bytes_reserve(L, message, 1, (size_t)codec->reader.limit + 1);
        step.out = message->at + message->length;
        step.room = message->room - message->length;
        rc = twl_coder_run(in->coder, &step, TWL_FLUSH_NONE);
        message->length = message->room - step.room;
        if (message->length > codec->reader.limit) return TWL_EWS_SIZE;
    } while (rc == TWL_CODER_AGAIN);
    return result_of(L, rc);
}

int twl__inflate_end(lua_State *L, struct twl__codec *codec)
{
    int rc = twl__inflate(L, codec, TAIL, sizeof TAIL);

    end_message(&codec->deflate->in);
    return rc;
}

/* ---- Deflating ----------------------------------------------------------------------------- */

bool twl__deflate_wanted(const struct twl__codec *codec, size_t length)
{
    return codec->deflate && length > 0 && length >= codec->deflate->threshold;
}

static int run_deflate(lua_State *L, struct twl__deflate *deflate,
                       const char *bytes, size_t length)
{
    struct twl__bytes *out = &deflate->output;
    twl_coder_step step = {.bytes = bytes, .length = length};
    int rc;

    do {
        twl__bytes_reserve(L, out, out->length == 0 ? length / 2 + 64 : PIECE,
                           SIZE_MAX);
        step.out = out->at + out->length;
        step.room = out->room - out->length;
        rc = twl_coder_run(deflate->out.coder, &step, TWL_FLUSH_SYNC);
        out->length = out->room - step.room;
    } while (rc == TWL_CODER_AGAIN);
    return rc;
}

static bool ends_with_tail(const struct twl__bytes *bytes)
{
    const size_t size = sizeof TAIL;

    return bytes->length >= size &&
           memcmp(bytes->at + bytes->length - size, TAIL, size) == 0;
}

int twl__push_deflated(lua_State *L, struct twl__codec *codec,
                       const char *bytes, size_t length)
{
    struct twl__deflate *deflate = codec->deflate;
    int rc = begin_message(&deflate->out);

    if (rc == 0) rc = run_deflate(L, deflate, bytes, length);
    if (rc < 0) return rc;
    if (ends_with_tail(&deflate->output)) deflate->output.length -= sizeof TAIL;
    lua_pushlstring(L, deflate->output.at, deflate->output.length);
    twl__bytes_free(L, &deflate->output);
    end_message(&deflate->out);
    return 0;
}

/* ---- Life ---------------------------------------------------------------------------------- */

static void set_direction(lua_State *L, struct direction *direction, int index)
{
    lua_Integer bits = luaL_checkinteger(L, index);

    luaL_argcheck(L, bits >= 8 && bits <= 15, index, "must be from 8 to 15");
    direction->config = (twl_coder_config)TWL_CODER_CONFIG_INIT;
    direction->config.coding = TWL_CODING_RAW;
    direction->config.window_bits = bits < LEAST_BITS ? LEAST_BITS : (int)bits;
    direction->config.alloc =
        lua_getallocf(L, &direction->config.alloc_context);
    direction->takeover = lua_toboolean(L, index + 1);
}

int twl__codec_compress(lua_State *L)
{
    struct twl__codec *codec = twl__object_check(L, 1);
    struct twl__deflate made = {0}, *deflate;
    lua_Integer level = luaL_checkinteger(L, 6);
    lua_Integer threshold = luaL_checkinteger(L, 7);

    luaL_argcheck(L, !codec->deflate, 1, "it compresses already");
    luaL_argcheck(L, level >= 1 && level <= 9, 6, "must be from 1 to 9");
    luaL_argcheck(L, threshold >= 0, 7, "must not be negative");
    set_direction(L, &made.out, 2);
    set_direction(L, &made.in, 4);
    made.in.config.decode = true;
    made.out.config.level = (int)level;
    made.threshold = (size_t)threshold;
    deflate = twl__resize(L, NULL, 0, whole_size());
    *deflate = made;
    deflate->out.coder = coder_behind(deflate, 0);
    deflate->in.coder = coder_behind(deflate, 1);
    codec->deflate = deflate;
    codec->reader.reserved = 4; /* RSV1 */
    return 0;
}

void twl__deflate_free(lua_State *L, struct twl__codec *codec)
{
    struct twl__deflate *deflate = codec->deflate;

    if (!deflate) return;
    if (deflate->out.open) twl_coder_close(deflate->out.coder);
    if (deflate->in.open) twl_coder_close(deflate->in.coder);
    twl__bytes_free(L, &deflate->output);
    twl__resize(L, deflate, whole_size(), 0);
    codec->deflate = NULL;
}
