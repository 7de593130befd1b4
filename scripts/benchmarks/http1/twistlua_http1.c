/* SPDX-License-Identifier: MIT */
/* twistlua_http1.c -- our parser: all fields found and recognised, the framing decided. */
#include "http1.h"
#include "twistlua.h"

static size_t parse(const char *bytes, size_t length, int response)
{
    twl_http1_line lines[64];
    twl_http1_head head;
    int rc;

    twl_http1_head_init(&head, lines, 64);
    rc = response ? twl_http1_parse_response(bytes, length, TWL_METHOD_GET,
                                             NULL, &head)
                  : twl_http1_parse_request(bytes, length, NULL, &head);
    if (rc != (int)length) exit(1);
    return head.count + head.keep_alive;
}

int main(int argc, char *argv[])
{
    return run(argc, argv, parse);
}
