/* SPDX-License-Identifier: MIT
 * utf8.c -- is it UTF-8? For text that comes in pieces, cut anywhere.
 * Invariant: left > 0 while a character is incomplete; its next byte is from low to high. */
#include "http1_scan.h"
#include "twistlua.h"

enum { REFUSED = 255 };

/* Begin a character: RFC 3629 4. The bounds of the second byte keep out what is too long, the
 * surrogates, and what is above U+10FFFF. */
static void begin(twl_utf8 *text, unsigned char byte)
{
    text->low = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
    text->high = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
    if (byte < 0x80)
        text->left = 0;
    else if (byte < 0xc2 || byte > 0xf4)
        text->left = REFUSED;
    else
        text->left = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
}

static void go_on(twl_utf8 *text, unsigned char byte)
{
    if (byte < text->low || byte > text->high) {
        text->left = REFUSED;
        return;
    }
    text->left--;
    text->low = 0x80;
    text->high = 0xbf;
}

static const char *skip_ascii(const char *at, const char *end)
{
#ifdef __SSE2__
    while (end - at >= 16 && _mm_movemask_epi8(load_vector(at)) == 0) at += 16;
#endif
    while (end - at >= 8 && (load_word(at) & HIGH_BITS) == 0) at += 8;
    return at;
}

bool twl_utf8_feed(twl_utf8 *text, const char *bytes, size_t length)
{
    const char *at = bytes, *end = bytes + length;

    while (at < end && text->left != REFUSED) {
        if (text->left > 0) {
            go_on(text, (unsigned char)*at++);
            continue;
        }
        at = skip_ascii(at, end);
        if (at < end) begin(text, (unsigned char)*at++);
    }
    return text->left != REFUSED;
}

bool twl_utf8_complete(const twl_utf8 *text)
{
    return text->left == 0;
}
