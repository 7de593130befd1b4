/* SPDX-License-Identifier: MIT
 * http.h -- HTTP/1 messages in Lua: core.http1.
 * lua_http1.c parses, lua_http1_head.c is the heads of messages, lua_http1_body.c decodes bodies,
 * lua_http1_message.c writes; lua_http1_server.c does what a server does for each request. */
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

/* A call of the parser: of a request, or of the response to one with [method]. */
struct twl__parse {
    twl_context *context;
    int string;       /* index of the bytes */
    lua_Integer from; /* where the message begins in them, counted from 1 */
    int limits;       /* index, as above */
    int head; /* index of the head when there were fewer bytes, or of nil or false */
    int method; /* negative: a request */
};

/* The bytes of the head; 0: more are needed; or a negative code. But for that, the head is at the
 * top. [-0, +(0|1)] */
int twl__http_parse(lua_State *L, const struct twl__parse *parse);

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

/* ---- Writing ----------------------------------------------------------------------------- */

enum {
    TWL__USUAL_MESSAGE = 2048 /* bytes that most messages need fewer than */
};

/* Where a message is put together. What finds no room is only counted. */
struct twl__out {
    char *at;
    size_t room, length;
};

void twl__out_bytes(struct twl__out *out, const char *bytes, size_t length);

/* The line that tells how long the body is. */
void twl__out_length(struct twl__out *out, uint64_t length);

/* All fields of the store of fields at [store], which may be none. [-0, +0] */
void twl__out_store(lua_State *L, int store, struct twl__out *out);

/* setField(store, name, value) -> store, which is made where it was false */
int twl__http_set_field(lua_State *L);

/* Add their functions to the table at the top. [-0, +0] */
void twl__open_http1_heads(lua_State *L, twl_context *context);
void twl__open_http1_bodies(lua_State *L, twl_context *context);
void twl__open_http1_messages(lua_State *L, twl_context *context);
void twl__open_http1_server(lua_State *L, twl_context *context);

#endif
