/* SPDX-License-Identifier: MIT
 * http_names.h -- names of fields as upvalues, for what is done with each request: these functions
 * all have the same, so that no name need be looked up. */
#ifndef TWL_HTTP_NAMES_H
#define TWL_HTTP_NAMES_H

#include "http.h"

/* Besides the context and the metatable of transports. */
enum upvalue {
    TRANSPORTS = 2,
    SERVICE,
    INPUT,
    AT,
    HEAD,
    FACTORY,
    LIMITS,
    CLASS,
    REQUEST,
    TRANSPORT,
    KEEP_ALIVE,
    UNREAD,
    DEADLINE,
    LINES,
    LINES_WITH_TYPE,
    CONTENT_TYPE,
    LOG,
    PROCESS,
    SITE_PROCESS,
    ANSWER,
    RESOURCE,
    IS_LEAF,
    GET_RESOURCE,
    RENDER,
    RENDER_GET,
    LAST = RENDER_GET
};

/* Push the field of the table at [index]. [-0, +1] */
static inline int get(lua_State *L, int index, enum upvalue name)
{
    lua_pushvalue(L, lua_upvalueindex(name));
    return lua_rawget(L, index);
}

/* Likewise, of an object, whose class may have it. */
static inline int member(lua_State *L, int index, enum upvalue name)
{
    lua_pushvalue(L, lua_upvalueindex(name));
    return lua_gettable(L, index);
}

static inline bool is_set(lua_State *L, int index, enum upvalue name)
{
    bool set;

    get(L, index, name);
    set = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return set;
}

static inline void set_boolean(lua_State *L, int index, enum upvalue name,
                               bool value)
{
    lua_pushvalue(L, lua_upvalueindex(name));
    lua_pushboolean(L, value);
    lua_rawset(L, index);
}

/* ---- Services (lua_http1_service.c) -------------------------------------------------------- */

/* What holds for all requests of a channel: decided when that opens. A userdata. */
struct twl__service {
    const void *mark; /* that it is one */
    const twl_http1_limits *limits;
    uint32_t fields;
    bool as_sites_do; /* its class lets sites process its requests as usual */
};

/* Its user values: the factory, which has the limits and the class; the metatable of requests. */
enum {
    TWL__SERVICE_FACTORY = 1,
    TWL__SERVICE_LIMITS,
    TWL__SERVICE_CLASS,
    TWL__SERVICE_METATABLE
};

/* The service at [index], or NULL. */
struct twl__service *twl__service_test(lua_State *L, int index);

/* service(factory) -> the service of its channels; the same as long as nothing has changed */
int twl__http1_service(lua_State *L);

/* ---- Channels (lua_http1_channel.c) -------------------------------------------------------- */

/* A channel whose requests are being served by a function on the stack of C. */
struct twl__serving {
    const struct twl__serving *outer;
    const void *channel;
};

/* Whether the channel at [index] is one. */
bool twl__http_is_serving(lua_State *L, int index);

/* ---- Serving (lua_http1_server.c) ---------------------------------------------------------- */

/* serve(channel, special) -> true where there is nothing left to serve */
int twl__http1_serve(lua_State *L);

/* ---- Responses (lua_http1_response.c) ------------------------------------------------------ */

struct twl__transport;

/* Where the values stand: the request and the body, which may be anything; the factory; and the
 * transport, or what is none of ours. */
struct twl__response {
    int channel, factory, request, body;
    struct twl__transport *transport;
};

/* Push the transport of the channel, and return it where that is one of ours, as [known] is, which
 * may be NULL. [-0, +1] */
struct twl__transport *twl__http_transport(lua_State *L, int channel,
                                           struct twl__transport *known);

/* Write the whole response, which is marked as finished, if there is nothing special about it.
 * False: nothing was done. [-0, +0] */
bool twl__http_respond(lua_State *L, const struct twl__response *response);

/* The channel may go on with the next request. */
void twl__http_be_over(lua_State *L, int channel);

/* respond(channel, request, body) -> nil     it is not plain, or too long: nothing was done
 *                                  | false   it is written
 *                                  | true    likewise, and there is nothing else to do */
int twl__http1_respond(lua_State *L);

/* ---- Rendering (lua_http1_render.c) -------------------------------------------------------- */

/* Push the method of the resource that answers the request, or nil. [-0, +1] */
int twl__http_push_render(lua_State *L, int resource, int request);

/* render(resource, request) -> what its render_METHOD returns, or what its _unsupported does */
int twl__http1_render(lua_State *L);

#endif
