/* SPDX-License-Identifier: MIT
 * http_parser_oracle.c -- what http_parser 2.9.4 understands. */
#include <http_parser.h>

#include "oracle.h"

static int on_url(http_parser *parser, const char *at, size_t length)
{
    say(parser->data, 't', at, length);
    return 0;
}

static int on_status(http_parser *parser, const char *at, size_t length)
{
    if (length > 0) say(parser->data, 'r', at, length);
    return 0;
}

static int on_name(http_parser *parser, const char *at, size_t length)
{
    say(parser->data, 'n', at, length);
    return 0;
}

static int on_value(http_parser *parser, const char *at, size_t length)
{
    say(parser->data, 'v', at, length);
    return 0;
}

static int on_body(http_parser *parser, const char *at, size_t length)
{
    say(parser->data, 'b', at, length);
    return 0;
}

static int on_head(http_parser *parser)
{
    struct verdict *out = parser->data;
    char text[64];
    int length;

    length = parser->type == HTTP_RESPONSE
                 ? snprintf(text, sizeof text, "%d", parser->status_code)
                 : snprintf(text, sizeof text, "%s",
                            http_method_str(parser->method));
    say(out, 'm', text, (size_t)length);
    out->keep_alive = http_should_keep_alive(parser);
    out->upgrade = parser->upgrade;
    out->head_done = true;
    return parser->type == HTTP_RESPONSE && is_bodiless(parser->status_code);
}

static int on_complete(http_parser *parser)
{
    struct verdict *out = parser->data;

    say(out, 'e', "", 0);
    out->outcome = COMPLETE;
    http_parser_pause(parser, 1);
    return 0;
}

void http_parser_judge(const char *bytes, size_t length, bool response,
                       struct verdict *out)
{
    static const http_parser_settings settings = {
        .on_url = on_url,
        .on_status = on_status,
        .on_header_field = on_name,
        .on_header_value = on_value,
        .on_headers_complete = on_head,
        .on_body = on_body,
        .on_message_complete = on_complete,
    };
    http_parser parser;
    enum http_errno code;

    memset(out, 0, sizeof *out);
    http_parser_init(&parser, response ? HTTP_RESPONSE : HTTP_REQUEST);
    parser.data = out;
    http_parser_execute(&parser, &settings, bytes, length);
    code = HTTP_PARSER_ERRNO(&parser);
    if (out->outcome != COMPLETE && code != HPE_OK) {
        out->outcome = FAILED;
        out->error = http_errno_name(code);
    }
}
