/* SPDX-License-Identifier: MIT */
/* llhttp_http1.c -- llhttp, its callbacks noting where the fields are, as a program
 * that uses it must. */
#include <llhttp.h>

#include "http1.h"

struct slice {
    const char *at;
    size_t length;
};

static struct {
    struct slice fields[64], values[64], url;
    unsigned count, complete;
} found;

static int on_url(llhttp_t *parser, const char *at, size_t length)
{
    (void)parser;
    found.url = (struct slice){at, length};
    return 0;
}

static int on_field(llhttp_t *parser, const char *at, size_t length)
{
    (void)parser;
    found.fields[found.count] = (struct slice){at, length};
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t length)
{
    (void)parser;
    found.values[found.count++] = (struct slice){at, length};
    return 0;
}

static int on_complete(llhttp_t *parser)
{
    found.complete = 1 + (unsigned)llhttp_should_keep_alive(parser);
    return 0;
}

static size_t parse(const char *bytes, size_t length, int response)
{
    static llhttp_settings_t SETTINGS = {
        .on_url = on_url,
        .on_header_field = on_field,
        .on_header_value = on_value,
        .on_headers_complete = on_complete,
    };
    llhttp_t parser;

    found.count = found.complete = 0;
    llhttp_init(&parser, response ? HTTP_RESPONSE : HTTP_REQUEST, &SETTINGS);
    if (llhttp_execute(&parser, bytes, length) != HPE_OK || !found.complete)
        exit(1);
    return found.count + found.complete;
}

int main(int argc, char *argv[])
{
    return run(argc, argv, parse);
}
