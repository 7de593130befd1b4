/* SPDX-License-Identifier: MIT
 * http1_chunks_test.c -- the chunked coding. Every text is decoded whole, cut in two at each
 * byte, and byte by byte, each piece at the very end of a block of memory. */
#include "check.h"

static twl_http1_limits limits = TWL_HTTP1_LIMITS_INIT;

struct decoded {
    int rc;
    size_t used, length;
    char body[256];
};

/* Decode one piece that cannot be read beyond. */
static void feed(twl_http1_chunks *chunks, const char *text, size_t length,
                 struct decoded *out)
{
    char *copy = (char *)malloc(length + 1) + 1;
    size_t at = 0, used, data;

    memcpy(copy, text, length);
    do {
        out->rc = twl_http1_chunks_next(chunks, copy + at, length - at, &limits,
                                        &used, &data);
        if (out->rc < 0) break;
        at += used;
        out->used += used;
        memcpy(out->body + out->length, copy + at - data, data);
        out->length += data;
    } while (out->rc == TWL_CHUNK_DATA);
    free(copy - 1);
}

static struct decoded decode(const char *text, size_t first, size_t step)
{
    size_t length = strlen(text), at = 0, next = first;
    twl_http1_chunks chunks;
    struct decoded out;

    memset(&chunks, 0, sizeof chunks);
    memset(&out, 0, sizeof out);
    for (;;) {
        if (next > length) next = length;
        feed(&chunks, text + at, next - at, &out);
        if (out.rc != TWL_CHUNK_MORE || next == length) return out;
        at = next;
        next += step;
    }
}

static struct decoded try(const char *text)
{
    struct decoded whole = decode(text, strlen(text), 1);

    for (size_t cut = 0; cut <= strlen(text); cut++) {
        struct decoded parts = decode(text, cut, cut == 0 ? 1 : strlen(text));
        CHECK_INT(whole.rc, parts.rc);
        if (whole.rc < 0) continue;
        CHECK_INT(whole.used, parts.used);
        CHECK_TEXT(whole.body, parts.body);
    }
    return whole;
}

static void check_body(const char *text, int rc, size_t used, const char *body)
{
    struct decoded out = try(text);

    CHECK_INT(rc, out.rc);
    CHECK_INT(used, out.used);
    CHECK_TEXT(body, out.body);
}

/* RFC 9112 7.1 */
static void chunks_become_a_body(void)
{
    check_body("5\r\nhello\r\n0\r\n\r\n", TWL_CHUNK_LAST, 13, "hello");
    check_body("1\r\na\r\n00A\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
               TWL_CHUNK_LAST, 26, "a0123456789");
    check_body("5;a=b;c=\"d\xe9\t;\"\r\nhello\r\n000;x\r\n", TWL_CHUNK_LAST, 30,
               "hello");
    check_body("5\r\nhe\r\no\r\n", TWL_CHUNK_MORE, 10, "he\r\no");
    check_body("5\r\nhel", TWL_CHUNK_MORE, 6, "hel");
    check_body("", TWL_CHUNK_MORE, 0, "");
    check_body("fffffffffffffff\r\nx", TWL_CHUNK_MORE, 18, "x");
}

struct row {
    const char *text;
    int code;
};

