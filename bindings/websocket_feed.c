/* SPDX-License-Identifier: MIT
 * websocket_feed.c -- from the bytes that came to whole messages and control frames.
 * A payload is unmasked, inflated and checked as it comes, so that a long message costs no more
 * than its bytes, and text is refused at the first byte that is wrong. */
#include <string.h>

#include "websocket.h"

enum {
    SMALL = 8 * 1024, /* bytes of a message that takes only a string's memory */
    PIECE = 1024,     /* of what is inflated */
    BELIEF = 4 /* times what has come is what an announced length is worth */
};

static size_t smaller(uint64_t a, size_t b)
{
    return a < b ? (size_t)a : b;
}

static bool is_control(const struct twl__codec *codec)
{
    return codec->frame.opcode >= TWL_WS_CLOSE;
}

/* ---- Heads --------------------------------------------------------------------------------- */

/* Parse the head that lies in the input, or that began in the input before it. */
static int parse_head(struct twl__codec *codec, struct twl__input *input)
{
    const char *bytes = input->bytes + input->at;
    size_t length = input->length - input->at;
    size_t kept = codec->head_length;
    size_t added = smaller(TWL_WS_HEAD - kept, length);
    int rc;

    if (kept == 0) {
        rc = twl_ws_parse(&codec->reader, bytes, length, &codec->frame);
        if (rc > 0) input->at += (size_t)rc;
        if (rc != 0) return rc;
    }
    memcpy(codec->head + kept, bytes, added);
    rc = twl_ws_parse(&codec->reader, codec->head, kept + added, &codec->frame);
    if (rc < 0) return rc;
    input->at += rc > 0 ? (size_t)rc - kept : added;
    codec->head_length = rc > 0 ? 0 : (uint8_t)(kept + added);
    return rc;
}

/* Only the first frame of a message says that it is compressed: RFC 7692 6. */
static int begin_frame(struct twl__codec *codec)
{
    const twl_ws_frame *frame = &codec->frame;

    codec->in_frame = true;
    codec->left = frame->length;
    if (is_control(codec)) return frame->reserved ? TWL_EWS_RESERVED : 0;
    if (frame->opcode == TWL_WS_CONTINUATION) {
        if (frame->reserved) return TWL_EWS_RESERVED;
    } else {
        codec->opcode = frame->opcode;
        codec->compressed = frame->reserved != 0;
        codec->frames = 0;
        memset(&codec->text, 0, sizeof codec->text);
    }
    return codec->frames++ < codec->frames_max ? 0 : TWL_EWS_FRAMES;
}

/* ---- Payloads ------------------------------------------------------------------------------ */

static void unmask(const struct twl__codec *codec, char *out, const char *in,
                   size_t length)
{
    if (codec->frame.masked)
        twl_ws_mask(out, in, length, codec->frame.key,
                    codec->frame.length - codec->left);
    else
        memcpy(out, in, length);
}

static int check_text(struct twl__codec *codec, const char *bytes,
                      size_t length)
{
    if (codec->opcode != TWL_WS_TEXT ||
        twl_utf8_feed(&codec->text, bytes, length))
        return 0;
    return TWL_EWS_UTF8;
}

/* Make room for [length] bytes, and for what was announced behind them: a long message that is
 * believed is moved less often as it grows. */
static void reserve(lua_State *L, const struct twl__codec *codec,
                    struct twl__bytes *to, size_t length)
{
    uint64_t announced =
        is_control(codec) ? codec->frame.length : codec->reader.total;
    size_t needed = to->length + length;

    if (needed <= to->room) return;
    twl__bytes_reserve(L, to, smaller(announced, needed * BELIEF) - to->length,
                       codec->frame.final ? (size_t)announced : SIZE_MAX);
}

static int take_plain(lua_State *L, struct twl__codec *codec,
                      const char *payload, size_t length)
{
    struct twl__bytes *to =
        is_control(codec) ? &codec->control : &codec->message;
    char *begin;

    reserve(L, codec, to, length);
    begin = to->at + to->length;
    unmask(codec, begin, payload, length);
    to->length += length;
    return is_control(codec) ? 0 : check_text(codec, begin, length);
}

static int take_compressed(lua_State *L, struct twl__codec *codec,
                           const char *payload, size_t length)
{
    char piece[PIECE];

    while (length > 0) {
        size_t size = smaller(length, sizeof piece), before;
        int rc;
        unmask(codec, piece, payload, size);
        before = codec->message.length;
        rc = twl__inflate(L, codec, piece, size);
        if (rc == 0)
            rc = check_text(codec, codec->message.at + before,
                            codec->message.length - before);
        if (rc < 0) return rc;
        codec->left -= size;
        payload += size;
        length -= size;
    }
    return 0;
}

static int take(lua_State *L, struct twl__codec *codec,
                struct twl__input *input)
{
    const char *payload = input->bytes + input->at;
    size_t length = smaller(codec->left, input->length - input->at);
    int rc;

