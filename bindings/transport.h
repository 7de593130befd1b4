/* SPDX-License-Identifier: MIT
 * transport.h -- transports: connected streams as protocols see them.
 * transport_events.c carries what happens to the stream into Lua, lua_transport.c is the face.
 * The user value is the registered producer; the protocol stands in a table of its own under the
 * transport's slot, where an event finds it at once. Both are given up when the connection is
 * lost. A transport is anchored from its making until then. */
#ifndef TWL_TRANSPORT_H
#define TWL_TRANSPORT_H

#include "context.h"

enum { VALUE_PRODUCER = 1 };

struct twl__transport {
    twl_context *context;
    size_t output_limit; /* pending bytes with which no more may be written */
    int slot;
    bool half_close : 1; /* the protocol has readConnectionLost */
    bool has_producer : 1;
    bool streaming : 1; /* it is a push producer */
    bool producer_paused : 1;
    bool
        gone : 1; /* connectionLost was called: nothing of the stream is left */
    bool telling_limit : 1; /* outputLimitExceeded is on the stack */
};

enum { TWL__OUTPUT_LIMIT = 64 * 1024 * 1024 }; /* unless it is set */

static inline twl_stream *
twl__transport_stream(struct twl__transport *transport)
{
    return (twl_stream *)(void *)(transport + 1);
}

/* Push a transport around the connected [fd], which it owns once this returns. [peer] may be
 * NULL. [-0, +1] */
void twl__transport_push(lua_State *L, twl_context *context, int fd,
                         const twl_address *peer);

/* Close the transport with the Failure at the top as the reason of connectionLost; [code] tells
 * twl_stream_abort() how. May raise a memory error. [-1, +0] */
void twl__transport_fail(lua_State *L, struct twl__transport *transport,
                         int code);

/* As above for a Failure that user code raised: it is logged as well, and nothing is raised.
 * [-1, +0] */
void twl__transport_raised(lua_State *L, struct twl__transport *transport);

/* Have lost(transport, protocol, failure or nil, sentence, name, errno or nil), the function at
 * the top, called for every transport that ends. [-1, +0] */
void twl__transport_set_lost(lua_State *L);

/* The protocol, or nil. [-0, +1]; and set it to what is at the top. [-1, +0] */
void twl__transport_push_protocol(lua_State *L,
                                  struct twl__transport *transport);
void twl__transport_set_protocol(lua_State *L,
                                 struct twl__transport *transport);

/* Look at how much output is pending, of which [added] bytes were written just now by the
 * transport at index 1. */
void twl__transport_written(lua_State *L, struct twl__transport *transport,
                            size_t added);

/* Write a few bytes, which nobody has to hear of. False: that is not so, and nothing was done. */
bool twl__transport_write_few(struct twl__transport *transport,
                              const char *bytes, size_t length);

/* dataReceived() of HTTPChannel, in lua_http1_channel.c, and of WebSocketProtocol, in
 * websocket_protocol.c. A transport calls them without the bytes that came: they are the context's
 * arrival. */
int twl__http1_received(lua_State *L);
int twl__websocket_received(lua_State *L);

/* Transport:writeFile(), in lua_openfile.c. */
int twl__transport_write_file(lua_State *L);

/* Have exceeded(transport, protocol, pending), the function at the top, called when something is
 * written while more than the limit is pending. [-1, +0] */
void twl__transport_set_exceeded(lua_State *L);

/* ---- TLS -------------------------------------------------------------------------------- */

/* NULL for a plain transport, or one whose connection is lost. */
const twl_tls *twl__transport_tls(struct twl__transport *transport);

/* handshakeCompleted, where the protocol has it. */
void twl__transport_on_handshake(twl_stream *stream);

/* The handshake is done, or will never be: give up what is kept for it. [-0, +0] */
void twl__transport_forget_tls(lua_State *L, struct twl__transport *transport);

/* Add the methods, and the functions of core.transport, to the table at the top. [-0, +0] */
void twl__transport_tls_methods(lua_State *L, twl_context *context);
void twl__transport_tls_functions(lua_State *L, twl_context *context);

/* Prepare the registry, once. [-0, +0] */
void twl__transport_events_open(lua_State *L, twl_context *context);

#endif
