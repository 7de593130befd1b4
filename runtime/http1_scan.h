/* SPDX-License-Identifier: MIT
 * http1_scan.h -- how far does a run of allowed bytes go? The loops that the parser lives in.
 * Each comes in two shapes, for SSE2 and for eight bytes in a machine word, and gives the first
 * byte that stops the run, or [end]. No byte at or behind [end] is looked at. (The string
 * instructions of SSE4.2 take longer than these comparisons.) */
#ifndef TWL_HTTP1_SCAN_H
#define TWL_HTTP1_SCAN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { TOKEN = 1, VALUE = 2, TARGET = 4, REG_NAME = 8 };

/* What a byte may be part of: an or of the above. */
extern const unsigned char twl__http1_class[256];

static inline bool may_be(char byte, int kind)
{
    return twl__http1_class[(unsigned char)byte] & kind;
}

static inline const char *scan_bytes(const char *at, const char *end, int kind)
{
    while (at < end && may_be(*at, kind)) at++;
    return at;
}

/* ---- Eight bytes in a word --------------------------------------------------------------- */

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))
#define HIGH_BITS EACH_BYTE(0x80)

static inline uint64_t load_word(const char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
    return word;
}

/* The high bit of each byte of these is set at the first hit, if there is one; bytes behind it
 * may be wrong, which on a big-endian machine only costs time: the hit is then looked for byte
 * by byte. */
static inline uint64_t bytes_below(uint64_t word, unsigned char limit)
{
    return (word - EACH_BYTE(limit)) & ~word & HIGH_BITS;
}

static inline uint64_t bytes_equal(uint64_t word, unsigned char byte)
{
    return bytes_below(word ^ EACH_BYTE(byte), 1);
}

static inline const char *word_scan_value(const char *at, const char *end)
{
    for (;;) {
        while (end - at >= 8) {
            uint64_t word = load_word(at);
            if (bytes_below(word, ' ') | bytes_equal(word, 0x7f)) break;
            at += 8;
        }
        const char *stop = scan_bytes(at, end - at > 8 ? at + 8 : end, VALUE);
        /* A hit that was none: a tab, or a false one. */
        if (stop == end || !may_be(*stop, VALUE)) return stop;
        at = stop;
    }
}

static inline const char *word_scan_target(const char *at, const char *end)
{
    for (;;) {
        while (end - at >= 8) {
            uint64_t word = load_word(at);
            uint64_t pair = word | EACH_BYTE(1), other = word | EACH_BYTE(2);
            if ((word & HIGH_BITS) | bytes_below(word, '!') |
                bytes_equal(word, 0x7f) | bytes_equal(pair, '#') |
                bytes_equal(other, '>'))
                break;
            at += 8;
        }
        const char *stop = scan_bytes(at, end - at > 8 ? at + 8 : end, TARGET);
        if (stop == end || !may_be(*stop, TARGET)) return stop;
        at = stop;
    }
}

static inline const char *word_scan_token(const char *at, const char *end)
{
    return scan_bytes(at, end, TOKEN);
}

/* ---- Sixteen bytes in a register ----------------------------------------------------------- */

#ifdef __SSE2__

static inline __m128i load_vector(const char *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

static inline __m128i bytes_between(__m128i bytes, char first, char last)
{
    __m128i offset = _mm_sub_epi8(bytes, _mm_set1_epi8(first));
    __m128i span = _mm_set1_epi8((char)(last - first));
    return _mm_cmpeq_epi8(_mm_min_epu8(offset, span), offset);
}

static inline const char *vector_scan_value(const char *at, const char *end)
{
    while (end - at >= 16) {
        __m128i bytes = load_vector(at);
        __m128i bad = _mm_or_si128(
            _mm_andnot_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t')),
                             bytes_between(bytes, 0, 31)),
            _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)));
        int hits = _mm_movemask_epi8(bad);
        if (hits) return at + __builtin_ctz((unsigned)hits);
        at += 16;
    }
    return word_scan_value(at, end);
}

static inline const char *vector_scan_target(const char *at, const char *end)
{
    while (end - at >= 16) {
        __m128i bytes = load_vector(at);
        __m128i pair = _mm_or_si128(bytes, _mm_set1_epi8(1));  /* " and # */
        __m128i other = _mm_or_si128(bytes, _mm_set1_epi8(2)); /* < and > */
        __m128i bad = _mm_or_si128(_mm_cmpeq_epi8(pair, _mm_set1_epi8('#')),
                                   _mm_cmpeq_epi8(other, _mm_set1_epi8('>')));
        __m128i good = _mm_andnot_si128(bad, bytes_between(bytes, '!', '~'));
        int hits = _mm_movemask_epi8(good) ^ 0xffff;
        if (hits) return at + __builtin_ctz((unsigned)hits);
        at += 16;
    }
    return word_scan_target(at, end);
}

/* Letters, digits and dashes are nearly all that names are made of. */
static inline const char *vector_scan_token(const char *at, const char *end)
{
    while (end - at >= 16) {
        __m128i bytes = load_vector(at);
        __m128i lower = _mm_or_si128(bytes, _mm_set1_epi8(' '));
        __m128i good =
            _mm_or_si128(_mm_or_si128(bytes_between(lower, 'a', 'z'),
                                      bytes_between(bytes, '0', '9')),
                         _mm_cmpeq_epi8(bytes, _mm_set1_epi8('-')));
        int hits = _mm_movemask_epi8(good) ^ 0xffff;
        if (!hits) {
            at += 16;
            continue;
        }
        at += __builtin_ctz((unsigned)hits);
        if (!may_be(*at, TOKEN)) return at;
        at++;
    }
    return word_scan_token(at, end);
}

#define scan_value vector_scan_value
#define scan_target vector_scan_target
#define scan_token vector_scan_token
#else
#define scan_value word_scan_value
#define scan_target word_scan_target
#define scan_token word_scan_token
#endif

#endif
