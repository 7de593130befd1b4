/* SPDX-License-Identifier: MIT
 * lua_transport.c -- transports: the methods and fields that protocols use. */
#include "transport.h"

#include "sandbox.h"

#include <string.h>

#include "tls.h"

static const char ADDRESS_KEY, HELD_KEY;

enum {
    HELD_SIZE =
        8 * 1024 /* strings from this length on are sent from where they lie */
};

/* ---- Methods: writing ------------------------------------------------------------------ */

static struct twl__transport *check(lua_State *L)
{
    return twl__object_check(L, 1);
}

static void release_string(void *context, void *token)
{
    lua_State *L = ((struct twl__transport *)context)->context->L;

    lua_checkstack(L, 4);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &HELD_KEY);
    luaL_unref(L, -1, (int)(intptr_t)token);
    lua_pop(L, 1);
}

static int write_held(lua_State *L, struct twl__transport *transport, int index,
                      const char *bytes, size_t length)
{
    int token;

    index = lua_absindex(L, index);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &HELD_KEY);
    lua_pushvalue(L, index);
    token = luaL_ref(L, -2);
    lua_pop(L, 1);
    return twl_stream_write_held(twl__transport_stream(transport), bytes,
                                 length, release_string,
                                 (void *)(intptr_t)token);
}

static void write_string(lua_State *L, struct twl__transport *transport,
                         int index)
{
    size_t length;
    const char *bytes = lua_tolstring(L, index, &length);
    int rc;

    if (length < HELD_SIZE)
        rc = twl_stream_write(twl__transport_stream(transport), bytes, length);
    else
        rc = write_held(L, transport, index, bytes, length);
    if (rc < 0) luaL_error(L, "cannot write: %s", twl_error_message(rc));
}

static void call_producer_method(lua_State *L, const char *method)
{
    lua_getiuservalue(L, 1, VALUE_PRODUCER);
    lua_getfield(L, -1, method);
    lua_insert(L, -2);
    lua_call(L, 1, 0);
}

static int transport_write(lua_State *L)
{
    struct twl__transport *transport = check(L);

    if (lua_type(L, 2) != LUA_TSTRING)
        return luaL_error(L, "data must be a string, not %s",
                          luaL_typename(L, 2));
    write_string(L, transport, 2);
    twl__transport_written(L, transport, lua_rawlen(L, 2));
    return 0;
}

static int transport_write_sequence(lua_State *L)
{
    struct twl__transport *transport = check(L);
    lua_Integer count;
    size_t length = 0;

    luaL_checktype(L, 2, LUA_TTABLE);
    count = luaL_len(L, 2);
    /* All are looked at before the first is written. */
    for (lua_Integer i = 1; i <= count; i++) {
        if (lua_geti(L, 2, i) != LUA_TSTRING)
            return luaL_error(L, "data must be strings, but item %d is a %s",
                              (int)i, luaL_typename(L, -1));
        lua_pop(L, 1);
    }
    for (lua_Integer i = 1; i <= count; i++) {
        lua_geti(L, 2, i);
        length += lua_rawlen(L, -1);
        write_string(L, transport, -1);
        lua_pop(L, 1);
    }
    twl__transport_written(L, transport, length);
    return 0;
}

static int transport_set_output_limit(lua_State *L)
{
    struct twl__transport *transport = check(L);
    lua_Number limit = luaL_checknumber(L, 2);

    luaL_argcheck(L, limit >= 0, 2,
                  "expected bytes, or math.huge for no limit");
    transport->output_limit =
        limit < (lua_Number)LUA_MAXINTEGER ? (size_t)limit : SIZE_MAX;
    return 0;
}

/* ---- Methods: closing, pausing ---------------------------------------------------------- */

static int transport_lose_connection(lua_State *L)
{
    twl_stream_close(twl__transport_stream(check(L)));
    return 0;
}

static int transport_abort_connection(lua_State *L)
{
    twl_stream_abort(twl__transport_stream(check(L)), TWL_ECONNABORTED);
    return 0;
}

static int transport_lose_write_connection(lua_State *L)
{
    twl_stream_shutdown(twl__transport_stream(check(L)));
    return 0;
}

static int transport_pause_producing(lua_State *L)
{
    twl_stream_pause(twl__transport_stream(check(L)));
    return 0;
}

static int transport_resume_producing(lua_State *L)
{
    twl_stream_resume(twl__transport_stream(check(L)));
    return 0;
}

/* ---- Methods: producers ------------------------------------------------------------------ */

static int transport_register_producer(lua_State *L)
{
    struct twl__transport *transport = check(L);
    twl_stream *stream = twl__transport_stream(transport);

    luaL_checkany(L, 2);
    if (transport->has_producer)
        return luaL_error(L, "a producer is already registered; unregister it "
                             "first");
    lua_settop(L, 3);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, 1, VALUE_PRODUCER);
    if (!twl_stream_open(stream) && !twl_stream_closing(stream)) {
        call_producer_method(L, "stopProducing");
        lua_pushnil(L);
        lua_setiuservalue(L, 1, VALUE_PRODUCER);
        return 0;
    }
    transport->has_producer = true;
    transport->streaming = lua_toboolean(L, 3);
    transport->producer_paused = false;
    twl_stream_hold(stream, true);
    /* A pull producer hears resumeProducing at once; the drain that is due asks for it. */
    twl_stream_notify_drain(stream, true);
    return 0;
}

