/* SPDX-License-Identifier: MIT */
/* http_parser_http1.c -- http_parser, its callbacks noting where the fields are, as a program
 * that uses it must. */
#include <http_parser.h>

#include "http1.h"

struct slice {
    const char *at;
    size_t length;
};

static struct {
    struct slice fields[64], values[64], url;
    unsigned count, complete;
} found;

static int on_url(http_parser *parser, const char *at, size_t length)
{
    (void)parser;
    found.url = (struct slice){at, length};
    return 0;
}

static int on_field(http_parser *parser, const char *at, size_t length)
{
    (void)parser;
    found.fields[found.count] = (struct slice){at, length};
    return 0;
}

static int on_value(http_parser *parser, const char *at, size_t length)
{
    (void)parser;
    found.values[found.count++] = (struct slice){at, length};
    return 0;
}

static int on_complete(http_parser *parser)
{
    found.complete = 1 + (unsigned)http_should_keep_alive(parser);
    return 0;
}

static size_t parse(const char *bytes, size_t length, int response)
{
    static const http_parser_settings SETTINGS = {
        .on_url = on_url,
        .on_header_field = on_field,
        .on_header_value = on_value,
        .on_headers_complete = on_complete,
    };
    http_parser parser;

    found.count = found.complete = 0;
    http_parser_init(&parser, response ? HTTP_RESPONSE : HTTP_REQUEST);
    if (http_parser_execute(&parser, &SETTINGS, bytes, length) != length ||
        !found.complete)
        exit(1);
    return found.count + found.complete;
}

int main(int argc, char *argv[])
{
    return run(argc, argv, parse);
}
