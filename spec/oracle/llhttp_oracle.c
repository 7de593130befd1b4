/* SPDX-License-Identifier: MIT
 * llhttp_oracle.c -- what llhttp 8.1.0 understands. */
#include <llhttp.h>

#include "oracle.h"

static int on_url(llhttp_t *parser, const char *at, size_t length)
{
    say(parser->data, 't', at, length);
    return 0;
}

static int on_status(llhttp_t *parser, const char *at, size_t length)
{
    if (length > 0) say(parser->data, 'r', at, length);
    return 0;
}

static int on_name(llhttp_t *parser, const char *at, size_t length)
{
    say(parser->data, 'n', at, length);
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t length)
{
    say(parser->data, 'v', at, length);
    return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t length)
{
    say(parser->data, 'b', at, length);
    return 0;
}

static int on_head(llhttp_t *parser)
{
    struct verdict *out = parser->data;
    char text[64];
    int length;

    length = parser->type == HTTP_RESPONSE
                 ? snprintf(text, sizeof text, "%d", parser->status_code)
                 : snprintf(text, sizeof text, "%s",
                            llhttp_method_name(parser->method));
    say(out, 'm', text, (size_t)length);
    out->keep_alive = llhttp_should_keep_alive(parser);
    out->upgrade = parser->upgrade;
    out->head_done = true;
    return parser->type == HTTP_RESPONSE && is_bodiless(parser->status_code);
}

static int on_complete(llhttp_t *parser)
{
    struct verdict *out = parser->data;

    say(out, 'e', "", 0);
    out->outcome = COMPLETE;
    return HPE_PAUSED;
}

void llhttp_judge(const char *bytes, size_t length, bool response,
                  struct verdict *out)
{
    static llhttp_settings_t settings = {
        .on_url = on_url,
        .on_status = on_status,
        .on_header_field = on_name,
        .on_header_value = on_value,
        .on_headers_complete = on_head,
        .on_body = on_body,
        .on_message_complete = on_complete,
    };
    llhttp_t parser;
    llhttp_errno_t code;

    memset(out, 0, sizeof *out);
    llhttp_init(&parser, response ? HTTP_RESPONSE : HTTP_REQUEST, &settings);
    parser.data = out;
    code = llhttp_execute(&parser, bytes, length);
    if (out->outcome != COMPLETE && code != HPE_OK) {
        out->outcome = FAILED;
        out->error = llhttp_errno_name(code);
    }
}