static int transport_unregister_producer(lua_State *L)
{
    struct twl__transport *transport = check(L);

    if (!transport->has_producer) return 0;
    transport->has_producer = false;
    lua_pushnil(L);
    lua_setiuservalue(L, 1, VALUE_PRODUCER);
    twl_stream_notify_drain(twl__transport_stream(transport), false);
    twl_stream_hold(twl__transport_stream(transport), false);
    return 0;
}

/* ---- Methods: looking -------------------------------------------------------------------- */

static int push_address_object(lua_State *L, const twl_address *address)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &ADDRESS_KEY);
    twl__push_address(L, address);
    lua_call(L, 3, 1);
    return 1;
}

static int transport_get_host(lua_State *L)
{
    twl_address address;

    if (twl_stream_local(twl__transport_stream(check(L)), &address) < 0)
        return 0;
    return push_address_object(L, &address);
}

static int transport_get_peer(lua_State *L)
{
    twl_address address;

    if (twl_stream_peer(twl__transport_stream(check(L)), &address) < 0)
        return 0;
    return push_address_object(L, &address);
}

static int set_option(lua_State *L, enum twl_option option)
{
    int rc = twl_stream_set_option(twl__transport_stream(check(L)), option,
                                   lua_toboolean(L, 2));
    if (rc < 0) return luaL_error(L, "%s", twl_error_message(rc));
    return 0;
}

static int get_option(lua_State *L, enum twl_option option)
{
    bool on;
    int rc =
        twl_stream_get_option(twl__transport_stream(check(L)), option, &on);

    if (rc < 0) return luaL_error(L, "%s", twl_error_message(rc));
    lua_pushboolean(L, on);
    return 1;
}

static int transport_set_tcp_no_delay(lua_State *L)
{
    return set_option(L, TWL_TCP_NODELAY);
}

static int transport_get_tcp_no_delay(lua_State *L)
{
    return get_option(L, TWL_TCP_NODELAY);
}

static int transport_set_tcp_keep_alive(lua_State *L)
{
    return set_option(L, TWL_TCP_KEEPALIVE);
}

static int transport_get_tcp_keep_alive(lua_State *L)
{
    return get_option(L, TWL_TCP_KEEPALIVE);
}

static int transport_get_pending(lua_State *L)
{
    lua_pushinteger(
        L, (lua_Integer)twl_stream_pending(twl__transport_stream(check(L))));
    return 1;
}

static int transport_get_handle(lua_State *L)
{
    lua_pushinteger(L, twl_stream_fd(twl__transport_stream(check(L))));
    return 1;
}

/* The fields that Twisted's transports have, besides their methods. */
enum field {
    CONNECTED = 1,
    DISCONNECTING,
    DISCONNECTED,
    PROTOCOL,
    PRODUCER,
    TLS,
    NEGOTIATED_PROTOCOL
};

static const char *const FIELDS[] = {
    "connected", "disconnecting", "disconnected",      "protocol",
    "producer",  "TLS",           "negotiatedProtocol"};

static void push_field(lua_State *L, struct twl__transport *transport,
                       enum field field)
{
    twl_stream *stream = twl__transport_stream(transport);
    bool open = twl_stream_open(stream), closing = twl_stream_closing(stream);

    switch (field) {
    case CONNECTED: lua_pushboolean(L, open || closing); break;
    case DISCONNECTING: lua_pushboolean(L, !open); break;
    case DISCONNECTED: lua_pushboolean(L, !open && !closing); break;
    case PROTOCOL: twl__transport_push_protocol(L, transport); break;
    case PRODUCER: lua_getiuservalue(L, 1, VALUE_PRODUCER); break;
    case TLS: lua_pushboolean(L, twl__transport_tls(transport) != NULL); break;
    case NEGOTIATED_PROTOCOL:
        twl__tls_push_protocol(L, twl__transport_tls(transport));
        break;
    }
}

/* One table answers for both: where a method's name has its function, a field's has its number
 * as a light userdata. */
static int transport_index(lua_State *L)
{
    if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TLIGHTUSERDATA)
        push_field(L, lua_touserdata(L, 1),
                   (enum field)(intptr_t)lua_touserdata(L, -1));
    return 1;
}

static int transport_tostring(lua_State *L)
{
    struct twl__transport *transport = check(L);
    twl_stream *stream = twl__transport_stream(transport);

    lua_pushfstring(L, "<transport %p (%s)>", (void *)transport,
                    twl_stream_open(stream)      ? "open"
                    : twl_stream_closing(stream) ? "closing"
                                                 : "closed");
    return 1;
}

/* ---- Functions ----------------------------------------------------------------------------- */

