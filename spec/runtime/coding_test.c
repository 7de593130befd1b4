/* SPDX-License-Identifier: MIT
 * coding_test.c -- what is encoded comes back, whatever the pieces; bytes that are no coding, ends that
 * are missing, and memory that is not there. */
#include "check.h"

enum { TEXT = 100000, ROOM = 4 * TEXT };

static const int CODINGS[] = {TWL_CODING_GZIP, TWL_CODING_DEFLATE,
                              TWL_CODING_RAW, TWL_CODING_BROTLI};

static char text[TEXT], encoded[ROOM], decoded[ROOM];

/* Words in some order: neither noise nor all the same. */
static void make_text(void)
{
    uint32_t seed = 7;

    for (size_t i = 0; i < TEXT; i++) {
        seed = seed * 1664525u + 1013904223u;
        text[i] = (char)('a' + (seed >> 28));
    }
}

static twl_coder *coder_of(int coding, bool decode)
{
    twl_coder_config config = TWL_CODER_CONFIG_INIT;
    twl_coder *coder = (twl_coder *)malloc(twl_coder_size());

    config.coding = coding;
    config.decode = decode;
    CHECK_INT(0, twl_coder_init(coder, &config));
    return coder;
}

static void drop(twl_coder *coder)
{
    twl_coder_close(coder);
    twl_coder_close(coder);
    free(coder);
}

/* Run to the end of [length] bytes in pieces of [piece] in and out; the bytes written, or the error. */
static long run(twl_coder *coder, const char *bytes, size_t length, char *out,
                size_t piece, int flush)
{
    char *begin = out;
    int rc = 0;

    for (size_t at = 0; at < length || at == 0; at += piece) {
        size_t part = length - at < piece ? length - at : piece;
        twl_coder_step step = {bytes + at, part, out, piece};
        bool last = at + part == length;
        while (
            (rc = twl_coder_run(coder, &step, last ? flush : TWL_FLUSH_NONE)) ==
            TWL_CODER_AGAIN)
            step.room = piece;
        if (rc < 0) return rc;
        out = step.out;
    }
    return out - begin;
}

static long encode(int coding, const char *bytes, size_t length)
{
    twl_coder *coder = coder_of(coding, false);
    long size = run(coder, bytes, length, encoded, length + 64, TWL_FLUSH_END);

    CHECK(twl_coder_ended(coder));
    drop(coder);
    return size;
}

static void what_is_encoded_comes_back(void)
{
    static const size_t pieces[] = {1, 7, 4096, TEXT};

    make_text();
    for (size_t c = 0; c < 4; c++) {
        for (size_t p = 0; p < 4; p++) {
            twl_coder *encoder = coder_of(CODINGS[c], false);
            twl_coder *decoder = coder_of(CODINGS[c], true);
            long size =
                run(encoder, text, TEXT, encoded, pieces[p], TWL_FLUSH_END);
            CHECK(size > 0 && size < TEXT);
            CHECK_INT(TEXT, run(decoder, encoded, (size_t)size, decoded,
                                pieces[3 - p], TWL_FLUSH_NONE));
            CHECK(twl_coder_ended(decoder));
            CHECK(memcmp(text, decoded, TEXT) == 0);
            drop(encoder);
            drop(decoder);
        }
    }
}

static void a_flush_lets_the_other_side_have_all(void)
{
    for (size_t c = 0; c < 4; c++) {
        twl_coder *encoder = coder_of(CODINGS[c], false);
        twl_coder *decoder = coder_of(CODINGS[c], true);
        for (int i = 0; i < 3; i++) {
            long size = run(encoder, "hello", 5, encoded, 64, TWL_FLUSH_SYNC);
            CHECK(size > 0);
            CHECK_INT(5, run(decoder, encoded, (size_t)size, decoded, 64, 0));
            CHECK(memcmp("hello", decoded, 5) == 0);
            CHECK(!twl_coder_ended(decoder));
        }
        drop(encoder);
        drop(decoder);
    }
}

static void output_stays_within_the_room(void)
{
    static char zeros[TEXT];

    for (size_t c = 0; c < 4; c++) {
        long size = encode(CODINGS[c], zeros, TEXT);
        twl_coder *decoder = coder_of(CODINGS[c], true);
        twl_coder_step step = {encoded, (size_t)size, decoded, 100};
        CHECK_INT(TWL_CODER_AGAIN, twl_coder_run(decoder, &step, 0));
        CHECK_INT(0, step.room);
        CHECK(step.out == decoded + 100);
        drop(decoder);
    }
}

static void noise_is_an_error_until_a_reset(void)
{
    for (size_t c = 0; c < 4; c++) {
        twl_coder *decoder = coder_of(CODINGS[c], true);
        long size;
        CHECK_INT(TWL_ECODING, run(decoder, "\xff\xff\xff\xff\xff\xff\xff\xff",
                                   8, decoded, 64, 0));
        CHECK_INT(TWL_EINVAL, run(decoder, "x", 1, decoded, 64, 0));
        CHECK_INT(0, twl_coder_reset(decoder));
        size = encode(CODINGS[c], "good", 4);
        CHECK_INT(4, run(decoder, encoded, (size_t)size, decoded, 64, 0));
        drop(decoder);
    }
}

