/* SPDX-License-Identifier: MIT
 * http1_scan_test.c -- each shape of each scan against a plain loop: every byte at every place
 * of runs of every length up to a few registers, at the end of a block that is just long
 * enough. */
#include "check.h"
#include "http1_scan.h"

enum { LONGEST = 50 };

typedef const char *(*scan_fn)(const char *at, const char *end);

static void compare(scan_fn scan, int kind, char filler)
{
    for (int length = 0; length <= LONGEST; length++) {
        char *bytes = (char *)malloc((size_t)length + 1) + 1;
        for (int place = 0; place < length; place++) {
            for (int byte = 0; byte < 256; byte++) {
                memset(bytes, filler, (size_t)length);
                bytes[place] = (char)byte;
                CHECK_INT(scan_bytes(bytes, bytes + length, kind) - bytes,
                          scan(bytes, bytes + length) - bytes);
            }
        }
        free(bytes - 1);
    }
}

static void words_stop_where_a_plain_loop_does(void)
{
    compare(word_scan_value, VALUE, 'x');
    compare(word_scan_value, VALUE, '\t');
    compare(word_scan_target, TARGET, '/');
    compare(word_scan_token, TOKEN, 'x');
}

static void registers_stop_where_a_plain_loop_does(void)
{
    compare(scan_value, VALUE, 'x');
    compare(scan_value, VALUE, '\xe9');
    compare(scan_target, TARGET, '/');
    compare(scan_token, TOKEN, 'x');
    compare(scan_token, TOKEN, '_');
}

/* RFC 9110 5.6.2, RFC 9110 5.5, RFC 3986 3.2.2; targets as http1_names.c says. */
static void classes_are_those_of_the_grammar(void)
{
    for (int i = 1; i < 256; i++) {
        bool visible = i > 0x20 && i < 0x7f;
        bool word =
            (i >= '0' && i <= '9') || ((i | 32) >= 'a' && (i | 32) <= 'z');
        CHECK_INT(word || strchr("!#$%&'*+-.^_`|~", i), may_be((char)i, TOKEN));
        CHECK_INT(visible || i >= 0x80 || i == ' ' || i == '\t',
                  may_be((char)i, VALUE));
        CHECK_INT(visible && !strchr("\"#<>", i), may_be((char)i, TARGET));
        CHECK_INT(word || strchr("-._~!$&'()*+,;=%", i),
                  may_be((char)i, REG_NAME));
    }
    CHECK(!may_be('\0', TOKEN | VALUE | TARGET | REG_NAME));
}

int main(void)
{
    check_begin();
    RUN(words_stop_where_a_plain_loop_does);
    RUN(registers_stop_where_a_plain_loop_does);
    RUN(classes_are_those_of_the_grammar);
    return check_end();
}