/* open(lost, make_address, exceeded): the Lua functions that transports call; the first gets the
 * transport, protocol, failure or nil, sentence, name, errno or nil; the last the transport,
 * protocol and pending bytes when the output limit is passed */
static int transport_open(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    luaL_checktype(L, 3, LUA_TFUNCTION);
    lua_settop(L, 3);
    twl__transport_set_exceeded(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &ADDRESS_KEY);
    twl__transport_set_lost(L);
    return 0;
}

static struct twl__transport *check_given(lua_State *L)
{
    return twl__object_of(L, &twl__context_of(L)->transports, 1);
}

/* attach(transport, protocol): give the connection to its protocol and begin to read */
static int transport_attach(lua_State *L)
{
    struct twl__transport *transport = check_given(L);

    lua_settop(L, 2);
    transport->half_close =
        lua_getfield(L, 2, "readConnectionLost") != LUA_TNIL;
    lua_pushvalue(L, 2);
    twl__transport_set_protocol(L, transport);
    twl_stream_resume(twl__transport_stream(transport));
    return 0;
}

/* refuse(transport): close it quietly; nobody hears of it if it has no protocol */
static int transport_refuse(lua_State *L)
{
    struct twl__transport *transport = check_given(L);
    twl_stream_abort(twl__transport_stream(transport), TWL_EEOF);
    return 0;
}

/* lose(transport): as if the connection had broken */
static int transport_lose(lua_State *L)
{
    struct twl__transport *transport = check_given(L);
    twl_stream_abort(twl__transport_stream(transport), TWL_ECLOSED);
    return 0;
}

/* fail(transport, failure, reset): end the connection with that reason; if [reset], so that the
 * other side does not take it for a clean end */
static int transport_fail(lua_State *L)
{
    struct twl__transport *transport = check_given(L);
    bool reset = lua_toboolean(L, 3);

    lua_settop(L, 2);
    twl__transport_fail(L, transport, reset ? TWL_ECONNABORTED : TWL_ECANCELED);
    return 0;
}

/* live() -> list of the transports that exist */
static int transport_live(lua_State *L)
{
    twl__push_anchored(L, &twl__context_of(L)->transports);
    return 1;
}

/* adopt(fd) -> transport around a duplicate of the connected socket
 *            | nil, message, name, errno */
static int transport_adopt(lua_State *L)
{
    twl_context *context = twl__context_of(L);
    int fd, rc;
    int given = (int)luaL_checkinteger(L, 1);

    twl__context_reactor(L, context);
    if (!twl__permits_all(L, TWL_PERMIT_NET, "adopting a descriptor")) return 4;
    rc = twl_fd_adopt(given, false, &fd);
    if (rc < 0) return twl__push_error(L, rc);
    twl__fd_grant(L, context, given);
    twl__transport_push(L, context, fd, NULL);
    return 1;
}

void twl__open_transport(lua_State *L, twl_context *context)
{
    static const luaL_Reg methods[] = {
        {"write", transport_write},
        {"writeSequence", transport_write_sequence},
        {"writeFile", twl__transport_write_file},
        {"setOutputLimit", transport_set_output_limit},
        {"loseConnection", transport_lose_connection},
        {"abortConnection", transport_abort_connection},
        {"loseWriteConnection", transport_lose_write_connection},
        {"pauseProducing", transport_pause_producing},
        {"resumeProducing", transport_resume_producing},
        {"stopProducing", transport_lose_connection},
        {"registerProducer", transport_register_producer},
        {"unregisterProducer", transport_unregister_producer},
        {"getHost", transport_get_host},
        {"getPeer", transport_get_peer},
        {"setTcpNoDelay", transport_set_tcp_no_delay},
        {"getTcpNoDelay", transport_get_tcp_no_delay},
        {"setTcpKeepAlive", transport_set_tcp_keep_alive},
        {"getTcpKeepAlive", transport_get_tcp_keep_alive},
        {"getHandle", transport_get_handle},
        {"getPending", transport_get_pending},
        {NULL, NULL},
    };
    static const luaL_Reg metamethods[] = {
        {"__tostring", transport_tostring},
        {NULL, NULL},
    };
    static const luaL_Reg functions[] = {
        {"open", transport_open},     {"attach", transport_attach},
        {"refuse", transport_refuse}, {"lose", transport_lose},
        {"fail", transport_fail},     {"live", transport_live},
        {"adopt", transport_adopt},   {NULL, NULL},
    };

    twl__class_new(L, context, &context->transports, "twistlua.transport",
                   methods, metamethods);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &context->transports);
    lua_getfield(L, -1, "__index");
    for (int i = CONNECTED; i <= NEGOTIATED_PROTOCOL; i++) {
        lua_pushlightuserdata(L, (void *)(intptr_t)i);
        lua_setfield(L, -2, FIELDS[i - 1]);
    }
    twl__transport_tls_methods(L, context);
    lua_pushcclosure(L, transport_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    twl__transport_events_open(L, context);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &HELD_KEY);
    lua_newtable(L);
    twl__set_functions(L, context, functions);
    twl__transport_tls_functions(L, context);
    lua_setfield(L, -2, "transport");
}
