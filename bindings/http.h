/* SPDX-License-Identifier: MIT
 * http.h -- HTTP/1 messages in Lua: core.http1.
 * lua_http1.c parses, lua_http1_head.c is the heads of messages, lua_http1_body.c decodes bodies,
 * lua_http1_message.c writes. */
#ifndef TWL_HTTP_H
#define TWL_HTTP_H

#include "context.h"

/* User value 1 of a head is the string that it was parsed from. */
struct twl__head {
    const char
        *buffer; /* of that string; what the head says are slices of it */
    twl_http1_head parsed;
    twl_http1_line lines[];
};

/* The limits at [index], which may be nil: the default ones, and how many fields there may be. */
const twl_http1_limits *twl__http_limits(lua_State *L, twl_context *context,
                                         int index, uint32_t *fields);

/* Push nil, the sentence and name of [code], and the status to answer it with; returns 4. */
int twl__http_error(lua_State *L, int code);

/* Push the head of the message at [string]: [parsed] with its lines copied, which has room for
 * [capacity] of them. [-0, +1] */
struct twl__head *twl__head_push(lua_State *L, twl_context *context, int string,
                                 const twl_http1_head *parsed,
                                 uint32_t capacity);

/* Have the head at [index] speak of the string at [string]. */
void twl__head_rest_on(lua_State *L, int index, int string);

/* Push what stands for the body in Lua: 0, its length, "chunked" or "rest". [-0, +1] */
void twl__push_body(lua_State *L, const twl_http1_head *parsed);

/* Add their functions to the table at the top. [-0, +0] */
void twl__open_http1_heads(lua_State *L, twl_context *context);
void twl__open_http1_bodies(lua_State *L, twl_context *context);
void twl__open_http1_messages(lua_State *L, twl_context *context);

#endif
