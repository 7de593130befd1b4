/* SPDX-License-Identifier: MIT
 * websocket.c -- the frames of RFC 6455: their heads, their masks, their close codes. What the
 * protocol forbids is an error with a code of its own; nothing is done about it here. */
#include <string.h>

#include "twistlua.h"
#include "websocket.h"
#include "http1_scan.h"

enum { LONGEST_CONTROL = 125, TWO_BYTES = 126, EIGHT_BYTES = 127 };

/* ---- Errors -------------------------------------------------------------- */

static const struct entry {
    int code, status;
    const char *name, *message;
} ENTRIES[] = {
    {TWL_EWS_RESERVED, 1002, "EWS_RESERVED", "Reserved bit in a frame"},
    {TWL_EWS_OPCODE, 1002, "EWS_OPCODE", "Reserved opcode"},
    {TWL_EWS_CONTROL, 1002, "EWS_CONTROL",
     "Control frame is fragmented or too long"},
    {TWL_EWS_LENGTH, 1002, "EWS_LENGTH",
     "Frame length is not in its shortest form"},
    {TWL_EWS_MASK, 1002, "EWS_MASK",
     "Frame is masked, or not, against its sender's role"},
    {TWL_EWS_SEQUENCE, 1002, "EWS_SEQUENCE", "Frame is out of sequence"},
    {TWL_EWS_SIZE, 1009, "EWS_SIZE", "Message is too long"},
    {TWL_EWS_CLOSE, 1002, "EWS_CLOSE", "Malformed close frame"},
    {TWL_EWS_UTF8, 1007, "EWS_UTF8", "Text is not UTF-8"},
    {TWL_EWS_FRAMES, 1008, "EWS_FRAMES", "Message has too many frames"},
    {TWL_EWS_DEFLATE, 1007, "EWS_DEFLATE",
     "Compressed message cannot be inflated"},
};

static const struct entry *find(int code)
{
    for (size_t i = 0; i < sizeof ENTRIES / sizeof ENTRIES[0]; i++) {
        if (ENTRIES[i].code == code) return &ENTRIES[i];
    }
    return NULL;
}

int twl_ws_status(int code)
{
    const struct entry *entry = find(code);

    return entry ? entry->status : 1002;
}

const char *twl__ws_error_name(int code)
{
    const struct entry *entry = find(code);

    return entry ? entry->name : NULL;
}

const char *twl__ws_error_message(int code)
{
    const struct entry *entry = find(code);

    return entry ? entry->message : NULL;
}

/* ---- Heads of frames ----------------------------------------------------- */

static bool is_control(int opcode)
{
    return opcode >= TWL_WS_CLOSE;
}

static uint64_t read_number(const char *bytes, int count)
{
    uint64_t number = 0;

    for (int i = 0; i < count; i++)
        number = number << 8 | (unsigned char)bytes[i];
    return number;
}

/* What the first two bytes have to be. */
static int check_start(const twl_ws_reader *reader, const twl_ws_frame *frame)
{
    if (frame->reserved & ~reader->reserved) return TWL_EWS_RESERVED;
    if (frame->opcode > TWL_WS_PONG ||
        (frame->opcode > TWL_WS_BINARY && frame->opcode < TWL_WS_CLOSE))
        return TWL_EWS_OPCODE;
    if (is_control(frame->opcode) &&
        (!frame->final || frame->length > LONGEST_CONTROL))
        return TWL_EWS_CONTROL;
    return frame->masked == reader->server ? 0 : TWL_EWS_MASK;
}

/* How the frame fits into the message that goes on, if one does: RFC 6455 5.4. */
static int check_message(const twl_ws_reader *reader, const twl_ws_frame *frame)
{
    bool continues = frame->opcode == TWL_WS_CONTINUATION;

    if (is_control(frame->opcode)) return 0;
    if (continues != (reader->message != 0)) return TWL_EWS_SEQUENCE;
    if (frame->length > reader->limit - (continues ? reader->total : 0))
        return TWL_EWS_SIZE;
    return 0;
}