static void a_wrong_check_sum_is_noticed(void)
{
    long size = encode(TWL_CODING_GZIP, "some text to be checked", 23);

    for (long at = size - 8; at < size; at++) {
        twl_coder *decoder = coder_of(TWL_CODING_GZIP, true);
        encoded[at] ^= 0x10;
        CHECK_INT(TWL_ECODING,
                  run(decoder, encoded, (size_t)size, decoded, 64, 0));
        encoded[at] ^= 0x10;
        drop(decoder);
    }
}

static void bytes_behind_the_end(void)
{
    for (size_t c = 0; c < 4; c++) {
        bool goes_on = CODINGS[c] == TWL_CODING_GZIP;
        long size = encode(CODINGS[c], "twice", 5);
        twl_coder *decoder = coder_of(CODINGS[c], true);
        memcpy(encoded + size, encoded, (size_t)size);
        if (CODINGS[c] == TWL_CODING_RAW) goes_on = true;
        CHECK_INT(goes_on ? 10 : TWL_ECODING_END,
                  run(decoder, encoded, 2 * (size_t)size, decoded, 64, 0));
        drop(decoder);
    }
}

static void deflate_may_come_bare(void)
{
    for (size_t piece = 1; piece < 40; piece += 38) {
        long size = encode(TWL_CODING_RAW, "hello, hello", 12);
        twl_coder *decoder = coder_of(TWL_CODING_DEFLATE, true);
        CHECK_INT(12, run(decoder, encoded, (size_t)size, decoded, piece, 0));
        CHECK(twl_coder_ended(decoder));
        drop(decoder);
    }
}

/* A last block in the midst of what refers back to it: RFC 7692 7.2.3.5 */
static void raw_blocks_refer_to_those_before_an_end(void)
{
    twl_coder *decoder = coder_of(TWL_CODING_RAW, true);
    static const char ended[] = "\xf3\x48\xcd\xc9\xc9\x07\x00"; /* Hello */
    static const char more[] = "\xf2\x00\x11\x00\x00"; /* Hello, by reference */

    CHECK_INT(5, run(decoder, ended, 7, decoded, 64, 0));
    CHECK(twl_coder_ended(decoder));
    CHECK_INT(5, run(decoder, more, 5, decoded, 64, 0));
    CHECK(memcmp("Hello", decoded, 5) == 0);
    drop(decoder);
}

static void settings_out_of_range_are_refused(void)
{
    static const struct {
        int coding, level, bits;
    } bad[] = {{-1, -1, 0},
               {4, -1, 0},
               {TWL_CODING_GZIP, 0, 0},
               {TWL_CODING_GZIP, 10, 0},
               {TWL_CODING_RAW, -1, 8},
               {TWL_CODING_RAW, -1, 16},
               {TWL_CODING_BROTLI, 12, 0},
               {TWL_CODING_BROTLI, -1, 25}};
    twl_coder *coder = (twl_coder *)malloc(twl_coder_size());

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        twl_coder_config config = TWL_CODER_CONFIG_INIT;
        config.coding = bad[i].coding;
        config.level = bad[i].level;
        config.window_bits = bad[i].bits;
        CHECK_INT(TWL_EINVAL, twl_coder_init(coder, &config));
        twl_coder_close(coder);
    }
    free(coder);
}

static void memory_that_fails_is_an_error(void)
{
    for (int which = 0; which < 8; which++) {
        long size = encode(CODINGS[which / 2], text, 2000);
        bool decode = which % 2;
        bool failed = true;
        for (size_t n = 1; failed && n < 200; n++) {
            twl_coder_config config = TWL_CODER_CONFIG_INIT;
            twl_coder *coder = (twl_coder *)malloc(twl_coder_size());
            int rc;
            config.coding = CODINGS[which / 2];
            config.decode = decode;
            config.alloc = counted_alloc;
            memory.requests = 0;
            memory.fail_at = n;
            rc = twl_coder_init(coder, &config);
            if (rc == 0)
                rc = (int)(decode ? run(coder, encoded, (size_t)size, decoded,
                                        4096, 0)
                                  : run(coder, text, 2000, decoded, 4096,
                                        TWL_FLUSH_END));
            failed = memory.requests >= n;
            CHECK(failed ? rc == TWL_ENOMEM : rc > 0);
            drop(coder);
            CHECK_INT(0, memory.bytes);
        }
        CHECK(!failed);
    }
    memory.fail_at = 0;
    CHECK_INT(0, memory.wrong_sizes);
}

int main(void)
{
    check_begin();
    RUN(what_is_encoded_comes_back);
    RUN(a_flush_lets_the_other_side_have_all);
    RUN(output_stays_within_the_room);
    RUN(noise_is_an_error_until_a_reset);
    RUN(a_wrong_check_sum_is_noticed);
    RUN(bytes_behind_the_end);
    RUN(deflate_may_come_bare);
    RUN(raw_blocks_refer_to_those_before_an_end);
    RUN(settings_out_of_range_are_refused);
    RUN(memory_that_fails_is_an_error);
    return check_end();
}
