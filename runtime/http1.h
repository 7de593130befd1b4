/* SPDX-License-Identifier: MIT
 * http1.h -- what the parts of the HTTP/1 parser share. */
#ifndef TWL_HTTP1_H
#define TWL_HTTP1_H

#include "twistlua.h"

/* The number of a field name that is a token, of [length] bytes. */
int twl__http1_field(const char *name, size_t length);

/* Recognise the form of head->target, and find the authority in it. */
int twl__http1_target(const char *buffer, twl_http1_head *head);

/* What the fields say about body and connection. */
int twl__http1_frame_request(const char *buffer, const twl_http1_limits *limits,
                             twl_http1_head *head);
int twl__http1_frame_response(const char *buffer, int method,
                              const twl_http1_limits *limits,
                              twl_http1_head *head);
void twl__http1_mark_forbidden(twl_http1_head *head);

/* What is in force: [limits], the defaults for NULL, or [own] where those are of a program of
 * another version. NULL if they cannot be understood. */
const twl_http1_limits *twl__http1_limits(const twl_http1_limits *limits,
                                          twl_http1_limits *own);

/* For error.c: NULL for a code that is not the parser's. */
const char *twl__http1_error_name(int code);
const char *twl__http1_error_message(int code);

#endif
