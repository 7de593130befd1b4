/* SPDX-License-Identifier: MIT
 * http.h -- HTTP/1 messages in Lua: core.http1.
 * lua_http1.c parses, lua_http1_head.c is the heads of messages, lua_http1_body.c decodes bodies,
 * lua_http1_message.c writes; lua_http1_request.c is the requests that a server has got, which
 * lua_http1_channel.c receives and lua_http1_server.c answers; lua_http1_client.c is for clients. */
#ifndef TWL_HTTP_H
#define TWL_HTTP_H

#include <string.h>

#include "context.h"

/* User value 1 of a head is the string that it was parsed from. */
struct twl__head {
    const char *buffer; /* of that string: what the head says are slices */
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
    const twl_http1_limits *limits; /* as above */
    uint32_t fields;
    int head; /* index of the head when there were fewer bytes, or of nil or false */
    int method; /* negative: a request */
};

/* A head with more is parsed anew, with room for them. */
enum { TWL__USUAL_LINES = 48 };

/* What it found. */
struct twl__parsed {
    struct twl__head *made; /* the userdata that is the head, or NULL: it is */
    twl_http1_head head;
    const char *bytes; /* what it speaks of */
    twl_http1_line lines[TWL__USUAL_LINES];
};

/* The bytes of the head; 0: more are needed; or a negative code. A head that was made is at the
 * top, and that of an incomplete message always is. [-0, +(0|1)] */
int twl__http_parse(lua_State *L, const struct twl__parse *parse,
                    struct twl__parsed *to);

/* Push nil, the sentence and name of [code], and the status to answer it with; returns 4. */
int twl__http_error(lua_State *L, int code);

/* Push the head of the message at [string]: [parsed] with its lines copied, which has room for
 * [capacity] of them. [-0, +1] */
struct twl__head *twl__head_push(lua_State *L, twl_context *context, int string,
                                 const twl_http1_head *parsed,
                                 uint32_t capacity);

/* Have the head at [index] speak of the string at [string]. */
void twl__head_rest_on(lua_State *L, int index, int string);

/* The methods get, getAll and fields of a head, whose arguments begin at 2. */
int twl__head_get(lua_State *L, const struct twl__head *head);
int twl__head_get_all(lua_State *L, const struct twl__head *head);
int twl__head_fields(lua_State *L, const struct twl__head *head);

/* Push what stands for the body in Lua: 0, its length, "chunked" or "rest". [-0, +1] */
void twl__push_body(lua_State *L, const twl_http1_head *parsed);

/* ---- Requests ---------------------------------------------------------------------------- */

/* Bytes that the fields of most responses need fewer than, and how many these are. */
enum { TWL__FIELDS_ROOM = 120, TWL__FIELDS_USUAL = 4 };

/* A request that a server has got, and what it answers: a userdata whose metatable is a class of
 * Lua. What most requests do without is in a table of its own, made when it is needed. */
struct twl__request {
    const void *mark; /* that it is one */
    uint16_t code;    /* of the response */
    bool finished;
    bool more;   /* it has what the usual way of answering leaves out */
    bool owns;   /* the table */
    bool stored; /* the response's fields are in a store, in that table */
    bool typed;  /* one of those below is Content-Type */
    /* Else they are here, as they will be sent. */
    uint8_t count, length;
    struct {
        uint8_t field, name_length, length; /* of the line, in bytes */
    } said[TWL__FIELDS_USUAL];
    char fields[TWL__FIELDS_ROOM];
};

static inline const struct twl__head *
twl__request_head(const struct twl__request *request)
{
    return (const struct twl__head *)(const void *)(request + 1);
}

/* Push a request with the head [parsed], which is the [length] bytes at [bytes] and keeps a copy of
 * them; it came by the channel at [channel], and its metatable is at [metatable]. [-0, +1] */
void twl__request_push(lua_State *L, const twl_http1_head *parsed,
                       const char *bytes, size_t length, int channel,
                       int metatable);

/* Push the metatable of requests of the class at [index], or nil where that is none. [-0, +1] */
int twl__request_push_metatable(lua_State *L, int index);

/* The request at [index]. Where there is none: NULL, or an error is raised. */
struct twl__request *twl__request_test(lua_State *L, int index);
struct twl__request *twl__request_check(lua_State *L, int index);

/* Push the store of the response's fields, or false. [-0, +1] */
void twl__request_push_store(lua_State *L, struct twl__request *request,
                             int index);

/* ---- Writing ----------------------------------------------------------------------------- */

/* Bytes that most messages need fewer than. */
enum { TWL__USUAL_MESSAGE = 2048 };

/* Where a message is put together. What finds no room is only counted. */
struct twl__out {
    char *at;
    size_t room, length;
};

void twl__out_bytes(struct twl__out *out, const char *bytes, size_t length);

static inline void twl__out_text(struct twl__out *out, const char *text)
{
    twl__out_bytes(out, text, strlen(text));
}

/* The line of a field. */
void twl__out_field(struct twl__out *out, const char *name, size_t name_length,
                    const char *value, size_t length);

/* The line that tells how long the body is. */
void twl__out_length(struct twl__out *out, uint64_t length);

/* All fields of the store of fields at [store], which may be none. [-0, +0] */
void twl__out_store(lua_State *L, int store, struct twl__out *out);

/* Write a name as it is spelt usually: [field] is its number. */
void twl__http_write_name(char *at, int field, const char *name, size_t length);

/* Whether the framing, the connection or what is always sent depends on it. */
bool twl__http_is_special(int field);

/* Whether it may be a value as it is, and need not be trimmed. */
bool twl__http_is_clean(const char *value, size_t length);

/* setField(store, name, value) -> store, which is made where it was false */
int twl__http_set_field(lua_State *L);

/* Add their functions to the table at the top. [-0, +0] */
void twl__open_http1_heads(lua_State *L, twl_context *context);
void twl__open_http1_bodies(lua_State *L, twl_context *context);
void twl__open_http1_messages(lua_State *L, twl_context *context);
void twl__open_http1_requests(lua_State *L, twl_context *context);
void twl__open_http1_server(lua_State *L, twl_context *context);
void twl__open_http1_client(lua_State *L, twl_context *context);

#endif