static void malformed_chunks_are_refused(void)
{
    static const struct row ROWS[] = {
        {"\r\n", TWL_EHTTP_CHUNK},
        {"g\r\n", TWL_EHTTP_CHUNK},
        {"-5\r\nhello\r\n", TWL_EHTTP_CHUNK},
        {"+5\r\nhello\r\n", TWL_EHTTP_CHUNK},
        {" 5\r\nhello\r\n", TWL_EHTTP_CHUNK},
        {"5 \r\nhello\r\n", TWL_EHTTP_CHUNK},
        {"5 ;a\r\nhello\r\n", TWL_EHTTP_CHUNK},
        {"5\t\r\nhello\r\n", TWL_EHTTP_CHUNK},
        {"0x5\r\nhello\r\n", TWL_EHTTP_CHUNK},
        {"5_0\r\n", TWL_EHTTP_CHUNK},
        {";a\r\n", TWL_EHTTP_CHUNK},
        {"\n", TWL_EHTTP_CHUNK},
        {"5\nhello\r\n", TWL_EHTTP_BARE_LF},
        {"5\rhello\r\n", TWL_EHTTP_BARE_CR},
        {"5;a\nhello\r\n", TWL_EHTTP_BARE_LF},
        {"5;a\rb\r\nhello\r\n", TWL_EHTTP_BARE_CR},
        {"5;a\x01\r\nhello\r\n", TWL_EHTTP_EXTENSION},
        {"5;\x7f\r\nhello\r\n", TWL_EHTTP_EXTENSION},
        {"1000000000000000\r\n", TWL_EHTTP_CHUNK_SIZE},
        {"ffffffffffffffffff\r\n", TWL_EHTTP_CHUNK_SIZE},
        {"0000000000000001\r\nx", TWL_EHTTP_CHUNK_SIZE},
        {"5\r\nhello!\r\n", TWL_EHTTP_CHUNK_END},
        {"5\r\nhello\n0\r\n", TWL_EHTTP_CHUNK_END},
        {"5\r\nhello\r0\r\n", TWL_EHTTP_CHUNK_END},
        {"5\r\nhello0\r\n", TWL_EHTTP_CHUNK_END},
        {"0\n\n", TWL_EHTTP_BARE_LF},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        if (!CHECK_INT(ROWS[i].code, try(ROWS[i].text).rc))
            printf("  in: %s\n", ROWS[i].text);
    }
}

/* RFC 9112 7.1.1: a limit for all of them together */
static void extensions_are_bounded(void)
{
    limits.extension = 4;
    CHECK_INT(TWL_CHUNK_MORE, try("1;abcd\r\n").rc);
    CHECK_INT(TWL_EHTTP_EXTENSION_SIZE, try("1;abcde\r\n").rc);
    CHECK_INT(TWL_CHUNK_LAST,
              try("4;abcd\r\n1234\r\n4;abcd\r\n1234\r\n0\r\n").rc);
    CHECK_INT(TWL_EHTTP_EXTENSION_SIZE,
              try("1;abc\r\n1\r\n1;abc\r\n1\r\n1;abc\r\n").rc);
    limits.extension = 4096;
}

static void bodies_are_bounded(void)
{
    limits.body = 5;
    CHECK_INT(TWL_CHUNK_LAST, try("2\r\n12\r\n3\r\n123\r\n0\r\n").rc);
    CHECK_INT(TWL_EHTTP_BODY_SIZE, try("2\r\n12\r\n4\r\n").rc);
    CHECK_INT(TWL_EHTTP_BODY_SIZE, try("6\r\n").rc);
    limits.body = UINT64_MAX;
}

static void totals_are_kept(void)
{
    twl_http1_chunks chunks;
    size_t used, data;

    memset(&chunks, 0, sizeof chunks);
    CHECK_INT(TWL_CHUNK_DATA,
              twl_http1_chunks_next(&chunks, "2\r\nab\r\n3\r\nc", 11, NULL,
                                    &used, &data));
    CHECK_INT(5, used);
    CHECK_INT(2, data);
    CHECK_INT(2, chunks.total);
    CHECK_INT(TWL_CHUNK_DATA, twl_http1_chunks_next(&chunks, "\r\n3\r\nc", 6,
                                                    NULL, &used, &data));
    CHECK_INT(6, used);
    CHECK_INT(1, data);
    CHECK_INT(5, chunks.total);
    CHECK_INT(2, chunks.left);
}

static void heads_of_chunks_are_written(void)
{
    static const struct {
        uint64_t size;
        const char *head;
    } ROWS[] = {
        {1, "1\r\n"},
        {15, "f\r\n"},
        {16, "10\r\n"},
        {0xabc0, "abc0\r\n"},
        {UINT64_MAX, "ffffffffffffffff\r\n"},
    };
    char out[TWL_CHUNK_HEAD + 1];

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        size_t length = twl_http1_chunk_head(out, ROWS[i].size);
        out[length] = '\0';
        CHECK_TEXT(ROWS[i].head, out);
    }
    CHECK_INT(0, twl_http1_chunk_head(out, 0));
    CHECK_TEXT("\r\n", TWL_CHUNK_END);
    CHECK_TEXT("0\r\n\r\n", TWL_CHUNK_FINAL);
}

int main(void)
{
    check_begin();
    RUN(chunks_become_a_body);
    RUN(malformed_chunks_are_refused);
    RUN(extensions_are_bounded);
    RUN(bodies_are_bounded);
    RUN(totals_are_kept);
    RUN(heads_of_chunks_are_written);
    return check_end();
}
