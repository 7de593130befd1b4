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
    for (; end - at >= 16; at += 16) {
        int high = _mm_movemask_epi8(load_vector(at));
        if (high) return at + __builtin_ctz((unsigned)high);
    }
#endif
    while (end - at >= 8 && (load_word(at) & HIGH_BITS) == 0) at += 8;
    while (at < end && (unsigned char)*at < 0x80) at++;
    return at;
}

static bool goes_on(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* The length of the character of 2 to 4 bytes at [at], where 4 bytes lie; 0 if there is none, or
 * something is wrong with it. What the first two bytes hold tells what RFC 3629 forbids. */
static int whole_character(const char *at)
{
    const unsigned char *bytes = (const unsigned char *)at;
    unsigned first = (bytes[0] & 15u) << 6 | (bytes[1] & 63u);

    if (bytes[0] < 0xc2 || !goes_on(bytes[1])) return 0;
    if (bytes[0] < 0xe0) return 2;
    if (!goes_on(bytes[2])) return 0;
    if (bytes[0] < 0xf0) return first >= 0x20 && first >> 5 != 0x1b ? 3 : 0;
    return goes_on(bytes[3]) && first >= 0x10 && first < 0x110 ? 4 : 0;
}

/* Skip what is whole and good; the end, and what is wrong, is looked at byte by byte. */
static const char *skip_characters(const char *at, const char *end)
{
    const char *before;
    int length;

    do {
        before = at = skip_ascii(at, end);
        while (end - at >= 4 && (length = whole_character(at)) > 0)
            at += length;
    } while (at > before);
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
        at = skip_characters(at, end);
        if (at < end) begin(text, (unsigned char)*at++);
    }
    return text->left != REFUSED;
}

bool twl_utf8_complete(const twl_utf8 *text)
{
    return text->left == 0;
}
