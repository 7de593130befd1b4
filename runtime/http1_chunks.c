/* SPDX-License-Identifier: MIT
 * http1_chunks.c -- the chunked transfer coding, RFC 9112 7.1, read and written.
 * Sizes are bounded by their digits, so nothing here can overflow. */
#include "http1.h"
#include "http1_scan.h"

enum { MOST_DIGITS = 15 };

enum state { SIZE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF, LAST };

static int digit_of(char byte)
{
    if (byte >= '0' && byte <= '9') return byte - '0';
    if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f')
        return (byte | 0x20) - 'a' + 10;
    return -1;
}

/* A byte of the size; a space is nothing that may stand there: BWS before an extension is only
 * for old senders, and has been used to smuggle. */
static int take_digit(twl_http1_chunks *chunks, char byte)
{
    int digit = digit_of(byte);

    if (digit >= 0) {
        if (++chunks->digits > MOST_DIGITS) return TWL_EHTTP_CHUNK_SIZE;
        chunks->left = chunks->left << 4 | (unsigned)digit;
        return 0;
    }
    if (chunks->digits == 0) return TWL_EHTTP_CHUNK;
    if (byte == '\n') return TWL_EHTTP_BARE_LF;
    if (byte != '\r' && byte != ';') return TWL_EHTTP_CHUNK;
    chunks->state = byte == '\r' ? SIZE_LF : EXTENSION;
    return 0;
}

/* Extensions are ignored, RFC 9112 7.1.1. What counts is how much longer than the data they
 * are, so that a peer can sign each chunk of a long body, but not make us read for nothing. */
static int take_extension(twl_http1_chunks *chunks, char byte, uint32_t limit)
{
    if (byte == '\r') {
        chunks->state = SIZE_LF;
        return 0;
    }
    if (byte == '\n') return TWL_EHTTP_BARE_LF;
    if (!may_be(byte, VALUE)) return TWL_EHTTP_EXTENSION;
    return ++chunks->excess > limit ? TWL_EHTTP_EXTENSION_SIZE : 0;
}

static int end_size(twl_http1_chunks *chunks, char byte, uint64_t limit)
{
    if (byte != '\n') return TWL_EHTTP_BARE_CR;
    if (chunks->left > limit - chunks->total) return TWL_EHTTP_BODY_SIZE;
    chunks->state = chunks->left == 0 ? LAST : DATA;
    chunks->total += chunks->left;
    chunks->excess -=
        chunks->excess < chunks->left ? chunks->excess : chunks->left;
    chunks->digits = 0;
    return 0;
}

static int expect(twl_http1_chunks *chunks, char byte, char wanted,
                  enum state next)
{
    if (byte != wanted) return TWL_EHTTP_CHUNK_END;
    chunks->state = (uint8_t)next;
    return 0;
}

/* One byte of what is not data. */
static int take(twl_http1_chunks *chunks, char byte,
                const twl_http1_limits *limits)
{
    switch (chunks->state) {
    case SIZE: return take_digit(chunks, byte);
    case EXTENSION: return take_extension(chunks, byte, limits->extension);
    case SIZE_LF: return end_size(chunks, byte, limits->body);
    case DATA_CR: return expect(chunks, byte, '\r', DATA_LF);
    default: return expect(chunks, byte, '\n', SIZE);
    }
}

int twl_http1_chunks_next(twl_http1_chunks *chunks, const char *bytes,
                          size_t length, const twl_http1_limits *limits,
                          size_t *used, size_t *data)
{
    twl_http1_limits own;
    size_t at = 0;
    int rc;

    if (!(limits = twl__http1_limits(limits, &own))) return TWL_EINVAL;
    while (at < length && chunks->state != DATA && chunks->state != LAST) {
        if ((rc = take(chunks, bytes[at++], limits)) != 0) return rc;
    }
    *used = at;
    *data = 0;
    if (chunks->state == LAST) return TWL_CHUNK_LAST;
    if (at == length) return TWL_CHUNK_MORE;

    *data = length - at < chunks->left ? length - at : (size_t)chunks->left;
    *used += *data;
    chunks->left -= *data;
    if (chunks->left == 0) chunks->state = DATA_CR;
    return TWL_CHUNK_DATA;
}

size_t twl_http1_chunk_head(char out[TWL_CHUNK_HEAD], uint64_t size)
{
    static const char DIGITS[] = "0123456789abcdef";
    size_t length = 0;

    if (size == 0) return 0;
    for (int shift = 60; shift >= 0; shift -= 4) {
        if (length > 0 || size >> shift > 0)
            out[length++] = DIGITS[size >> shift & 15];
    }
    out[length++] = '\r';
    out[length++] = '\n';
    return length;
}
