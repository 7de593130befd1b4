/* SPDX-License-Identifier: MIT
 * transport_events.c -- from the stream to the protocol.
 * A method of the protocol that raises is logged and costs it this connection: the Failure is
 * kept in FAILURES and becomes the reason of connectionLost. */
#include "transport.h"

#include <string.h>

#include "tls.h"

static const char LOST_KEY, FAILURES_KEY;

struct event {
    struct twl__transport *transport;
    const char *bytes, *method;
    size_t length;
    int reason;
};

void twl__transport_push_protocol(lua_State *L,
                                  struct twl__transport *transport)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, transport->context->protocols);
    lua_rawgeti(L, -1, transport->slot);
    lua_replace(L, -2);
}

void twl__transport_set_protocol(lua_State *L, struct twl__transport *transport)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, transport->context->protocols);
    lua_insert(L, -2);
    lua_rawseti(L, -2, transport->slot);
    lua_pop(L, 1);
}

/* Whether the dataReceived is one that looks for the bytes where they are. */
static bool takes_arrivals(lua_CFunction method)
{
    return method == twl__http1_received || method == twl__websocket_received;
}

static int call_data_received(lua_State *L)
{
    struct event *event = lua_touserdata(L, 1);

    twl__transport_push_protocol(L, event->transport);
    lua_getfield(L, -1, "dataReceived");
    lua_insert(L, -2);
    if (takes_arrivals(lua_tocfunction(L, -2))) {
        event->transport->context->arrival = (struct twl__arrival){
            event->bytes, event->length, event->transport};
        lua_call(L, 1, 0);
    } else {
        lua_pushlstring(L, event->bytes, event->length);
        lua_call(L, 2, 0);
    }
    return 0;
}

/* Call the event's method of the object at the top, where there is one. */
static int call_method(lua_State *L, const struct event *event)
{
    if (lua_getfield(L, -1, event->method) == LUA_TNIL) return 0;
    lua_insert(L, -2);
    lua_call(L, 1, 0);
    return 0;
}

static int call_protocol(lua_State *L)
{
    struct event *event = lua_touserdata(L, 1);

    twl__transport_push_protocol(L, event->transport);
    return call_method(L, event);
}

static int call_producer(lua_State *L)
{
    struct event *event = lua_touserdata(L, 1);
    struct twl__transport *transport = event->transport;

    twl__push_object(L, &transport->context->transports, transport->slot);
    lua_getiuservalue(L, -1, VALUE_PRODUCER);
    return call_method(L, event);
}

void twl__transport_fail(lua_State *L, struct twl__transport *transport,
                         int code)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &FAILURES_KEY);
    lua_insert(L, -2);
    lua_rawsetp(L, -2, transport);
    lua_pop(L, 1);
    twl_stream_abort(twl__transport_stream(transport), code);
}

static int keep_failure(lua_State *L)
{
    twl__transport_fail(L, lua_touserdata(L, 1), TWL_ECANCELED);
    return 0;
}

void twl__transport_raised(lua_State *L, struct twl__transport *transport)
{
    lua_pushcfunction(L, keep_failure);
    lua_pushlightuserdata(L, transport);
    lua_pushvalue(L, -3);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
        lua_pop(L, 1); /* no memory to keep the reason */
        twl_stream_abort(twl__transport_stream(transport), TWL_ECANCELED);
    }
    twl__report(L, "Unhandled Error");
}

static void deliver(struct event *event, lua_CFunction body)
{
    if (twl__try(event->transport->context, body, event) != LUA_OK)
        twl__transport_raised(event->transport->context->L, event->transport);
}

static void on_read(twl_stream *stream, const char *bytes, size_t length)
{
    struct event event = {.transport = twl_stream_context(stream),
                          .bytes = bytes,
                          .length = length};
    twl_context *context = event.transport->context;

    deliver(&event, call_data_received);
    twl__arrival_take(context); /* where it was not looked at */
}

