/* SPDX-License-Identifier: MIT
 * transport_output.c -- what a transport does when the other side reads more slowly than the
 * protocol writes: it pauses a push producer, and past a limit it tells the protocol. */
#include "transport.h"

enum {
    HIGH_WATER =
        64 * 1024 /* pending bytes at which a push producer is paused */
};

static const char EXCEEDED_KEY;

/* Call the function at the top with what is below it; what it raises costs the connection.
 * [-count-1, +0] */
static void call_or_fail(lua_State *L, struct twl__transport *transport,
                         int count)
{
    int handler = lua_gettop(L) - count;

    lua_pushcfunction(L, twl__failure_handler);
    lua_insert(L, handler);
    if (lua_pcall(L, count, 0, handler) != LUA_OK)
        twl__transport_raised(L, transport);
    lua_remove(L, handler);
}

static void pause_producer(lua_State *L, struct twl__transport *transport)
{
    transport->producer_paused = true;
    lua_getiuservalue(L, 1, VALUE_PRODUCER);
    lua_getfield(L, -1, "pauseProducing");
    lua_insert(L, -2);
    call_or_fail(L, transport, 1);
}

static void tell_limit(lua_State *L, struct twl__transport *transport)
{
    twl_stream *stream = twl__transport_stream(transport);

    transport->telling_limit = true;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &EXCEEDED_KEY);
    lua_pushvalue(L, 1);
    twl__transport_push_protocol(L, transport);
    lua_pushinteger(L, (lua_Integer)twl_stream_buffered(stream));
    call_or_fail(L, transport, 3);
    transport->telling_limit = false;
}

void twl__transport_written(lua_State *L, struct twl__transport *transport,
                            size_t added)
{
    twl_stream *stream = twl__transport_stream(transport);
    size_t pending = twl_stream_buffered(stream);

    if (pending <= HIGH_WATER && pending <= transport->output_limit) return;
    if (pending > HIGH_WATER && transport->has_producer &&
        transport->streaming && !transport->producer_paused)
        pause_producer(L, transport);
    if (pending > added && pending - added > transport->output_limit &&
        !transport->telling_limit &&
        (transport->has_producer || twl_stream_open(stream)))
        tell_limit(L, transport);
}

bool twl__transport_write_few(struct twl__transport *transport,
                              const char *bytes, size_t length)
{
    twl_stream *stream = twl__transport_stream(transport);
    size_t pending = twl_stream_buffered(stream) + length;

    if (pending > HIGH_WATER || pending > transport->output_limit) return false;
    return twl_stream_write(stream, bytes, length) == 0;
}

void twl__transport_set_exceeded(lua_State *L)
{
    lua_rawsetp(L, LUA_REGISTRYINDEX, &EXCEEDED_KEY);
}
