/* SPDX-License-Identifier: MIT
 * oracle.h -- what one parser of HTTP/1 understands of the first message in some bytes, written
 * down so that two can be compared. The parsers that we compare with are a file each, since
 * their headers cannot be had together. */
#ifndef TWL_ORACLE_H
#define TWL_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum outcome { INCOMPLETE, COMPLETE, FAILED };

struct verdict {
    enum outcome outcome;
    int code;          /* of ours, when FAILED */
    const char *error; /* its name, when FAILED */
    bool keep_alive, upgrade, head_done;
    int part; /* of [said] that is being written */
    size_t length;
    char
        said[8192]; /* method, target, status, reason, fields, body, trailers */
};

void llhttp_judge(const char *bytes, size_t length, bool response,
                  struct verdict *out);
void http_parser_judge(const char *bytes, size_t length, bool response,
                       struct verdict *out);

/* These two leave it to their caller to know that some responses have no body whatever their
 * fields say: RFC 9112 6.3 (1). */
static inline bool is_bodiless(int status)
{
    return status < 200 || status == 204 || status == 304;
}

/* Append [bytes] to the part [part], which is begun, by its letter, unless it is the last one
 * written. Spaces around values are nobody's business. */
static inline void say(struct verdict *out, int part, const char *bytes,
                       size_t length)
{
    if (out->part != part) {
        if (out->part == 'v') {
            while (out->said[out->length - 1] == ' ' ||
                   out->said[out->length - 1] == '\t')
                out->length--;
        }
        out->said[out->length++] = '\n';
        out->said[out->length++] = (char)part;
        out->said[out->length++] = '=';
        out->part = part;
    }
    if (out->length + length + 8 > sizeof out->said) return;
    memcpy(out->said + out->length, bytes, length);
    out->length += length;
}

#endif