static void on_end(twl_stream *stream)
{
    struct event event = {.transport = twl_stream_context(stream),
                          .method = "readConnectionLost"};

    if (event.transport->half_close)
        deliver(&event, call_protocol);
    else
        twl_stream_abort(stream, TWL_EEOF);
}

static void on_shutdown(twl_stream *stream)
{
    struct event event = {.transport = twl_stream_context(stream),
                          .method = "writeConnectionLost"};
    deliver(&event, call_protocol);
}

static void on_drain(twl_stream *stream)
{
    struct event event = {.transport = twl_stream_context(stream),
                          .method = "resumeProducing"};

    if (event.transport->streaming && !event.transport->producer_paused) return;
    event.transport->producer_paused = false;
    deliver(&event, call_producer);
}

static int call_handshake(lua_State *L)
{
    struct event *event = lua_touserdata(L, 1);

    twl__transport_forget_tls(L, event->transport);
    return call_protocol(L);
}

void twl__transport_on_handshake(twl_stream *stream)
{
    struct event event = {.transport = twl_stream_context(stream),
                          .method = "handshakeCompleted"};
    deliver(&event, call_handshake);
}

/* lost(transport, protocol, failure or nil, sentence, name, errno or nil) */
static int call_lost(lua_State *L)
{
    struct event *event = lua_touserdata(L, 1);
    struct twl__transport *transport = event->transport;
    enum { LOST = 2, USERDATA, PROTOCOL, FAILURE };

    lua_rawgetp(L, LUA_REGISTRYINDEX, &LOST_KEY);
    twl__push_object(L, &transport->context->transports, transport->slot);
    twl__transport_push_protocol(L, transport);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &FAILURES_KEY);
    lua_rawgetp(L, FAILURE, transport);
    lua_pushnil(L);
    lua_rawsetp(L, FAILURE, transport);
    lua_remove(L, FAILURE);
    lua_pushnil(L);
    twl__transport_set_protocol(L, transport);
    lua_pushnil(L);
    lua_setiuservalue(L, USERDATA, VALUE_PRODUCER);
    twl__transport_forget_tls(L, transport);
    twl__release(L, &transport->context->transports, &transport->slot);
    if (lua_isnil(L, PROTOCOL)) return 0; /* refused before it had one */
    twl__tls_push_failure(L, twl__transport_tls(transport), event->reason);
    lua_remove(L, FAILURE + 1); /* its nil */
    lua_call(L, 6, 0);
    return 0;
}

static void on_closed(twl_stream *stream, int reason)
{
    struct event event = {.transport = twl_stream_context(stream),
                          .method = "stopProducing",
                          .reason = reason};
    twl_context *context = event.transport->context;
    lua_State *L = context->L;

    if (event.transport->has_producer) {
        event.transport->has_producer = false;
        twl__call(context, call_producer, &event,
                  "Unhandled error in a producer");
    }
    /* It is not anchored any more when it is told so. */
    twl__push_object(L, &context->transports, event.transport->slot);
    twl__call(context, call_lost, &event, "Unhandled error in connectionLost");
    event.transport->gone = true;
    lua_pop(L, 1);
}

static const twl_stream_events EVENTS = {on_read, on_end, on_shutdown, on_drain,
                                         on_closed};

void twl__transport_push(lua_State *L, twl_context *context, int fd,
                         const twl_address *peer)
{
    struct twl__transport *transport = twl__object_new(
        L, &context->transports, sizeof *transport + twl_stream_size(), 1);

    memset(transport, 0, sizeof *transport);
    transport->context = context;
    transport->output_limit = TWL__OUTPUT_LIMIT;
    twl__anchor(L, &context->transports, &transport->slot, -1);
    twl_stream_init(twl__transport_stream(transport), context->reactor, fd,
                    peer, &EVENTS, transport);
}

void twl__transport_set_lost(lua_State *L)
{
    lua_rawsetp(L, LUA_REGISTRYINDEX, &LOST_KEY);
}

void twl__transport_events_open(lua_State *L, twl_context *context)
{
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &FAILURES_KEY);
    lua_newtable(L);
    context->protocols = luaL_ref(L, LUA_REGISTRYINDEX);
}