    if (length == 0) return 0;
    input->at += length;
    if (codec->compressed && !is_control(codec))
        return take_compressed(L, codec, payload, length);
    rc = take_plain(L, codec, payload, length);
    codec->left -= length;
    return rc;
}

/* ---- Events -------------------------------------------------------------------------------- */

/* Push the payload of a message that is one frame and lies in the input. */
static int push_at_once(lua_State *L, struct twl__codec *codec,
                        struct twl__input *input)
{
    const char *payload = input->bytes + input->at;
    size_t length = (size_t)codec->left;
    char small[SMALL];

    if (codec->frame.masked) {
        unmask(codec, small, payload, length);
        payload = small;
    }
    if (check_text(codec, payload, length) < 0 ||
        !twl_utf8_complete(&codec->text))
        return TWL_EWS_UTF8;
    lua_pushlstring(L, payload, length);
    input->at += length;
    codec->left = 0;
    return 0;
}

static bool lies_at_once(const struct twl__codec *codec,
                         const struct twl__input *input)
{
    return codec->frame.final && !is_control(codec) && !codec->compressed &&
           codec->frame.opcode != TWL_WS_CONTINUATION &&
           codec->left == codec->frame.length &&
           codec->left <= input->length - input->at &&
           (!codec->frame.masked || codec->left <= SMALL);
}

static int end_compressed(lua_State *L, struct twl__codec *codec)
{
    size_t before = codec->message.length;
    int rc = twl__inflate_end(L, codec);

    return rc < 0 ? rc
                  : check_text(codec, codec->message.at + before,
                               codec->message.length - before);
}

static int push_message(lua_State *L, struct twl__codec *codec)
{
    int rc = codec->compressed ? end_compressed(L, codec) : 0;

    if (rc < 0) return rc;
    if (!twl_utf8_complete(&codec->text)) return TWL_EWS_UTF8;
    lua_pushlstring(L, codec->message.at, codec->message.length);
    twl__bytes_free(L, &codec->message);
    return 0;
}

static int push_control(lua_State *L, struct twl__codec *codec, int *status)
{
    size_t skipped = 0;

    *status = 0;
    if (codec->frame.opcode == TWL_WS_CLOSE) {
        int rc = twl_ws_parse_close(codec->control.at, codec->control.length,
                                    status);
        if (rc < 0) return rc;
        skipped = codec->control.length < 2 ? 0 : 2;
    }
    lua_pushlstring(L, codec->control.at + skipped,
                    codec->control.length - skipped);
    twl__bytes_free(L, &codec->control);
    return 0;
}

int twl__codec_next(lua_State *L, struct twl__codec *codec,
                    struct twl__input *input, struct twl__event *event)
{
    int rc;

    for (;;) {
        if (!codec->in_frame) {
            if (input->at == input->length) return 0;
            if ((rc = parse_head(codec, input)) <= 0) return rc;
            if ((rc = begin_frame(codec)) < 0) return rc;
        }
        if (lies_at_once(codec, input)) {
            rc = push_at_once(L, codec, input);
            break;
        }
        if ((rc = take(L, codec, input)) < 0) return rc;
        if (codec->left > 0) return 0;
        if (is_control(codec)) {
            rc = push_control(L, codec, &event->status);
            break;
        }
        if (codec->frame.final) {
            rc = push_message(L, codec);
            break;
        }
        codec->in_frame = false;
    }
    if (rc < 0) return rc;
    codec->in_frame = false;
    event->opcode = is_control(codec) ? codec->frame.opcode : codec->opcode;
    return 1;
}

/* ---- The input ----------------------------------------------------------------------------- */

void twl__codec_find(lua_State *L, int index, struct twl__input *input)
{
    struct twl__codec *codec = lua_touserdata(L, index);
    size_t length;
    const char *unread;

    if (!codec->unread) return;
    lua_getiuservalue(L, index, TWL__UNREAD);
    unread = lua_tolstring(L, -1, &length);
    if (input->length == 0) {
        input->at = codec->next;
    } else {
        lua_pushlstring(L, unread + codec->next, length - codec->next);
        lua_pushlstring(L, input->bytes, input->length);
        lua_concat(L, 2);
        lua_replace(L, -2);
        input->at = 0;
    }
    input->bytes = lua_tolstring(L, -1, &input->length);
    lua_replace(L, TWL__FED);
}

void twl__codec_keep(lua_State *L, int index, const struct twl__input *input)
{
    struct twl__codec *codec = lua_touserdata(L, index);
    bool unread = input->at < input->length;

    if (!unread && !codec->unread) return;
    codec->next = 0;
    if (!unread) {
        lua_pushnil(L);
    } else if (lua_isstring(L, TWL__FED)) {
        lua_pushvalue(L, TWL__FED);
        codec->next = input->at;
    } else {
        lua_pushlstring(L, input->bytes + input->at, input->length - input->at);
    }
    lua_setiuservalue(L, index, TWL__UNREAD);
    codec->unread = unread;
}