static void count_frame(twl_ws_reader *reader, const twl_ws_frame *frame)
{
    if (is_control(frame->opcode)) return;
    if (frame->opcode != TWL_WS_CONTINUATION) {
        reader->message = frame->opcode;
        reader->total = 0;
    }
    reader->total += frame->length;
    if (frame->final) reader->message = 0;
}

int twl_ws_parse(twl_ws_reader *reader, const char *bytes, size_t length,
                 twl_ws_frame *frame)
{
    int rc, extra = 0, size = 2;

    if (length < 2) return 0;
    frame->final = bytes[0] & 0x80;
    frame->reserved = bytes[0] >> 4 & 7;
    frame->opcode = bytes[0] & 15;
    frame->masked = bytes[1] & 0x80;
    frame->length = bytes[1] & 127;
    if ((rc = check_start(reader, frame)) != 0) return rc;

    if (frame->length == TWO_BYTES) extra = 2;
    if (frame->length == EIGHT_BYTES) extra = 8;
    size += extra + (frame->masked ? 4 : 0);
    if (length < (size_t)size) return 0;
    if (extra > 0) frame->length = read_number(bytes + 2, extra);
    if ((extra == 2 && frame->length < TWO_BYTES) ||
        (extra == 8 &&
         (frame->length <= UINT16_MAX || frame->length > INT64_MAX)))
        return TWL_EWS_LENGTH;
    if ((rc = check_message(reader, frame)) != 0) return rc;

    memset(frame->key, 0, sizeof frame->key);
    if (frame->masked) memcpy(frame->key, bytes + size - 4, 4);
    count_frame(reader, frame);
    return size;
}

size_t twl_ws_write(char out[TWL_WS_HEAD], const twl_ws_frame *frame)
{
    int extra = frame->length < TWO_BYTES     ? 0
                : frame->length <= UINT16_MAX ? 2
                                              : 8;
    int first = extra == 0   ? (int)frame->length
                : extra == 2 ? TWO_BYTES
                             : EIGHT_BYTES;
    size_t size = 2;

    out[0] = (char)(frame->final << 7 | (frame->reserved & 7) << 4 |
                    (frame->opcode & 15));
    out[1] = (char)(frame->masked << 7 | first);
    for (int i = extra - 1; i >= 0; i--)
        out[size++] = (char)(frame->length >> 8 * i);
    if (!frame->masked) return size;
    memcpy(out + size, frame->key, 4);
    return size + 4;
}

/* ---- Masks --------------------------------------------------------------- */

/* The compiler makes of the loop over words what the machine has. */
void twl_ws_mask(char *out, const char *in, size_t length, const uint8_t key[4],
                 uint64_t offset)
{
    char turned[8];
    uint64_t mask;
    size_t i = 0;

    for (int k = 0; k < 8; k++)
        turned[k] = (char)key[(offset + (unsigned)k) & 3];
    mask = load_word(turned);
    for (; length - i >= 8; i += 8) {
        uint64_t word = load_word(in + i) ^ mask;
        memcpy(out + i, &word, sizeof word);
    }
    for (; i < length; i++) out[i] = (char)(in[i] ^ turned[i & 7]);
}

/* ---- Close frames -------------------------------------------------------- */

bool twl_ws_is_close_code(int code)
{
    if (code >= 3000 && code <= 4999) return true;
    return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 &&
           code != 1006;
}

int twl_ws_parse_close(const char *payload, size_t length, int *code)
{
    twl_utf8 reason = {0, 0, 0};
    int found = 1005; /* "no status", which is never sent */

    if (length == 1) return TWL_EWS_CLOSE;
    if (length >= 2) {
        found = (int)read_number(payload, 2);
        if (!twl_ws_is_close_code(found)) return TWL_EWS_CLOSE;
        if (!twl_utf8_feed(&reason, payload + 2, length - 2) ||
            !twl_utf8_complete(&reason))
            return TWL_EWS_UTF8;
    }
    *code = found;
    return 0;
}
